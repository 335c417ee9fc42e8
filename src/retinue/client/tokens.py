"""The token dance as a generator (distribution docs "token", OAuth2 refresh): no I/O.

A driver sends what the generator yields to the token server and gives it the reply.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from retinue.client.credentials.credential import (
    Credential,
    IdentityToken,
    Password,
    RegistryToken,
)
from retinue.client.errors import ProtocolViolation, StrangersChallenge, Unauthorized
from retinue.client.locations import Place, place, shown
from retinue.client.sites import is_of_site
from retinue.wire.challenge import Basic, Bearer, Challenge
from retinue.wire.codes import Diagnostic, diagnostic, read_errors

MAX_REPLY = 1024 * 1024
"""Bytes of a token server's answer."""
DEFAULT_LIFE = 60
"""Seconds that a token lives when its server does not say."""
CLIENT_ID = "retinue"
_OAUTH_CODES = frozenset(
    {
        *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client"),
        *("unsupported_grant_type", "invalid_scope", "access_denied", "server_error"),
        *("temporarily_unavailable", "invalid_token", "insufficient_scope"),
    }
)
"""RFC 6749 4.1.2.1 and 5.2, RFC 6750 3.1."""


class Scope(Struct, frozen=True):
    """What a token is for: actions (`pull`, `push`, `delete`) on a repository."""

    repository: str
    actions: frozenset[str]

    def __str__(self) -> str:
        order = ("pull", "push", "delete")
        return f"repository:{self.repository}:{','.join(a for a in order if a in self.actions)}"

    def covers(self, other: "Scope") -> bool:
        return self.repository == other.repository and self.actions >= other.actions


class TokenRequest(Struct, frozen=True):
    """`form` is the body of a POST; without it this is a GET."""

    url: str
    authorization: str | None = None
    form: bytes | None = None

    def __repr__(self) -> str:
        return f"TokenRequest(url={self.url!r})"


class TokenReply(Struct, frozen=True):
    status: int
    body: bytes

    def __repr__(self) -> str:
        return f"TokenReply(status={self.status!r})"


class _Token(Struct, frozen=True):
    value: str
    scopes: tuple[Scope, ...]
    expires: float

    def __repr__(self) -> str:
        return f"_Token(scopes={self.scopes!r}, expires={self.expires!r})"


Dance = Generator[TokenRequest, TokenReply, None]


