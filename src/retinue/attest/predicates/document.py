"""A predicate's JSON, from which the typed views take what they know; all else stays untouched."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from retinue import strictjson
from retinue.attest.errors import Malformed
from retinue.strictjson import InvalidJson

MAX_BYTES = 16 * 1024 * 1024
"""Of a predicate that is looked into as a whole."""
MAX_ITEMS = 100_000
MAX_DEPTH = 128


def load(predicate: bytes) -> Any:
    """The JSON of a predicate, as strictly as everything; raises Malformed."""
    if not predicate:
        raise Malformed("predicate", "is not there")
    try:
        return strictjson.loads(predicate, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
    except InvalidJson as error:
        raise Malformed("predicate", str(error)) from None


class Object(Struct, frozen=True):
    """A JSON object, and where it stands in the predicate. What has another type than it should
    raises Malformed; what is absent (or null) is empty, or None."""

    value: Mapping[str, Any]
    place: str = ""

    @classmethod
    def of(cls, predicate: bytes) -> "Object":
        return cls.at(load(predicate), "")

    @classmethod
    def at(cls, value: Any, place: str) -> "Object":
        if not isinstance(value, dict):
            raise Malformed("predicate", f"{place or 'it'} is not an object")
        return cls(value, place)

    def where(self, name: str) -> str:
        return f"{self.place}/{name}"

    def _bad(self, name: str, wanted: str) -> Malformed:
        found = self.value.get(name)
        return Malformed("predicate", f"{self.where(name)} is {found!r:.80}, not {wanted}")

    def object(self, name: str) -> "Object":
        found = self.value.get(name)
        return Object.at({} if found is None else found, self.where(name))

    def text(self, name: str) -> str | None:
        found = self.value.get(name)
        if found is not None and not isinstance(found, str):
            raise self._bad(name, "a string")
        return found

    def needed(self, name: str) -> str:
        found = self.text(name)
        if not found:
            raise self._bad(name, "a string that says something")
        return found

    def time(self, name: str) -> datetime | None:
        """RFC 3339, with its offset. A claim, never a trusted time."""
        found = self.text(name)
        if found is None:
            return None
        try:
            at = datetime.fromisoformat(found)
        except ValueError:
            raise self._bad(name, "a time") from None
        if at.tzinfo is None:
            raise self._bad(name, "a time with its offset")
        return at

    def items(self, name: str) -> Iterator[Any]:
        found = self.value.get(name)
        if found is None:
            return iter(())
        if not isinstance(found, list):
            raise self._bad(name, "a list")
        if len(found) > MAX_ITEMS:
            raise Malformed("predicate", f"{self.where(name)} has more than {MAX_ITEMS} items")
        return iter(found)

    def objects(self, name: str) -> Iterator["Object"]:
        for index, item in enumerate(self.items(name)):
            yield Object.at(item, f"{self.where(name)}/{index}")

    def texts(self, name: str) -> tuple[str, ...]:
        found = tuple(self.items(name))
        if not all(isinstance(item, str) for item in found):
            raise Malformed("predicate", f"{self.where(name)} has an item that is no string")
        return found

    def map_of_texts(self, name: str) -> Mapping[str, str]:
        found = self.object(name).value
        if not all(isinstance(item, str) for item in found.values()):
            raise Malformed("predicate", f"{self.where(name)} has a value that is no string")
        return found
