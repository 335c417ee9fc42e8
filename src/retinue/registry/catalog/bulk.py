"""Many rows in one statement: an argument of JSON, in both dialects."""

import json
import re
from collections.abc import Iterable

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog.db import Sql

_EACH = re.compile(r"json_each\((:\w+)\)")
_JOIN = re.compile(r"(?<!left )\bjoin\b")
_UNHEX = re.compile(r"unhex\(([^()]*)\)")
_BYTE = {"sha256": "01", "sha512": "02"}
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
"""`json.dumps` would make an encoder for every call, at three times the cost."""


def bulk(text: str, *, grows: str = "") -> Sql:
    """A statement that reads rows by `from json_each(:rows) e`, cells by `e.value ->> 0`.

    `unhex(x)` makes binary of text. Both are rewritten for PostgreSQL, which calls them otherwise.
    Tables are joined in the order of the text, from the rows that are given on: no database knows
    their number (SQLite is told so here, PostgreSQL for all statements: ADR 7).
    """
    postgres = _EACH.sub(r"jsonb_array_elements(cast(\1 as jsonb))", text)
    return Sql(
        _JOIN.sub("cross join", text),
        postgres=_UNHEX.sub(r"decode(\1, 'hex')", postgres),
        grows=grows,
    )


def rows(cells: Iterable[Iterable[str | int | None]]) -> str:
    """The argument for `json_each`: an array of arrays."""
    return _encode([list(each) for each in cells])


def column(cells: Iterable[str]) -> str:
    """The same for rows of one cell."""
    return rows([cell] for cell in cells)


def hexa(digest: Digest) -> str:
    """A digest as a cell for `unhex`."""
    return _BYTE[digests.algorithm(digest)] + digests.encoded(digest)
