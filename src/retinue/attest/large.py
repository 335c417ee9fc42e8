"""Documents with one huge part, in bounded memory: an envelope's payload, a statement's predicate.

The huge part is found in the bytes (which may be a mapped file) without decoding it; what is around
it is parsed as strictly as ever. An attestation of 50 MB costs its predicate and little more.
"""

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from mmap import ACCESS_READ, mmap
from typing import Any, TypeAlias, TypeGuard

from msgspec import Struct

from retinue import strictjson
from retinue.attest.base64 import InvalidBase64, decode
from retinue.attest.errors import Malformed
from retinue.strictjson import InvalidJson

Raw: TypeAlias = bytes | mmap
"""Bytes in memory, or of a mapped file."""

SMALL = 4 * 1024 * 1024
"""What is no larger is parsed as a whole; what surrounds a huge part may have as many bytes."""
MAX_BYTES = 128 * 1024 * 1024
"""Of a payload."""
MAX_ENCODED = MAX_BYTES // 3 * 4 + SMALL
"""Of a document around a payload."""
MAX_DEPTH = 128

_PIECE = 1024 * 1024 // 4 * 4
_MARK = "~~huge~~"  # no base64, and no JSON outside of a string: takes its place, hides nothing
_HUGE = re.compile(rb'"([A-Za-z0-9+/_-]{65536,}+={0,2})"')
_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SCALAR = re.compile(rb"[-+.0-9A-Za-z]++")


@cache  # it takes milliseconds to make, and only large documents need it
def _bracket(levels: int = 4) -> re.Pattern[bytes]:
    """The next bracket, over all strings, and over all that is nested no deeper than `levels`."""
    plain = rb"[^\[\]{}\"]++|" + _STRING.pattern
    skipped = plain
    for _ in range(levels):
        skipped = rb"%b|\{(?:%b)*+\}|\[(?:%b)*+\]" % (plain, skipped, skipped)
    return re.compile(rb"(?:%b)*+([\[\]{}])" % skipped, re.DOTALL)


_CLOSES = {b"]": b"[", b"}": b"{"}


class Encoded(Struct, frozen=True):
    """Base64 in a document, decoded piece by piece as it is gone through, as often as needed.

    Its length is that of the decoded bytes. Of the alphabet its finder is sure; that it has no
    length that base64 cannot have, `content` checks.
    """

    raw: Raw
    start: int
    end: int  # without padding

    def __repr__(self) -> str:
        return f"Encoded(start={self.start!r}, end={self.end!r})"

    def __len__(self) -> int:
        return (self.end - self.start) * 3 // 4

    def __iter__(self) -> Iterator[bytes]:
        for start in range(self.start, self.end, _PIECE):
            yield decode(self.raw[start : min(start + _PIECE, self.end)].decode("ascii"))


def is_small(raw: Raw) -> TypeGuard[bytes]:
    """Whether it is in memory, and no larger than what is parsed as a whole."""
    return isinstance(raw, bytes) and len(raw) <= min(SMALL, MAX_BYTES)


def load(raw: Raw, part: str) -> Any:
    """The JSON document `raw`; in a large one, huge base64 strings are `Encoded`. Raises Malformed."""
    if len(raw) > MAX_ENCODED:
        raise Malformed(part, f"{len(raw)} bytes are more than the {MAX_ENCODED} allowed")
    try:
        if len(raw) <= SMALL:
            return strictjson.loads(bytes(raw))
        return _load_large(raw, part)
    except InvalidJson as error:
        raise Malformed(part, str(error)) from None


def _load_large(raw: Raw, part: str) -> Any:
    if raw.find(_MARK.encode()) >= 0:
        raise Malformed(part, f"is large and has {_MARK!r} in it, which is not supported")
    regions: dict[str, Encoded] = {}
    around: list[bytes] = []
    rest = 0
    for found in list(_HUGE.finditer(raw)):  # no iterator holds the map when this raises
        start, end = found.span(1)
        mark = f"{_MARK}{len(regions)}"
        padding = raw[end - 2 : end].count(b"=")
        regions[mark] = Encoded(raw, start, end - padding)
        around += raw[rest:start], mark.encode()
        rest = end
    around.append(raw[rest:])
    if sum(map(len, around)) > SMALL:
        raise Malformed(part, f"has more than {SMALL} bytes besides its payload")
    return _replaced(strictjson.loads(b"".join(around)), regions)


def _replaced(value: Any, regions: dict[str, Encoded]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(member, regions) for key, member in value.items()}
    if isinstance(value, list):
        return [_replaced(member, regions) for member in value]
    return regions.get(value, value) if isinstance(value, str) else value


