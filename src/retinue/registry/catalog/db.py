"""The catalog behind four verbs. The questions live beside this file as typed functions.

A transaction is a generator that yields statements: SQLite's group commit runs it in a writer
thread that cannot await, PostgreSQL drives the same generator asynchronously, and a retry is
calling it again.
"""

import re
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from enum import StrEnum
from functools import partial
from typing import NoReturn, Protocol, TypeAlias, TypeVar

from retinue.errors import RetinueError

T = TypeVar("T")
Row: TypeAlias = tuple[object, ...]
"""A row, or the arguments of a statement. Never leaves this package."""

_NAME = re.compile(r"(?<!:):([a-z_]\w*)")


class Sql:
    """A statement in the dialects' intersection, with `:name` parameters.

    Arguments are passed by position, in the order in which the names first appear in `text`.
    `postgres` overrides the text there (with the same names in the same order of `text`); one that
    does its work there alone is `idle` on SQLite, where writers need not run it.
    The contract suite refuses a statement that reads a whole table or index, unless it `scans`,
    and one whose work grows with the data, unless it says with what: `grows`. Neither runs on the
    event loop.
    """

    def __init__(
        self,
        text: str,
        *,
        postgres: str | None = None,
        scans: bool = False,
        grows: str = "",
        idle: bool = False,
    ) -> None:
        self.scans = scans
        self.grows = grows
        self.idle = idle
        self.names = tuple(dict.fromkeys(_NAME.findall(text)))
        self.sqlite = _NAME.sub(lambda m: f"?{self.names.index(m[1]) + 1}", text)
        self.postgres = _NAME.sub(lambda m: f"${self.names.index(m[1]) + 1}", postgres or text)
        ALL.append(self)

    def require_keyset(self) -> None:
        """Raises ValueError unless this can be read by pages (see `Catalog.pages`)."""
        if self.names[-2:] != ("after", "most"):
            raise ValueError(
                f"its last names are {self.names[-2:]}, not after and most: {self.sqlite}"
            )


ALL: list[Sql] = []
"""Every statement of the program: the contract suite prepares each on both databases."""

Change: TypeAlias = Generator[tuple[Sql, Row], Sequence[Row], T]
"""A transaction: `rows = yield SQL, args`. It cannot await, and may be run again from the start."""


class Freeing(partial[Change[T]]):
    """A change that gives space back, or that those wait for which do. On a full disk it may use
    the reserve (storage rule 23)."""


class CatalogUnavailable(RetinueError):
    """The database cannot be used now (full disk, I/O error, lost connection).

    A write that was answered so may have been kept in one case alone: when the connection to a
    PostgreSQL server, or the power, went while it committed.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the catalog is unavailable: {reason}")
        self.reason = reason


class CatalogBusy(CatalogUnavailable):
    """Somebody else held what a change needs for longer than one waits. Nothing of it was kept."""


class Constraint(StrEnum):
    UNIQUE = "unique"
    FOREIGN_KEY = "foreign key"
    NOT_NULL = "not null"
    CHECK = "check"


class ConstraintViolated(RetinueError):
    """A statement of a change broke a constraint of the schema.

    Raised into the change at its `yield`, so that it can say in its own words what this means; it
    ends the change on both databases (PostgreSQL has aborted the transaction by then): a change
    that goes on is undone, and this is raised for it.
    """

    def __init__(self, kind: Constraint, detail: str) -> None:
        super().__init__(f"{kind} constraint violated: {detail}")
        self.kind = kind
        self.detail = detail


def end(change: Change[T], violated: ConstraintViolated) -> NoReturn:
    """Raise `violated` into `change`, and from here what comes out of it, or itself."""
    try:
        change.throw(violated)
    except StopIteration:
        raise violated from None
    change.close()
    raise violated


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

    async def scan(self, sql: Sql, *args: object) -> Sequence[Row]:
        """All rows, off the event loop: for upkeep, whose statements may touch more than a page."""
        ...

    async def commit(self, change: Callable[[], Change[T]]) -> T:
        """Run a transaction, grouped with others; it may have to run again for their sake.

        What `change` raises undoes it alone and is raised here. Raises CatalogUnavailable when
        the database fails; then nothing of it was kept (but see there). A caller that is cancelled
        meanwhile does not know whether it was.
        """
        ...

    def gone(self) -> str | None:
        """Why nothing can be committed until an operator has put the data back; None: it can."""
        ...

    def full(self) -> str | None:
        """Why only `Freeing` changes are kept now, and bytes should not be stored either; None:
        there is room on the disk."""
        ...

    def generation(self) -> int | None:
        """A number that is the same for as long as nothing was committed, by any process: what
        was read under it still is so. None: that cannot be told (now, or ever). From any thread."""
        ...

    async def close(self) -> None: ...
