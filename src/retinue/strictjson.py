"""Bounded JSON that no other reader can understand differently.

RFC 8259 in UTF-8 without a byte order mark. Refused besides: duplicate keys (readers disagree which
one counts), keys of one object that differ only in case (Go's encoding/json matches fields without
regard to case), lone surrogates and invalid UTF-8 (Go replaces them), NaN and numbers beyond a
double, and nesting beyond a depth.
"""

import json
import math
import re
from collections.abc import Collection
from itertools import accumulate
from typing import Any

from retinue.errors import RetinueError

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64

_BOM = "\ufeff"
_MUCH = 4096
_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(range(256)).translate(None, b"[]{}")
_OPEN = re.compile(r"[ \t\n\r]*{[ \t\n\r]*")
_PLAIN_KEY = re.compile(r'"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*')
_COLON = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_AFTER = re.compile(r"[ \t\n\r]*([,}])[ \t\n\r]*")
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u([dD][89a-fA-F]..)|.)", re.DOTALL)


class InvalidJson(RetinueError):
    """The bytes are not JSON that every reader understands alike.

    `offset` is the position in characters where it is known; `key` the offending key, if any.
    """

    def __init__(self, reason: str, *, offset: int | None = None, key: str | None = None) -> None:
        place = "" if offset is None else f" at character {offset}"
        super().__init__(f"invalid JSON{place}: {reason}")
        self.reason = reason
        self.offset = offset
        self.key = key


def loads(data: bytes, *, max_depth: int = MAX_DEPTH, max_bytes: int = MAX_BYTES) -> Any:
    """Parse one JSON value; raises InvalidJson. Large input (over 100 KB) belongs off the loop."""
    text = _text(data, max_depth, max_bytes)
    try:
        return _STRICT.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidJson(error.msg, offset=error.pos) from None
    except ValueError:  # CPython's limit on the digits of an integer
        raise InvalidJson("an integer has too many digits") from None


def _text(data: bytes, max_depth: int, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise InvalidJson(f"{len(data)} bytes are more than the {max_bytes} allowed")
    if not shallow(data, max_depth):
        raise InvalidJson(f"nested deeper than the {max_depth} levels allowed")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJson(f"not UTF-8: {error.reason}", offset=error.start) from None
    if text.startswith(_BOM):
        raise InvalidJson("starts with a byte order mark; remove it", offset=0)
    if "\\" in text and ("\\ud" in text or "\\uD" in text):
        _check_surrogates(text)
    return text


def outline(
    data: bytes,
    opaque: Collection[str],
    *,
    max_depth: int = MAX_DEPTH,
    max_bytes: int = MAX_BYTES,
) -> dict[str, Any]:
    """One JSON object; values under the keys `opaque` are not looked into: the bytes as they stand.

    All else is as strict as `loads`, and what is opaque must at least be JSON. Raises InvalidJson.
    """
    text = _text(data, max_depth, max_bytes)
    pairs: list[tuple[str, Any]] = []
    opened = _OPEN.match(text)
    if opened is None:
        raise InvalidJson("is not an object", offset=0)
    more, place = True, opened.end()
    if text.startswith("}", place):
        more, place = _next(text, place)
    while more:
        key, start = _key(text, place)
        value, place = _value(text, start, _SKIM if key in opaque else _STRICT)
        pairs.append((key, text[start:place].encode() if key in opaque else value))
        more, place = _next(text, place)
    if place != len(text):
        raise InvalidJson("extra data after the object", offset=place)
    return _pairs(pairs)


def _key(text: str, place: int) -> tuple[str, int]:
    plain = _PLAIN_KEY.match(text, place)
    if plain is not None:
        return plain[1], plain.end()
    if not text.startswith('"', place):
        raise InvalidJson("expecting a key in double quotes", offset=place)
    key, place = _value(text, place, _SKIM)
    colon = _COLON.match(text, place)
    if colon is None:
        raise InvalidJson("expecting a colon", offset=place)
    return key, colon.end()


def _value(text: str, place: int, decoder: json.JSONDecoder) -> tuple[Any, int]:
    try:
        return decoder.raw_decode(text, place)
    except json.JSONDecodeError as error:
        raise InvalidJson(error.msg, offset=error.pos) from None
    except ValueError:  # CPython's limit on the digits of an integer
        raise InvalidJson("an integer has too many digits") from None


def _next(text: str, place: int) -> tuple[bool, int]:
    """Whether another member follows a value that ended here, and where it, or the rest, begins."""
    found = _AFTER.match(text, place)
    if found is None:
        raise InvalidJson("expecting a comma or the end of the object", offset=place)
    return found[1] == ",", found.end()


def fold(key: str) -> str:
    """What Go's encoding/json compares field names by: simple case folding, rune by rune."""
    return key.lower() if key.isascii() else "".join(map(_fold_rune, key))


def _fold_rune(rune: str) -> str:
    for folded in (rune.casefold(), rune.lower()):
        if len(folded) == 1:
            return folded
    return rune


def shallow(data: bytes, max_depth: int) -> bool:
    """Whether it is nested no deeper; asked before parsing, so that none can exhaust the stack.

    Up to where the parser would stop at a bracket that does not fit, it is never deeper than this.
    """
    if not _more_than(data, max_depth):
        return True
    brackets = _STRING.sub(b"", data).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) <= max_depth


def _more_than(data: bytes, most: int) -> bool:
    """Whether so many brackets open. To look for the next few is faster than to count in much."""
    if len(data) < _MUCH:
        return data.count(b"[") + data.count(b"{") > most
    for bracket in (b"[", b"{"):
        place = data.find(bracket)
        while place >= 0:
            most -= 1
            if most < 0:
                return True
            place = data.find(bracket, place + 1)
    return False


def _check_surrogates(text: str) -> None:
    for escape in _ESCAPE.finditer(text):
        if escape[1]:
            reason = f"\\u{escape[1]} is half of a surrogate pair"
            raise InvalidJson(reason, offset=escape.start())


def _refuse_variants(pairs: list[tuple[str, Any]]) -> None:
    """Duplicates, and what simple folding merges; full folding, used before, merges more."""
    seen: dict[str, str] = {}
    for key, _ in pairs:
        folded = fold(key)
        other = seen.get(folded)
        if other == key:
            raise InvalidJson(f"the key {key[:80]!r} occurs twice in one object", key=key)
        if other is not None:
            reason = f"the keys {other[:80]!r} and {key[:80]!r} differ only in case"
            raise InvalidJson(reason, key=key)
        seen[folded] = key


def _constant(name: str) -> Any:
    raise InvalidJson(f"{name} is not JSON")


def _float(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise InvalidJson(f"the number {literal[:40]} is beyond what readers can hold")
    return number


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(pairs) > 1 and len({*map(str.casefold, result)}) != len(pairs):
        _refuse_variants(pairs)
    return result


def distinct(keys: Collection[str]) -> bool:
    """Whether these keys, all different, surely differ in more than case; else `loads` may refuse."""
    return len(keys) < 2 or len({*map(str.casefold, keys)}) == len(keys)


_STRICT = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_float, strict=True
)
_SKIM = json.JSONDecoder(parse_constant=_constant, parse_float=_float, strict=True)
