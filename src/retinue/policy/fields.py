"""Reading a document strictly: every field is asked for by name and kind, and none is left over."""

from collections.abc import Callable, Collection, Iterator, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from retinue.policy.errors import PolicyInvalid
from retinue.policy.globs import BadGlob
from retinue.policy.units import BadUnit

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

MAX_ITEMS = 10_000
"""Entries of one list, and fields of one table: beyond that nobody wrote it by hand."""


class Table:
    """One table of the document. `done` refuses the fields that nobody asked for."""

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, dict):
            raise PolicyInvalid(path or "document", f"must be a table, not {_shape(value)}")
        if len(value) > MAX_ITEMS:
            raise PolicyInvalid(path or "document", f"has more than {MAX_ITEMS} fields")
        self.path = path
        self._rest: dict[str, Any] = dict(value)

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        return name in self._rest

    def wrong(self, name: str, reason: str) -> PolicyInvalid:
        return PolicyInvalid(self.at(name), reason)

    def take(self, name: str) -> Any:
        """Any value; a field that is missing is an error."""
        if name not in self._rest:
            raise self.wrong(name, "is missing")
        return self._rest.pop(name)

    def done(self) -> None:
        for name in self._rest:
            raise self.wrong(str(name)[:80], "is no field that is known here")

    def text(self, name: str, default: str | None = None) -> str:
        value = self.take(name) if default is None or self.has(name) else default
        return checked_text(value, self.at(name))

    def maybe_text(self, name: str) -> str | None:
        return self.text(name) if self.has(name) else None

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.take(name) if self.has(name) else default
        if not isinstance(value, bool):
            raise self.wrong(name, f"must be true or false, not {_shape(value)}")
        return value

    def count(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        value = self.take(name) if default is None or self.has(name) else default
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**31:
            raise self.wrong(name, f"must be a whole number of at least {least}")
        return value

    def number(self, name: str, default: float, least: float, most: float) -> float:
        value = self.take(name) if self.has(name) else default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, f"must be a number, not {_shape(value)}")
        if not least <= value <= most:
            raise self.wrong(name, f"must be from {least:g} to {most:g}")
        return float(value)

    def choice(self, name: str, kinds: type[E], default: E | None = None) -> E:
        return choose(self.text(name, default), kinds, self.at(name))

    def texts(self, name: str, *, empty: bool = True) -> tuple[str, ...]:
        """A list of distinct texts; a field that is missing is an empty one."""
        values = self.take(name) if self.has(name) or not empty else []
        items = [checked_text(item, path) for path, item in listed(values, self.at(name))]
        if not items and not empty:
            raise self.wrong(name, "is empty; name at least one")
        if len(set(items)) != len(items):
            raise self.wrong(name, "names something twice")
        return tuple(items)

    def each(self, name: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """What a parser makes of each text of a list."""
        texts = enumerate(self.texts(name))
        return tuple(read(parse, text, f"{self.at(name)}[{i}]") for i, text in texts)

    def unit(self, name: str, parse: Callable[[Any], T]) -> T | None:
        """A duration, size or instant, where it is given."""
        return read(parse, self.take(name), self.at(name)) if self.has(name) else None

    def table(self, name: str) -> "Table":
        """A table below; one that is missing is empty."""
        return Table(self.take(name) if self.has(name) else {}, self.at(name))

    def tables(self, name: str) -> Iterator["Table"]:
        """The tables of a list; a field that is missing is an empty one."""
        values = self.take(name) if self.has(name) else []
        return (Table(item, path) for path, item in listed(values, self.at(name)))

    def named(self, name: str) -> Iterator[tuple[str, "Table"]]:
        """The tables of a table, by name."""
        below = self.table(name)
        return ((key, Table(value, below.at(key))) for key, value in below.items())

    def strings(self, name: str) -> Mapping[str, str]:
        """A table of texts; one that is missing is empty."""
        below = self.table(name)
        return {key: checked_text(value, below.at(key)) for key, value in below.items()}

    def items(self) -> Collection[tuple[str, Any]]:
        """What nobody asked for yet: names that the author chose, and their values."""
        return self._rest.items()


def listed(values: object, path: str) -> Iterator[tuple[str, Any]]:
    """The items of a list with their paths."""
    if not isinstance(values, list):
        raise PolicyInvalid(path, f"must be a list, not {_shape(values)}")
    if len(values) > MAX_ITEMS:
        raise PolicyInvalid(path, f"has more than {MAX_ITEMS} entries")
    return ((f"{path}[{i}]", item) for i, item in enumerate(values))


def checked_text(value: object, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise PolicyInvalid(path, f"must be a text that is not empty, not {_shape(value)}")
    return value


def choose(value: str, kinds: type[E], path: str) -> E:
    try:
        return kinds(value)
    except ValueError:
        known = ", ".join(kinds)
        raise PolicyInvalid(path, f"{value[:80]!r} is none of: {known}") from None


def read(parse: Callable[[Any], T], value: Any, path: str) -> T:
    """What a parser makes of a value; what it says against it is said of the path."""
    try:
        return parse(value)
    except (BadGlob, BadUnit) as problem:
        raise PolicyInvalid(path, str(problem)) from None
    except TypeError:
        raise PolicyInvalid(path, f"must be a text, not {_shape(value)}") from None


_SHAPES = {
    dict: "a table",
    list: "a list",
    str: "a text",
    bool: "true or false",
    type(None): "null",
}


def _shape(value: object) -> str:
    return _SHAPES.get(type(value), "a number" if isinstance(value, int | float) else "a date")
