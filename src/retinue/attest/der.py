"""Strict DER (X.690 10), as much of it as timestamps and certificate extensions need.

Lengths are definite and minimal, tags are single bytes: what has two encodings is refused, so that
nobody else can read the same bytes differently.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from retinue.attest.errors import Malformed

BOOLEAN = 0x01
INTEGER = 0x02
OCTET_STRING = 0x04
NULL = 0x05
OID = 0x06
UTF8_STRING = 0x0C
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31

_TIME = re.compile(r"(\d{14})(?:\.(\d{0,6}[1-9]))?Z", re.ASCII)


class Node(Struct, frozen=True):
    """One element: its tag, its content, and the whole encoding."""

    tag: int
    content: bytes
    raw: bytes


class Reader:
    """Takes element after element from the content of one. `part` names it in errors."""

    def __init__(self, data: bytes, part: str) -> None:
        self._data = data
        self._at = 0
        self._part = part

    def bad(self, reason: str) -> Malformed:
        return Malformed(self._part, reason)

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def peek(self) -> int | None:
        """The next element's tag; None at the end."""
        return self._data[self._at] if self else None

    def any(self) -> Node:
        data, start = self._data, self._at
        if len(data) - start < 2:
            raise self.bad("ends within an element")
        tag, size, at = data[start], data[start + 1], start + 2
        if tag & 0x1F == 0x1F:
            raise self.bad("has a tag of several bytes")
        if size >= 0x80:
            size, at = self._long(size & 0x7F, at)
        if len(data) - at < size:
            raise self.bad("ends within an element")
        self._at = at + size
        return Node(tag, data[at : self._at], data[start : self._at])

    def _long(self, count: int, at: int) -> tuple[int, int]:
        raw = self._data[at : at + count]
        if not 1 <= count <= 4 or len(raw) != count:
            raise self.bad("has an element of unusable length")
        size = int.from_bytes(raw, "big")
        if size < 0x80 or raw[0] == 0:
            raise self.bad("has a length that is not minimal")
        return size, at + count

    def take(self, tag: int) -> Node:
        node = self.any()
        if node.tag != tag:
            raise self.bad(f"has an element of tag {node.tag:#x} where {tag:#x} belongs")
        return node

    def maybe(self, tag: int) -> Node | None:
        return self.any() if self.peek() == tag else None

    def inside(self, tag: int) -> "Reader":
        return Reader(self.take(tag).content, self._part)

    def within(self, node: Node) -> "Reader":
        return Reader(node.content, self._part)

    def end(self) -> None:
        if self:
            raise self.bad("has bytes after its end")

    def rest(self) -> Iterator[Node]:
        while self:
            yield self.any()

    def oid(self) -> str:
        return oid_text(self.take(OID).content, self._part)

    def integer(self) -> int:
        raw = self.take(INTEGER).content
        if not raw or (len(raw) > 1 and raw[0] in {0, 0xFF} and (raw[0] ^ raw[1]) < 0x80):
            raise self.bad("has an integer that is not minimal")
        return int.from_bytes(raw, "big", signed=True)

    def octets(self) -> bytes:
        return self.take(OCTET_STRING).content

    def time(self) -> datetime:
        """GeneralizedTime of RFC 3161 2.4.2: UTC, with or without a fraction of a second."""
        raw = self.take(GENERALIZED_TIME).content
        match = _TIME.fullmatch(raw.decode("ascii", "replace"))
        if match is None:
            raise self.bad("has a time that is not UTC to the second or finer")
        try:
            whole = datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            raise self.bad(f"has the time {match[1]}, which does not exist") from None
        return whole + timedelta(microseconds=int((match[2] or "").ljust(6, "0")[:6]))


def oid_text(raw: bytes, part: str) -> str:
    """Dotted form of an object identifier's content."""
    numbers, value, start = [0], 0, True
    for byte in raw:
        if start and byte == 0x80:
            raise Malformed(part, "has an object identifier that is not minimal")
        value = value << 7 | byte & 0x7F
        start = byte < 0x80
        if start:
            numbers.append(value)
            value = 0
    if not raw or not start:
        raise Malformed(part, "has an object identifier without an end")
    first = min(numbers[1] // 40, 2)
    return ".".join(map(str, (first, numbers[1] - 40 * first, *numbers[2:])))


def utf8(raw: bytes, part: str) -> str:
    """The one UTF8String that `raw` is."""
    reader = Reader(raw, part)
    content = reader.take(UTF8_STRING).content
    reader.end()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed(part, "has a text that is not UTF-8") from None
