"""The part of CBOR (RFC 8949) that signed envelopes use: definite lengths, no surprises.

Refused: indefinite lengths, duplicate keys, keys that are neither integers nor text, tags where no
caller asked for one, what follows the item, and nesting or lengths beyond a bound.
"""

import struct
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from retinue.attest.errors import Malformed

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 8
MAX_ITEMS = 4096

_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE = {20: False, 21: True, 22: None}


class Tagged(Struct, frozen=True):
    """A tag's number and its content."""

    tag: int
    value: Any


def loads(data: bytes) -> Any:
    """One item and nothing after it; raises Malformed."""
    if len(data) > MAX_BYTES:
        raise Malformed("CBOR", f"{len(data)} bytes are more than the {MAX_BYTES} allowed")
    reader = _Reader(data)
    value = reader.item(0)
    if reader.at != len(data):
        raise Malformed("CBOR", f"{len(data) - reader.at} bytes follow the item")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.items = 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise Malformed("CBOR", f"ends within an item, at byte {len(self.data)}")
        taken = self.data[self.at : self.at + count]
        self.at += count
        return taken

    def item(self, depth: int) -> Any:
        self.items += 1
        if depth > MAX_DEPTH or self.items > MAX_ITEMS:
            raise Malformed("CBOR", f"more than {MAX_DEPTH} levels or {MAX_ITEMS} items")
        major, info = divmod(self.take(1)[0], 32)
        if major == 7:
            return self.simple(info)
        return _MAJORS[major](self, self.argument(info), depth)

    def argument(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise Malformed("CBOR", "indefinite or reserved lengths are not allowed")
        return int.from_bytes(self.take(1 << (info - 24)))

    def simple(self, info: int) -> Any:
        if info in _FLOATS:
            form = _FLOATS[info]
            return struct.unpack(form, self.take(struct.calcsize(form)))[0]
        if info not in _SIMPLE:
            raise Malformed("CBOR", f"simple value {info} is not understood")
        return _SIMPLE[info]

    def text(self, length: int) -> str:
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise Malformed("CBOR", "a text is not UTF-8") from None

    def map(self, length: int, depth: int) -> dict[int | str, Any]:
        result: dict[int | str, Any] = {}
        for _ in range(self.bounded(length)):
            key = self.item(depth + 1)
            if type(key) not in {int, str}:
                raise Malformed("CBOR", "a key is neither an integer nor text")
            if key in result:
                raise Malformed("CBOR", f"the key {key!r:.80} occurs twice in one map")
            result[key] = self.item(depth + 1)
        return result

    def array(self, length: int, depth: int) -> list[Any]:
        return [self.item(depth + 1) for _ in range(self.bounded(length))]

    def bounded(self, length: int) -> int:
        if length > MAX_ITEMS:
            raise Malformed("CBOR", f"more than {MAX_ITEMS} items")
        return length


_MAJORS: dict[int, Callable[[_Reader, int, int], Any]] = {
    0: lambda _, n, __: n,
    1: lambda _, n, __: -1 - n,
    2: lambda reader, n, _: reader.take(n),
    3: lambda reader, n, _: reader.text(n),
    4: lambda reader, n, depth: reader.array(n, depth),
    5: lambda reader, n, depth: reader.map(n, depth),
    6: lambda reader, n, depth: Tagged(n, reader.item(depth + 1)),
}


def head(major: int, argument: int) -> bytes:
    """The shortest head of an item (RFC 8949 section 4.2.1)."""
    if argument < 24:
        return bytes([major << 5 | argument])
    for power in range(4):
        if argument < 1 << (8 << power):
            return bytes([major << 5 | 24 + power]) + argument.to_bytes(1 << power)
    raise ValueError(argument)


def bytestring(data: bytes) -> bytes:
    return head(2, len(data)) + data


def textstring(text: str) -> bytes:
    data = text.encode()
    return head(3, len(data)) + data
