"""What SQLite plans to do for a statement, read from `explain query plan`."""

import re
from collections.abc import Collection, Sequence

import apsw

_TABLE = re.compile(r"\b(?:from|join|update|into)\s+(\w+)(?:\s+(?:as\s+)?(\w+))?", re.IGNORECASE)
_COMMON = re.compile(
    r"(?:\bwith\s+(?:recursive\s+)?|\)\s*,\s*)(\w+)\s*(?:\([^)]*\))?\s+as\b", re.IGNORECASE
)
_PARAMETER = re.compile(r"\?(\d+)")
_REPOSITORY = re.compile(r"^SEARCH (\w+) .*\(repository=\?\)")
_SCAN = re.compile(r"^SCAN (\w+)")


def plan(connection: apsw.Connection, text: str) -> Sequence[str]:
    """The lines of the plan. Raises apsw.SQLError where SQLite does not understand `text`."""
    arguments = (None,) * max(map(int, _PARAMETER.findall(text)), default=0)
    rows = connection.execute(f"explain query plan {text}", arguments)
    return [str(row[3]) for row in rows]


def scans(lines: Sequence[str], text: str, tables: Collection[str]) -> Sequence[str]:
    """The lines that read all of a stored table, skip through it, or build an index on the spot."""
    return [line for line in lines if _whole(line, text, tables)]


def repositories(lines: Sequence[str]) -> Sequence[str]:
    """The lines that read all that one repository has."""
    return [line for line in lines if _REPOSITORY.match(line)]


def _whole(line: str, text: str, tables: Collection[str]) -> bool:
    if "AUTOMATIC" in line or "(ANY(" in line:
        return True
    match = _SCAN.match(line)
    return match is not None and bool(_stands_for(match[1], text) & frozenset(tables))


def _stands_for(name: str, text: str) -> frozenset[str]:
    """The tables that `name` may mean in `text`: itself, or those it is an alias of."""
    common = frozenset(_COMMON.findall(text))
    aliased = {table for table, alias in _TABLE.findall(text) if alias == name}
    return (frozenset({name}) | aliased) - common