class Authenticator:
    """Everything about authorisation that is known for one registry.

    `api` is where its API is: if that is plain HTTP, its token server may speak it as well.
    `named` are hosts of other sites that may see the credential. `clock` returns monotonic seconds.
    """

    def __init__(
        self,
        host: str,
        credential: Credential | None,
        *,
        api: Place,
        named: Collection[str] = (),
        clock: Callable[[], float],
    ) -> None:
        self.host = host
        self._credential = credential
        self._api = api
        self._named = named
        self._clock = clock
        self._challenge: Basic | Bearer | None = None
        self._tokens: list[_Token] = []

    def header(self, scopes: Collection[Scope]) -> str | None:
        """The `Authorization` to send for these scopes, if one is at hand."""
        if isinstance(self._challenge, Basic):
            return self._basic()
        if isinstance(self._credential, RegistryToken):
            return f"Bearer {self._credential.token}"
        now = self._clock()
        for token in self._tokens:
            if token.expires > now and _cover(token.scopes, scopes):
                return f"Bearer {token.value}"
        return None

    def foresee(self, scopes: Sequence[Scope]) -> Dance | None:
        """The dance for scopes that are new, when the registry's challenge is already known."""
        if isinstance(self._challenge, Bearer) and self.header(scopes) is None:
            return self._dance(self._challenge, scopes)
        return None

    def respond(
        self, challenges: Iterable[Challenge], scopes: Sequence[Scope], sent: str | None
    ) -> Dance:
        """The dance after a 401 to a request that carried `sent`; then `header` has an answer.

        Raises Unauthorized when nothing is left to try, and ProtocolViolation for a token server
        that may not have our credentials, or answers what is no token.
        """
        self._tokens = [token for token in self._tokens if f"Bearer {token.value}" != sent]
        for challenge in challenges:
            if isinstance(challenge, Bearer) and not isinstance(self._credential, RegistryToken):
                self._challenge = challenge
                return self._dance(challenge, scopes)
            if isinstance(challenge, Basic) and self._basic() not in {None, sent}:
                self._challenge = challenge
                return _no_dance()
        repository = scopes[0].repository if scopes else None
        raise Unauthorized(
            self.host, repository, 401, did="these credentials" if sent else "access"
        )

    def _basic(self) -> str | None:
        credential = self._credential
        if not isinstance(credential, Password):
            return None
        pair = f"{credential.username}:{credential.secret}".encode()
        return f"Basic {b64encode(pair).decode()}"

    def _dance(self, challenge: Bearer, scopes: Sequence[Scope]) -> Dance:
        reply = yield self._request(challenge, scopes)
        if reply.status // 100 != 2:
            said = read_errors(reply.body) or [_oauth_error(reply.body)]
            repository = scopes[0].repository if scopes else None
            raise Unauthorized(self.host, repository, reply.status, said, did="to give a token")
        value, life = self._read(reply.body)
        expires = self._clock() + life * 0.9
        self._tokens = [t for t in self._tokens if t.expires > self._clock()]
        self._tokens.append(_Token(value, tuple(scopes), expires))

    def _request(self, challenge: Bearer, scopes: Sequence[Scope]) -> TokenRequest:
        self._check(place(challenge.realm, self.host))
        wanted = list(dict.fromkeys([*map(str, scopes), *_extra(challenge, scopes)]))
        service = [("service", challenge.service)] if challenge.service else []
        if isinstance(self._credential, IdentityToken):
            form = [
                ("grant_type", "refresh_token"),
                *service,
                ("client_id", CLIENT_ID),
                ("scope", " ".join(wanted)),
                ("refresh_token", self._credential.token),
            ]
            return TokenRequest(challenge.realm, form=urlencode(form).encode())
        query = urlencode([*service, *(("scope", scope) for scope in wanted)])
        joint = "&" if "?" in challenge.realm else "?"
        return TokenRequest(f"{challenge.realm}{joint}{query}", self._basic())

    def _check(self, server: Place) -> None:
        """A token server of another site is asked for anonymous tokens only."""
        if server[0] != "https" and self._api[0] == "https":
            raise ProtocolViolation(self.host, "a token server that is not reached by https")
        if self._credential is None or is_of_site(self._api[1], server[1], self._named):
            return
        name = shown(server)
        why = f"a token server of another site, {name}"
        remedy = f"if that is right, name it with --token-server {self.host}={server[1]}"
        raise StrangersChallenge(self.host, name, why, remedy)

    def _read(self, body: bytes) -> tuple[str, float]:
        document = _object(body)
        value = document.get("token") or document.get("access_token")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise ProtocolViolation(self.host, "a token server's reply that holds no token")
        life = document.get("expires_in")
        known = isinstance(life, int | float) and life > 0
        return value, float(life) if known and life is not None else DEFAULT_LIFE


def _no_dance() -> Dance:
    """Basic authorisation needs no token."""
    yield from ()


def _cover(held: Iterable[Scope], wanted: Iterable[Scope]) -> bool:
    held = tuple(held)
    return all(any(scope.covers(want) for scope in held) for want in wanted)


def _extra(challenge: Bearer, scopes: Sequence[Scope]) -> list[str]:
    """Scopes that the registry asks for and that ours do not cover (`registry:catalog:*`)."""
    ours = {scope.repository for scope in scopes}
    asked = (challenge.scope or "").split()
    return [scope for scope in asked if scope.rpartition(":")[0].partition(":")[2] not in ours]


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object of a reply; empty for any other body."""
    try:
        document = json.loads(body) if len(body) <= MAX_REPLY else None
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else {}


def _oauth_error(body: bytes) -> Diagnostic:
    """What a token server says in OAuth's form; of documents in other forms nothing is repeated."""
    document = _object(body)
    code = document.get("error")
    if not isinstance(code, str) or code not in _OAUTH_CODES:
        return Diagnostic("no reason", "")
    return diagnostic({"code": code, "message": document.get("error_description")})
