"""What an option is besides its value, and how its value is read from text or TOML."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("expected text")  # noqa: TRY004 -- one class for whatever is wrong
    return value


def _path(value: object) -> Path:
    text = _text(value)
    if not text:
        raise ValueError("expected a path")
    return Path(text)


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    found = known.get(_text(value).lower())
    if found is None:
        raise ValueError(f"expected true or false, not {value!r}")
    return found


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = _text(value)
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"expected a number, not {value!r}")
    return int(text)


_SIZES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "B": 1}
_TIMES = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _scaled(value: object, units: Mapping[str, float], example: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = _text(value).strip()
    for unit in sorted(units, key=len, reverse=True):
        number = text.removesuffix(unit).rstrip()
        if number != text and number.replace(".", "", 1).isdigit():
            return float(number) * units[unit]
    if text.isascii() and text.isdigit():
        return int(text)
    raise ValueError(f"expected something like {example}, not {value!r}")


def _size(value: object) -> int:
    return int(_scaled(value, _SIZES, "4MiB"))


def _duration(value: object) -> float:
    return float(_scaled(value, _TIMES, "24h"))


def _list(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(_text(item) for item in value)
    return tuple(item.strip() for item in _text(value).split(";") if item.strip())


@dataclass(frozen=True, slots=True)
class Kind:
    """`read` makes a value of text or TOML, raising ValueError; `shape` is what help shows."""

    read: Callable[[object], Any]
    shape: str


TEXT = Kind(_text, "TEXT")
PATH = Kind(_path, "PATH")
SWITCH = Kind(_switch, "true|false")
COUNT = Kind(_count, "N")
SIZE = Kind(_size, "SIZE")
DURATION = Kind(_duration, "TIME")
LIST = Kind(_list, "A;B;…")


@dataclass(frozen=True, slots=True)
class Option:
    """What an option is besides its name and default."""

    kind: Kind
    help: str
    choices: tuple[str, ...] = ()
    least: float | None = None


def option(
    default: Any,
    kind: Kind,
    text: str,
    *,
    choices: tuple[str, ...] = (),
    least: float | None = None,
) -> Any:
    """A field of `Config`; durations are seconds, sizes are bytes."""
    return field(default=default, metadata={"option": Option(kind, text, choices, least)})
