"""Numbered migrations, and the two numbers that say which code may use the data.

`schema` is the number of the last migration that was applied; `min_code` is the least code that may
use the result. A program's own number is that of the newest migration it knows: expand, deploy,
backfill, contract (storage.md 10). Everything here is a plain decision; the drivers apply it.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import accumulate

from msgspec import Struct
from msgspec.structs import replace

from retinue.errors import RetinueError

_FILE = re.compile(r"(\d{4})_\w+\.sql")
_LEAST = re.compile(r"^-- least code: (\d+)$", re.MULTILINE)

SQLITE: Mapping[str, str] = {
    "{id}": "integer primary key autoincrement",
    "{int}": "integer",
    "{bytes}": "blob",
    "{text}": "text",
    "{plain}": "strict",
    "{clustered}": "strict, without rowid",
    "{sqlite}": "",
    "{/sqlite}": "",
    "{postgres}": "/*",
    "{/postgres}": "*/",
}
POSTGRES: Mapping[str, str] = {
    "{id}": "bigint generated always as identity primary key",
    "{int}": "bigint",
    "{bytes}": "bytea",
    "{text}": 'text collate "C"',
    "{plain}": "",
    "{clustered}": "",
    "{sqlite}": "/*",
    "{/sqlite}": "*/",
    "{postgres}": "",
    "{/postgres}": "",
}

LEDGER = "create table if not exists migration (number {int} primary key, sha256 {text} not null) {plain}"
"""What was applied, and the digest of the file at that time."""


class SchemaTooNew(RetinueError):
    """The data was written by a newer program that says this one may not use it."""

    def __init__(self, schema: int, min_code: int, code: int) -> None:
        super().__init__(
            f"the catalog has schema {schema} and may be used by programs from {min_code} on; "
            f"this one is {code}: start a newer version of Retinue"
        )
        self.schema = schema
        self.min_code = min_code
        self.code = code


class MigrationEdited(RetinueError):
    """The data was made by another text of a migration than this program has."""

    def __init__(self, number: int, applied: str, known: str) -> None:
        super().__init__(
            f"migration {number} was applied with sha256 {applied} and is {known} here: "
            "this catalog was made by another build of Retinue; use that build"
        )
        self.number = number
        self.applied = applied
        self.known = known


class MigrationsBroken(RetinueError):
    """The catalog's list of migrations has a hole, or the program's own files do."""

    def __init__(self, numbers: Sequence[int]) -> None:
        super().__init__(
            f"migrations {list(numbers)} are not numbered 1, 2, 3, …: reinstall Retinue"
        )
        self.numbers = tuple(numbers)


class ForeignData(RetinueError):
    """The database holds somebody else's tables."""

    def __init__(self, tables: Sequence[str]) -> None:
        super().__init__(
            f"the database has tables ({', '.join(tables[:5])}) and is no catalog of Retinue's: "
            "name a new file, or an empty database"
        )
        self.tables = tuple(tables)


class Migration(Struct, frozen=True):
    """One file. `least_code` is its line `-- least code: N`, else its own number."""

    number: int
    text: str
    sha256: str
    least_code: int

    def script(self, tokens: Mapping[str, str]) -> str:
        return translate(self.text, tokens)


def translate(text: str, tokens: Mapping[str, str]) -> str:
    """`text` with its tokens replaced by a dialect's words."""
    for token, words in tokens.items():
        text = text.replace(token, words)
    return text


def read(number: int, text: str) -> Migration:
    least = _LEAST.search(text)
    digest = sha256(text.encode()).hexdigest()
    return Migration(number, text, digest, int(least[1]) if least else number)


@cache
def known() -> tuple[Migration, ...]:
    """The program's own migrations, in order. Raises MigrationsBroken."""
    found = [
        read(int(match[1]), file.read_text(encoding="utf-8"))
        for file in files("retinue.registry.catalog.migrations").iterdir()
        if (match := _FILE.fullmatch(file.name))
    ]
    found.sort(key=lambda migration: migration.number)
    require_gapless([migration.number for migration in found])
    return raised(found)


def raised(migrations: Sequence[Migration]) -> tuple[Migration, ...]:
    """What an earlier one asks of programs, the later ones ask too."""
    least = accumulate((each.least_code for each in migrations), max)
    pairs = zip(migrations, least, strict=True)
    return tuple(replace(each, least_code=code) for each, code in pairs)


def require_gapless(numbers: Sequence[int]) -> None:
    if list(numbers) != list(range(1, len(numbers) + 1)):
        raise MigrationsBroken(numbers)


def require_ours(applied: Sequence[tuple[int, str]], tables: Sequence[str]) -> None:
    """Raises ForeignData for `tables` (but the ledger) where no migration was applied yet."""
    if tables and not applied:
        raise ForeignData(tables)


def pending(
    applied: Sequence[tuple[int, str]], min_code: int, migrations: Sequence[Migration]
) -> Sequence[Migration]:
    """Which of `migrations` are still to be applied to data with these (number, sha256).

    Data that is newer is used as it is when it allows that. Raises SchemaTooNew, MigrationEdited,
    MigrationsBroken.
    """
    code = len(migrations)
    require_gapless([number for number, _ in applied])
    if min_code > code:
        raise SchemaTooNew(len(applied), min_code, code)
    for migration, (_, digest) in zip(migrations, applied, strict=False):
        if migration.sha256 != digest:
            raise MigrationEdited(migration.number, digest, migration.sha256)
    return migrations[len(applied) :]
