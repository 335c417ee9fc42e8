"""JSON Pointers (RFC 6901), with bounds."""

from collections.abc import Iterator
from typing import Any

from retinue.errors import RetinueError

MAX_LENGTH = 1024


class InvalidPointer(RetinueError):
    """The text is no JSON Pointer."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"JSON Pointer {text[:120]!r}: {reason}")
        self.text = text
        self.reason = reason


def parse(pointer: str) -> tuple[str, ...]:
    """The names on the way; the empty pointer is the whole document. Raises InvalidPointer."""
    if len(pointer) > MAX_LENGTH:
        raise InvalidPointer(pointer, f"is longer than {MAX_LENGTH} characters")
    first, *tokens = pointer.split("/")
    if first:
        raise InvalidPointer(pointer, "must be empty, or start with '/'")
    if any(token.replace("~0", "").replace("~1", "").count("~") for token in tokens):
        raise InvalidPointer(pointer, "has a '~' that is not '~0' or '~1'")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in tokens)


def lookup(document: Any, pointer: str) -> Iterator[Any]:
    """The value that a pointer leads to: one, or none. null is a value. Raises InvalidPointer."""
    value = document
    for name in parse(pointer):
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and _is_index(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            return
    yield value


def _is_index(name: str) -> bool:
    digits = name.isascii() and name.isdigit() and len(name) < 10
    return digits and (name == "0" or not name.startswith("0"))
