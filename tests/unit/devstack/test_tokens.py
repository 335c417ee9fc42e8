"""Tokens: only our own, for our audience, in their time."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from keylesskit import NOW, URL, WHO, Local, dev, stack_folder, stack_state
from retinue.devstack.errors import NotGiven
from retinue.devstack.tokens import Issuer

__all__ = ["dev", "stack_folder", "stack_state"]

SECOND = timedelta(seconds=1)


def test_another_library_reads_a_token_with_the_published_key(dev: Local) -> None:
    key = jwt.PyJWK(dev.stack.issuer.keys()["keys"][0])

    claims = jwt.decode(
        dev.token(), key, ["RS256"], audience="sigstore", issuer=URL,
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )  # fmt: skip

    assert (claims["sub"], claims["email"], claims["email_verified"]) == (WHO, WHO, True)


def test_who_is_no_address_has_none(dev: Local) -> None:
    claims = dev.stack.issuer.read(dev.token("https://ci.test/a@b"), NOW)

    assert ("email" in claims, claims["sub"]) == (False, "https://ci.test/a@b")


def test_claims_do_not_replace_what_the_issuer_says(dev: Local) -> None:
    token = dev.token(WHO, iss="https://other.test", aud="x", exp="9", ref="main")

    claims = dev.stack.issuer.read(token, NOW)

    assert (claims["iss"], claims["aud"], claims["ref"]) == (URL, "sigstore", "main")


@pytest.mark.parametrize(
    ("at", "good"),
    [(NOW, True), (NOW + 599 * SECOND, True), (NOW + 600 * SECOND, False), (NOW - SECOND, False)],
)
def test_a_token_has_its_time(dev: Local, at: object, good: bool) -> None:
    token = dev.token()
    issuer = dev.stack.issuer

    if good:
        assert issuer.read(token, at)["sub"] == WHO  # type: ignore[arg-type]
    else:
        with pytest.raises(NotGiven, match="over"):
            issuer.read(token, at)  # type: ignore[arg-type]


def test_a_foreign_key_or_issuer_is_refused(dev: Local) -> None:
    key = rsa.generate_private_key(65537, 2048)
    foreign = Issuer(URL, key).mint(WHO, {}, NOW)
    elsewhere = Issuer("https://other.test", dev.stack.issuer.key).mint(WHO, {}, NOW)

    for token in (foreign, elsewhere):
        with pytest.raises(NotGiven) as caught:
            dev.stack.issuer.read(token, NOW)
        assert caught.value.status == 401


def test_every_changed_character_is_refused(dev: Local) -> None:
    token = dev.token()
    changed = 0
    for at, letter in enumerate(token):
        other = token[:at] + ("A" if letter != "A" else "B") + token[at + 1 :]
        if decoded(other) == decoded(token):
            continue
        changed += 1
        with pytest.raises(NotGiven):
            dev.stack.issuer.read(other, NOW)
    assert changed > 500


def decoded(token: str) -> list[bytes | None]:
    """What the parts say: the last characters of base64 have bits that say nothing."""
    return [urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")]


def test_an_unsigned_token_is_refused(dev: Local) -> None:
    _, payload, _ = dev.token().split(".")
    head = urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")

    for token in (f"{head}.{payload}.", f"{head}.{payload}", "", "a", "..", "é.é.é", "x" * 20000):
        with pytest.raises(NotGiven):
            dev.stack.issuer.read(token, NOW)


def asked(**changed: str) -> dict[str, str]:
    return {"redirect_uri": "http://localhost:8000/back?x=1", "state": "s", "nonce": "n", **changed}


def test_a_login_leads_back_with_a_code_for_a_token(dev: Local) -> None:
    place = urlsplit(dev.stack.issuer.login(asked(login_hint="me@example.test"), NOW))
    given = parse_qs(place.query)

    token = dev.stack.issuer.exchange(given["code"][0], NOW)["id_token"]

    assert (place.netloc, given["x"], given["state"]) == ("localhost:8000", ["1"], ["s"])
    claims = dev.stack.issuer.read(token, NOW)
    assert (claims["sub"], claims["nonce"]) == ("me@example.test", "n")


@pytest.mark.parametrize(
    "changed",
    [{"redirect_uri": url} for url in ("", "http://example.test/", "https://localhost/",
     "http://localhost.example.test/", "http://localhost@example.test/", "http://[", "/back",
     "http://localhost/#x")] + [{"state": ""}],
    ids=range(9),
)  # fmt: skip
def test_a_login_leads_nowhere_else(dev: Local, changed: dict[str, str]) -> None:
    with pytest.raises(NotGiven):
        dev.stack.issuer.login(asked(**changed), NOW)


def test_a_code_that_was_not_given_is_refused(dev: Local) -> None:
    with pytest.raises(NotGiven):
        dev.stack.issuer.exchange("code", NOW)


def test_nobody_gets_no_token(dev: Local) -> None:
    with pytest.raises(NotGiven, match="say who you are"):
        dev.token("")
