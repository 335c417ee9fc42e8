import json
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import pytest

from retinue.client.credentials.credential import (
    Credential,
    IdentityToken,
    Password,
    RegistryToken,
)
from retinue.client.errors import ProtocolViolation, StrangersChallenge, Unauthorized
from retinue.client.tokens import Authenticator, Dance, Scope, TokenReply, TokenRequest
from retinue.wire.challenge import Basic, Bearer

PULL = Scope("a/b", frozenset({"pull"}))
PUSH = Scope("a/b", frozenset({"push", "pull"}))
OTHER = Scope("c", frozenset({"pull"}))
CHALLENGE = Bearer("https://auth.acme.example/token", "registry", "repository:a/b:pull")


class Time:
    now = 1000.0


def authenticator(
    credential: Credential | None = None, *, plain: bool = False
) -> tuple[Authenticator, Time]:
    time = Time()
    api = ("http", "r.acme.example", 80) if plain else ("https", "r.acme.example", 443)
    return Authenticator("r.acme.example", credential, api=api, clock=lambda: time.now), time


def danced(dance: Dance, *replies: TokenReply) -> list[TokenRequest]:
    """What the dance asked, having got these replies."""
    asked = [next(dance)]
    asked += [dance.send(reply) for reply in replies[:-1]]
    with pytest.raises(StopIteration):
        dance.send(replies[-1])
    return asked


def token(value: str, **more: object) -> TokenReply:
    return TokenReply(200, json.dumps({"token": value, **more}).encode())


def query(request: TokenRequest) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.url).query)


def test_at_first_nothing_is_sent() -> None:
    known, _ = authenticator(Password("me", "secret"))
    assert known.header([PULL]) is None
    assert known.foresee([PULL]) is None


def test_an_anonymous_token() -> None:
    known, _ = authenticator()
    [asked] = danced(known.respond([CHALLENGE], [PULL], None), token("t"))
    assert asked.authorization is None
    assert query(asked) == {"service": ["registry"], "scope": ["repository:a/b:pull"]}
    assert known.header([PULL]) == "Bearer t"


def test_a_password_is_shown_to_the_token_server_alone() -> None:
    known, _ = authenticator(Password("me", "secret"))
    [asked] = danced(known.respond([CHALLENGE], [PUSH], None), token("t"))
    assert asked.authorization == "Basic bWU6c2VjcmV0"
    assert query(asked)["scope"] == ["repository:a/b:pull,push"]
    assert known.header([PUSH]) == "Bearer t"


def test_an_identity_token_is_exchanged() -> None:
    known, _ = authenticator(IdentityToken("refresh"))
    [asked] = danced(
        known.respond([CHALLENGE], [PULL], None), TokenReply(200, b'{"access_token":"t"}')
    )
    assert asked.url == CHALLENGE.realm
    form = parse_qs((asked.form or b"").decode())
    assert form["grant_type"] == ["refresh_token"]
    assert form["refresh_token"] == ["refresh"]
    assert known.header([PULL]) == "Bearer t"


def test_a_registry_token_goes_as_it_is() -> None:
    known, _ = authenticator(RegistryToken("fixed"))
    assert known.header([PULL]) == "Bearer fixed"
    with pytest.raises(Unauthorized):
        known.respond([CHALLENGE], [PULL], "Bearer fixed")


def test_basic_needs_no_dance() -> None:
    known, _ = authenticator(Password("me", "secret"))
    assert list(known.respond([Basic("here")], [PULL], None)) == []
    assert known.header([PULL]) == "Basic bWU6c2VjcmV0"


def test_credentials_that_were_refused_are_not_sent_again() -> None:
    known, _ = authenticator(Password("me", "wrong"))
    list(known.respond([Basic("here")], [PULL], None))
    with pytest.raises(Unauthorized, match="retinue login r"):
        known.respond([Basic("here")], [PULL], known.header([PULL]))


@pytest.mark.parametrize("challenges", [[], [Basic("here")]])
def test_without_credentials_nothing_is_left(challenges: Sequence[Basic]) -> None:
    known, _ = authenticator()
    with pytest.raises(Unauthorized):
        known.respond(challenges, [PULL], None)


def test_tokens_are_kept_by_scope() -> None:
    known, _ = authenticator()
    danced(known.respond([CHALLENGE], [PUSH], None), token("t"))
    assert known.header([PULL]) == "Bearer t"
    assert known.header([OTHER]) is None
    assert known.header([PULL, OTHER]) is None


