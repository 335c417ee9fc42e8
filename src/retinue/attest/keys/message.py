"""Bytes to be signed or checked, in parts; each hash of them is computed once."""

import hashlib
from collections.abc import Iterable, Iterator


class Message:
    """The concatenation of `parts`, which can be gone through more than once."""

    __slots__ = ("_digests", "parts")

    def __init__(self, parts: Iterable[bytes]) -> None:
        self.parts = parts
        self._digests: dict[str, bytes] = {}

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.parts)

    def digest(self, algorithm: str) -> bytes:
        """The hash of the whole by `hashlib`'s name; kept, since several keys may be tried."""
        known = self._digests.get(algorithm)
        if known is None:
            running = hashlib.new(algorithm)
            for part in self.parts:
                running.update(part)
            known = self._digests[algorithm] = running.digest()
        return known


def as_message(parts: Iterable[bytes]) -> Message:
    """Parts that can be gone through once only (an iterator) are held in memory."""
    if isinstance(parts, Message):
        return parts
    return Message(tuple(parts) if isinstance(parts, Iterator) else parts)