def content(value: object, part: str) -> bytes | Encoded:
    """What a base64 string of a loaded document stands for; raises Malformed."""
    if isinstance(value, Encoded):
        if (value.end - value.start) % 4 == 1:
            raise Malformed(part, "is not base64")
        if len(value) > MAX_BYTES:
            raise Malformed(part, f"{len(value)} bytes are more than the {MAX_BYTES} allowed")
        return value
    try:
        return decode(value)
    except InvalidBase64:
        raise Malformed(part, "is not base64") from None


@contextmanager
def spooled(encoded: Encoded) -> Iterator[mmap]:
    """The decoded bytes as a mapped file without a name, which goes when it is closed."""
    from tempfile import TemporaryFile

    with TemporaryFile() as file:
        for piece in encoded:
            file.write(piece)
        file.flush()
        with mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
            yield mapped


def outline(raw: Raw, key: str, part: str) -> dict[str, Any]:
    """The members of a large JSON object, that of `key` as its bytes. Raises Malformed.

    The bytes of that member are UTF-8 and balanced, and not looked into any further.
    """
    start, end = _member(raw, key, part)
    if len(raw) - (end - start) > SMALL:
        raise Malformed(part, f"has more than {SMALL} bytes besides its {key}")
    _check_text(raw, start, end, part)
    try:
        members: dict[str, Any] = strictjson.loads(raw[:start] + b"0" + raw[end:])
    except InvalidJson as error:
        raise Malformed(part, str(error)) from None
    return {**members, key: raw[start:end]}


def _check_text(raw: Raw, start: int, end: int, part: str) -> None:
    decoder = getincrementaldecoder("utf-8")()
    try:
        for at in range(start, end, _PIECE):
            decoder.decode(raw[at : min(at + _PIECE, end)])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise Malformed(part, f"is not UTF-8: {error.reason}") from None


def _member(raw: Raw, key: str, part: str) -> tuple[int, int]:
    """Where the value of `key` stands in the object."""
    for name, start, end in Reader(raw, part).members():
        if name == key:
            return start, end
    raise Malformed(part, f"is larger than {SMALL} bytes, and has no {key}")


class Reader:
    """Finds where values begin and end; what it does not check, strictjson does afterwards."""

    def __init__(self, raw: Raw, part: str, place: int = 0) -> None:
        self.raw = raw
        self.part = part
        self.place = place

    def members(self) -> Iterator[tuple[str, int, int]]:
        """Key, start and end of each member of the object here. Raises Malformed."""
        self._expect(b"{")
        more = not self._empty(b"}")
        while more:
            name = self._key()
            yield name, *self._value()
            more = self._expect(b",", b"}") == b","

    def items(self) -> Iterator[tuple[int, int]]:
        """Start and end of each item of the list here. Raises Malformed."""
        self._expect(b"[")
        more = not self._empty(b"]")
        while more:
            yield self._value()
            more = self._expect(b",", b"]") == b","

    def _bad(self, expected: str) -> Malformed:
        return Malformed(self.part, f"invalid JSON at byte {self.place}: expecting {expected}")

    def _space(self) -> None:
        match = _SPACE.match(self.raw, self.place)
        assert match is not None
        self.place = match.end()

    def _expect(self, *tokens: bytes) -> bytes:
        self._space()
        token: bytes = self.raw[self.place : self.place + 1]
        if token not in tokens:
            raise self._bad(" or ".join(each.decode() for each in tokens))
        self.place += 1
        return token

    def _empty(self, closing: bytes) -> bool:
        self._space()
        return self.raw[self.place : self.place + 1] == closing

    def _take(self, pattern: re.Pattern[bytes], expected: str) -> bytes:
        match = pattern.match(self.raw, self.place)
        if match is None:
            raise self._bad(expected)
        self.place = match.end()
        return match[match.lastindex or 0]

    def _key(self) -> str:
        self._space()
        try:
            name: str = json.loads(self._take(_STRING, "a key"))
        except ValueError:
            raise self._bad("a key") from None
        self._expect(b":")
        return name

    def _value(self) -> tuple[int, int]:
        self._space()
        start = self.place
        first = self.raw[start : start + 1]
        if first == b'"':
            self._take(_STRING, "the end of a string")
        elif first in {b"{", b"["}:
            self._balanced(first)
        else:
            self._take(_SCALAR, "a value")
        return start, self.place

    def _balanced(self, opener: bytes) -> None:
        opened = [opener]
        self.place += 1
        while opened:
            bracket = self._take(_bracket(), "a closing bracket")
            if bracket not in _CLOSES:
                opened.append(bracket)
            elif opened.pop() != _CLOSES[bracket]:
                raise self._bad("the other kind of bracket")
            if len(opened) > MAX_DEPTH:
                raise Malformed(self.part, f"is nested deeper than {MAX_DEPTH} levels")
