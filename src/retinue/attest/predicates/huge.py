"""Large predicates whose bulk is in lists of their top level: items are parsed one at a time."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from retinue import strictjson
from retinue.attest import large
from retinue.attest.errors import Malformed
from retinue.attest.predicates import document
from retinue.strictjson import InvalidJson

WHOLE = 4 * 1024 * 1024
"""What is no larger is parsed at once."""
MAX_ITEM = 4 * 1024 * 1024


class Items(Struct, frozen=True):
    """The items of a list that stands in `raw` from `start`; gone through as often as needed."""

    raw: bytes
    start: int

    def __repr__(self) -> str:
        return f"Items(start={self.start!r})"

    def __iter__(self) -> Iterator[Any]:
        reader = large.Reader(self.raw, "predicate", self.start)
        for start, end in reader.items():
            yield _parse(self.raw[start:end])


def load(predicate: bytes, lists: tuple[str, ...]) -> Any:
    """The JSON of a predicate; in a large object, members named in `lists` that are lists are
    `Items`. Raises Malformed.
    """
    if len(predicate) <= WHOLE or predicate[:1] != b"{":
        return document.load(predicate)
    found: dict[str, Any] = {}
    folded: set[str] = set()
    for name, start, end in large.Reader(predicate, "predicate").members():
        if strictjson.fold(name) in folded:
            raise Malformed("predicate", f"the key {name[:80]!r} occurs twice")
        folded.add(strictjson.fold(name))
        if name in lists and predicate[start : start + 1] == b"[":
            found[name] = Items(predicate, start)
        else:
            found[name] = _parse(predicate[start:end])
    return found


def _parse(raw: bytes) -> Any:
    try:
        return strictjson.loads(raw, max_bytes=MAX_ITEM, max_depth=document.MAX_DEPTH)
    except InvalidJson as error:
        raise Malformed("predicate", str(error)) from None
