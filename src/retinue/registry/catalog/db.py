"""The catalog behind four verbs. The questions live beside this file as typed functions.

A transaction is a generator that yields statements: SQLite's group commit runs it in a writer
thread that cannot await, PostgreSQL drives the same generator asynchronously, and a retry is
calling it again.
"""

import re
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from typing import Protocol, TypeAlias, TypeVar

from retinue.errors import RetinueError

T = TypeVar("T")
Row: TypeAlias = tuple[object, ...]
"""A row, or the arguments of a statement. Never leaves this package."""

_NAME = re.compile(r"(?<!:):([a-z_]\w*)")


class Sql:
    """A statement in the dialects' intersection, with `:name` parameters.

    Arguments are passed by position, in the order in which the names first appear in `text`.
    `postgres` overrides the text there (with the same names in the same order of `text`).
    """

    def __init__(self, text: str, *, postgres: str | None = None) -> None:
        self.names = tuple(dict.fromkeys(_NAME.findall(text)))
        self.sqlite = _NAME.sub(lambda m: f"?{self.names.index(m[1]) + 1}", text)
        self.postgres = _NAME.sub(lambda m: f"${self.names.index(m[1]) + 1}", postgres or text)
        ALL.append(self)


ALL: list[Sql] = []
"""Every statement of the program: the contract suite prepares each on both databases."""

Change: TypeAlias = Generator[tuple[Sql, Row], Sequence[Row], T]
"""A transaction: `rows = yield SQL, args`. It cannot await, and may be run again from the start."""


class CatalogUnavailable(RetinueError):
    """The database cannot be used now (full disk, I/O error, lost connection)."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the catalog is unavailable: {reason}")
        self.reason = reason


class Catalog(Protocol):
    """One database. `one` and `rows` read committed state; `commit` is durable when it returns."""

    async def one(self, sql: Sql, *args: object) -> Row | None:
        """The first row. On SQLite inline: it never suspends."""
        ...

    async def rows(self, sql: Sql, *args: object) -> Sequence[Row]:
        """All rows; inline too, so the statement must carry a limit."""
        ...

    def pages(self, sql: Sql, *args: object) -> AsyncIterator[Sequence[Row]]:
        """A scan, off the event loop.

        The statement's last two names are `:after` (keyset, exclusive) and `:most` (page size):
        pages passes them; the first column of each row is the next `:after`. `args` are the
        values of the names before, and then the first `:after`.
        """
        ...

    async def commit(self, change: Callable[[], Change[T]]) -> T:
        """Run a transaction, grouped with others, in its own savepoint; re-run on conflict.

        What `change` raises undoes it alone and is raised here. Raises CatalogUnavailable when
        the database fails; then nothing of it was kept.
        """
        ...

    async def close(self) -> None: ...
