"""What a server asks for on 401: `WWW-Authenticate` (RFC 9110 section 11, RFC 6750 section 3)."""

import re
from collections.abc import Mapping

from msgspec import Struct

from retinue.errors import RetinueError

MAX_HEADER = 16 * 1024
"""Characters of a header that are read; a longer one is malformed."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105
_PARAM = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))')
_SCHEME = re.compile(rf"({_TOKEN})(?:[ \t]+|(?=,)|$)")
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)")
_COMMAS = re.compile(r"[ \t,]*")
_ESCAPED = re.compile(r"\\(.)")


class MalformedChallenge(RetinueError):
    """A WWW-Authenticate header that cannot be read."""

    def __init__(self, header: str) -> None:
        super().__init__("a WWW-Authenticate that cannot be read as challenges")
        self.header = header


class Basic(Struct, frozen=True):
    realm: str

    def __str__(self) -> str:
        return f"Basic realm={quoted(self.realm)}"


class Bearer(Struct, frozen=True):
    """`realm` is the URL of the token server; `error` says why a token that was sent is refused."""

    realm: str
    service: str | None = None
    scope: str | None = None
    error: str | None = None

    def __str__(self) -> str:
        fields = ("realm", "service", "scope", "error")
        pairs = ((name, getattr(self, name)) for name in fields)
        return "Bearer " + ",".join(f"{name}={quoted(value)}" for name, value in pairs if value)


class Unknown(Struct, frozen=True):
    """A scheme that we do not speak (Negotiate, ...)."""

    scheme: str


Challenge = Basic | Bearer | Unknown


def quoted(text: str) -> str:
    """A quoted-string (RFC 9110 section 5.6.4)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parse(header: str) -> tuple[Challenge, ...]:
    """All challenges of one header, in order; raises MalformedChallenge."""
    if len(header) > MAX_HEADER:
        raise MalformedChallenge(header)
    found: list[Challenge] = []
    position = _skip(header, 0)
    while position < len(header):
        scheme = _SCHEME.match(header, position)
        if scheme is None:
            raise MalformedChallenge(header)
        params, position = _params(header, scheme.end())
        found.append(_challenge(scheme[1], params))
    return tuple(found)


def _params(header: str, position: int) -> tuple[dict[str, str], int]:
    """Parameters up to the next scheme; the first of two with one name counts."""
    params: dict[str, str] = {}
    if opaque := _TOKEN68.match(header, position):  # what Negotiate and its like send
        return params, _skip(header, opaque.end())
    position = _skip(header, position)
    while match := _PARAM.match(header, position):
        value = match[3] if match[2] is None else _ESCAPED.sub(r"\1", match[2])
        params.setdefault(match[1].lower(), value)
        position = _skip(header, match.end())
    return params, position


def _skip(header: str, position: int) -> int:
    match = _COMMAS.match(header, position)
    return match.end() if match else position


def _challenge(scheme: str, params: Mapping[str, str]) -> Challenge:
    if scheme.lower() == "basic":
        return Basic(params.get("realm", ""))
    if scheme.lower() == "bearer" and "realm" in params:
        return Bearer(
            params["realm"], params.get("service"), params.get("scope"), params.get("error")
        )
    return Unknown(scheme)