def test_new_scopes_are_foreseen() -> None:
    known, _ = authenticator()
    danced(known.respond([CHALLENGE], [PULL], None), token("t"))
    assert known.foresee([PULL]) is None
    dance = known.foresee([PUSH, OTHER])
    assert dance is not None
    [asked] = danced(dance, token("both"))
    assert query(asked)["scope"] == ["repository:a/b:pull,push", "repository:c:pull"]
    assert known.header([PUSH, OTHER]) == "Bearer both"


def test_tokens_expire() -> None:
    known, time = authenticator()
    danced(known.respond([CHALLENGE], [PULL], None), token("t", expires_in=100))
    time.now += 89
    assert known.header([PULL]) == "Bearer t"
    time.now += 2
    assert known.header([PULL]) is None


def test_a_refused_token_is_replaced() -> None:
    known, _ = authenticator()
    danced(known.respond([CHALLENGE], [PULL], None), token("old", expires_in=9999))
    danced(known.respond([CHALLENGE], [PULL], "Bearer old"), token("new"))
    assert known.header([PULL]) == "Bearer new"


def test_what_the_registry_asks_for_besides_is_asked_for() -> None:
    known, _ = authenticator()
    asked_for = Bearer("https://auth.acme.example/token", None, "registry:catalog:*")
    [asked] = danced(known.respond([asked_for], [], None), token("t"))
    assert query(asked) == {"scope": ["registry:catalog:*"]}


@pytest.mark.parametrize(
    ("realm", "plain", "allowed"),
    [
        ("https://auth.acme.example/t", False, True),
        ("https://auth.acme.example/t", True, True),
        ("http://auth.acme.example/t", True, True),
        ("http://auth.acme.example/t", False, False),
        ("ftp://auth.acme.example/t", True, False),
        ("/t", True, False),
    ],
)
def test_passwords_go_only_where_nobody_listens(realm: str, plain: bool, allowed: bool) -> None:
    known, _ = authenticator(Password("me", "secret"), plain=plain)
    dance = known.respond([Bearer(realm)], [PULL], None)
    if allowed:
        assert next(dance).url.startswith(realm)
    else:
        with pytest.raises(ProtocolViolation, match=r"https|no web address"):
            next(dance)


def test_a_token_server_of_another_site_sees_no_credentials() -> None:
    stranger = Bearer("https://auth.elsewhere.example/token")
    for credential in (Password("me", "secret"), IdentityToken("refresh")):
        known, _ = authenticator(credential)
        with pytest.raises(StrangersChallenge, match="name it with --token-server"):
            next(known.respond([stranger], [PULL], None))
    anonymous, _ = authenticator()
    assert next(anonymous.respond([stranger], [PULL], None)).authorization is None


def test_a_token_server_of_another_site_may_be_named() -> None:
    known = Authenticator(
        "r.acme.example",
        Password("me", "secret"),
        api=("https", "r.acme.example", 443),
        named={"auth.elsewhere.example"},
        clock=lambda: 0.0,
    )
    asked = next(known.respond([Bearer("https://auth.elsewhere.example/t")], [PULL], None))
    assert asked.authorization == "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":"root:x:0:0","error_description":"internal words"}',
        b'{"error":"internal words"}',
        b'{"errors":[{"code":"internal words"}]}',
        b"internal words",
    ],
)
def test_of_what_is_no_token_servers_error_nothing_is_repeated(body: bytes) -> None:
    known, _ = authenticator()
    dance = known.respond([CHALLENGE], [PULL], None)
    next(dance)
    with pytest.raises(Unauthorized) as caught:
        dance.send(TokenReply(403, body))
    assert "internal" not in str(caught.value)
    assert "root" not in str(caught.value)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"token":5}', b'{"token":"a\\nb"}', b'{"token":"\\u00e4"}']
)
def test_what_is_no_token_is_refused(body: bytes) -> None:
    known, _ = authenticator()
    dance = known.respond([CHALLENGE], [PULL], None)
    next(dance)
    with pytest.raises(ProtocolViolation, match="no token"):
        dance.send(TokenReply(200, body))


def test_a_token_servers_reason_is_told() -> None:
    known, _ = authenticator(IdentityToken("stale"))
    dance = known.respond([CHALLENGE], [PULL], None)
    next(dance)
    with pytest.raises(Unauthorized, match="invalid_grant: too old"):
        dance.send(TokenReply(400, b'{"error":"invalid_grant","error_description":"too old"}'))


def test_secrets_are_not_printed() -> None:
    known, _ = authenticator(Password("me", "hunter2"))
    asked = next(known.respond([CHALLENGE], [PULL], None))
    everything = [Password("me", "hunter2"), IdentityToken("hunter2"), asked]
    assert "hunter2" not in repr(everything)
    assert "Basic" not in repr(asked)
