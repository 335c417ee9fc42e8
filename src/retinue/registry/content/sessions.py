"""Ids of upload sessions. They describe themselves, so that a session costs no row until it has
bytes: `<ulid>[-sha512].<mac over id, repository and principal>`."""

import hashlib
import hmac
import re

from msgspec import Struct

from retinue.oci.digest import hasher
from retinue.registry.content.errors import UploadUnknown

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SHAPE = re.compile(r"([0-9A-HJKMNP-TV-Z]{26})(?:-(sha512))?\.([0-9a-f]{32})")
ENTROPY = 10
"""Random bytes of an id."""
_DEFAULT = "sha256"


class Ticket(Struct, frozen=True):
    """An id that this registry gave out for this repository and principal.

    `session` is its first part, the key of its row; `born` in microseconds since 1970.
    """

    id: str
    session: str
    name: str
    principal: str
    algorithm: str
    born: int


def issue(
    secret: bytes, name: str, principal: str, now: int, entropy: bytes, algorithm: str = _DEFAULT
) -> Ticket:
    """A new session. Raises InvalidDigest for an algorithm that is not supported."""
    hasher(algorithm)
    number = (now // 1000) << 80 | int.from_bytes(entropy, "big")
    ulid = "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
    session = ulid if algorithm == _DEFAULT else f"{ulid}-{algorithm}"
    mac = _mac(secret, session, name, principal)
    return Ticket(f"{session}.{mac}", session, name, principal, algorithm, now // 1000 * 1000)


def check(secret: bytes, text: str, name: str, principal: str) -> Ticket:
    """Raises UploadUnknown for an id that was not given out for this repository and principal."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise UploadUnknown(text)
    session = text.partition(".")[0]
    if not hmac.compare_digest(match[3], _mac(secret, session, name, principal)):
        raise UploadUnknown(text)
    return Ticket(text, session, name, principal, match[2] or _DEFAULT, _born(match[1]))


def _mac(secret: bytes, session: str, name: str, principal: str) -> str:
    text = f"upload\0{session}\0{name}\0{principal}"
    return hmac.digest(secret, text.encode(), hashlib.sha256).hex()[:32]


def _born(ulid: str) -> int:
    milliseconds = 0
    for char in ulid[:10]:
        milliseconds = milliseconds << 5 | _ALPHABET.index(char)
    return milliseconds * 1000
