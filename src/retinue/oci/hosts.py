"""One spelling for one registry: `HOST[:PORT]` as users and tools write it, made canonical.

Rules, credentials and copies compare hosts as texts, and one registry has many spellings: another
case, its default port, a trailing dot, other forms of an address, a name beyond ASCII, Docker Hub's
older names. Two names that only DNS knows to be one machine stay two names.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

HUB = "docker.io"
MAX_LENGTH = 255

_HUB_ALIASES = frozenset({"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})
_LABEL = r"[a-z0-9](?:[a-z0-9-]*+(?<!-))?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*+")
_SPLIT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MARKS = frozenset(".:[")
_OCTAL = re.compile("0[0-9]+")
_LOOPBACK = re.compile(r"127(?:\.[0-9]{1,3}){3}")
_AMBIGUOUS = frozenset("\u00df\u03c2\u200c\u200d")
"""What the two versions of IDNA turn into different names (RFC 5894 7.2)."""


class BadHost(ValueError):
    """The text is no `host[:port]`."""


def canonical(text: str) -> str:
    """The one spelling of a registry's host and port; raises BadHost.

    It is written so that a reference that starts with it is read again as the same: a name without
    a dot keeps its port, since it would else be the first part of a name at Docker Hub.
    """
    split = _SPLIT.fullmatch(text)
    if split is None or len(text) > MAX_LENGTH:
        raise BadHost(text)
    name = _address(split[1]) if split[1].startswith("[") else _name(split[1])
    usual = 80 if is_loopback(name.strip("[]")) else 443
    port = int(split[2] or usual)
    if not 0 < port < 65536:
        raise BadHost(text)
    if port == usual and name in _HUB_ALIASES:
        return HUB
    return name if port == usual and stands_alone(name) else f"{name}:{port}"


def stands_alone(first: str) -> bool:
    """Docker's rule: whether the first part of a name is a host, as it could be no other part."""
    unlike = first.lower() != first or not first.isascii() or not _MARKS.isdisjoint(first)
    return first == "localhost" or unlike


def is_loopback(host: str) -> bool:
    """Whether this names the machine itself: `localhost`, 127.0.0.0/8, ::1."""
    named = host == "localhost" or host.endswith(".localhost")
    return named or host == "::1" or _LOOPBACK.fullmatch(host) is not None


def _address(bracketed: str) -> str:
    """RFC 5952; an IPv4 address that is mapped into IPv6 is that address."""
    try:
        address = IPv6Address(bracketed[1:-1])
    except ValueError:
        raise BadHost(bracketed) from None
    if address.scope_id is not None:
        raise BadHost(bracketed)
    return str(address.ipv4_mapped or f"[{address}]")


def _name(text: str) -> str:
    name = _ascii(text).lower().removesuffix(".")
    if len(name) > MAX_LENGTH or not _NAME.fullmatch(name):
        raise BadHost(text)
    if not _NUMBER.fullmatch(name.rpartition(".")[2]):
        return name
    try:
        return str(IPv4Address(_number(name.split("."))))
    except ValueError:
        raise BadHost(text) from None


def _number(parts: Sequence[str]) -> int:
    """As resolvers read addresses (inet_aton(3)): the last part fills what is left, and each may be
    octal or hexadecimal: 127.1, 0x7f.0.0.1. Raises ValueError.
    """
    *first, last = (int(part, 8 if _OCTAL.fullmatch(part) else 0) for part in parts)
    room = 8 * (4 - len(first))
    if room < 8 or last >> room:
        raise ValueError(parts)
    return (int.from_bytes(bytes(first), "big") << room) + last


def _ascii(text: str) -> str:
    """IDNA's form of a name with other letters (`xn--…`)."""
    if text.isascii():
        return text
    if _AMBIGUOUS & set(text.lower()):
        raise BadHost(text)
    try:
        return text.encode("idna").decode()
    except UnicodeError:
        raise BadHost(text) from None
