"""How the command line shows things: JSON or text, colours that respect NO_COLOR, sizes, tables."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from retinue.cli.output import say

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"


def emit(data: Any, text: str, *, as_json: bool) -> None:
    """Print `data` as JSON, or `text` for people; no text, no line."""
    if as_json:
        say(json.dumps(data, indent=2, ensure_ascii=False))
    elif text:
        say(text)


def coloured(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether colour belongs on this stream (no-color.org; CLICOLOR_FORCE wins over a pipe)."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return stream.isatty() and environ.get("TERM") != "dumb"


def paint(text: str, *codes: str) -> str:
    """Colour text that goes to standard output."""
    if not codes or not coloured(sys.stdout):
        return text
    return f"\x1b[{';'.join(codes)}m{text}\x1b[0m"


def clean(text: str) -> str:
    """Text of others, with nothing that steers a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def size(count: int) -> str:
    """A number of bytes as people read it: 999 B, 1.5 kB, 20.3 MB."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def count(number: int, one: str, many: str = "") -> str:
    """`1 paper`, `2 papers`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns; the first row is the head."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines[0] = paint(lines[0], DIM)
    return "\n".join(lines)
