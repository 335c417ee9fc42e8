"""Digests: `algorithm:hex`, checked once (image-spec descriptor.md, "Digests")."""

import hashlib
import re
from typing import NewType, Protocol

from retinue.errors import RetinueError

Digest = NewType("Digest", str)
"""A checked digest. Only `parse` and `of` make one; it stays usable as dict key and URL part."""

ALGORITHMS = {"sha256": 64, "sha512": 128}
"""Supported algorithms and the length of their hex encoding."""

_SHAPE = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_GRAMMAR = re.compile(r"([a-z0-9]+(?:[+._-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)")
_MAX = 1024

_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_BYTE = {"sha256": b"\x01", "sha512": b"\x02"}
_NAME = {1: "sha256", 2: "sha512"}


class InvalidDigest(RetinueError):
    """The text is no digest, or names an algorithm that is not supported."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"digest {text[:160]!r} {reason}")
        self.text = text
        self.reason = reason


class Hash(Protocol):
    """What `hashlib` objects offer and we use."""

    def update(self, data: bytes | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


def checked(text: str) -> Digest | None:
    """`parse` for callers that go another way than raising; None for what is no digest."""
    return Digest(text) if _SHAPE.fullmatch(text) else None


def parse(text: str) -> Digest:
    """Check a digest; raises InvalidDigest. blake3 is recognised and refused by name."""
    if _SHAPE.fullmatch(text):
        return Digest(text)
    raise InvalidDigest(text, _why(text))


def _why(text: str) -> str:
    match = _GRAMMAR.fullmatch(text[:_MAX])
    if match is None:
        return "is not of the form algorithm:hex"
    name, encoded = match.groups()
    if name == "blake3":
        return "uses blake3, which is not supported; use sha256 or sha512"
    if name not in ALGORITHMS:
        return f"uses the algorithm {name!r}, which is not supported; use sha256 or sha512"
    return f"needs {ALGORITHMS[name]} lower-case hex characters after {name!r}, not {len(encoded)}"


def algorithm(digest: Digest) -> str:
    return digest[: digest.index(":")]


def encoded(digest: Digest) -> str:
    return digest[digest.index(":") + 1 :]


def of(data: bytes, algorithm: str = "sha256") -> Digest:
    return Digest(f"{algorithm}:{hasher(algorithm, data).hexdigest()}")


def hasher(algorithm: str, data: bytes = b"") -> Hash:
    """A running hash; raises InvalidDigest for an algorithm that is not supported."""
    make = _HASHES.get(algorithm)
    if make is None:
        raise InvalidDigest(algorithm, _why(f"{algorithm}:0"))
    return make(data)


def to_bytes(digest: Digest) -> bytes:
    """One byte of algorithm and the raw digest: 33 or 65 bytes, how the catalog keeps it."""
    name, _, hexa = digest.partition(":")
    return _BYTE[name] + bytes.fromhex(hexa)


def from_bytes(raw: bytes) -> Digest:
    """The inverse of `to_bytes`, for bytes that this program wrote."""
    return Digest(f"{_NAME[raw[0]]}:{raw[1:].hex()}")


def read_bytes(raw: bytes) -> Digest | None:
    """The same for bytes that may be anything; None for what is no digest."""
    if not raw or raw[0] not in _NAME:
        return None
    return checked(from_bytes(raw))
