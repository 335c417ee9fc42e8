"""Transactions stepped one statement at a time, so that a test decides how two interleave.

A step is one statement, up to the change's next `yield`; the commit is a step of its own. A step
that meets a lock of the other's says so, and can be tried again. On SQLite the lock is the one for
writing, met at the first step; on PostgreSQL any that a statement waits for.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Generic, Protocol, TypeVar

import apsw
import psycopg

from retinue.registry.catalog.db import Change, ConstraintViolated, Row, Sql, end
from retinue.registry.catalog.groupcommit import run
from retinue.registry.catalog.opening import sqlite_path
from retinue.registry.catalog.pgconnections import CONFLICTS, Connection, connect, violated
from retinue.registry.catalog.sqlite import SqliteFile

T = TypeVar("T")
STEPS = 10_000
"""Most steps of two changes together."""


class Blocked(Exception):
    """The other transaction holds what this one needs."""


class Conflict(Exception):
    """The database undid this transaction in favour of the other: it begins again."""


class Session(Protocol):
    """One connection with at most one transaction."""

    async def begin(self) -> None: ...
    async def ask(self, sql: Sql, args: Row) -> Sequence[Row]: ...
    async def commit(self) -> None: ...
    async def roll_back(self) -> None: ...
    async def waits(self) -> bool:
        """Whether what was asked waits for a lock."""
        ...

    async def close(self) -> None: ...


class SqliteSession:
    def __init__(self, file: SqliteFile) -> None:
        self._connection = file.writer()
        self._connection.set_busy_timeout(0)
        self._cursor = self._connection.cursor()

    async def begin(self) -> None:
        try:
            self._cursor.execute("begin immediate")
        except apsw.BusyError as error:
            raise Blocked from error

    async def ask(self, sql: Sql, args: Row) -> Sequence[Row]:
        return run(self._cursor, sql, args)

    async def commit(self) -> None:
        self._cursor.execute("commit")

    async def roll_back(self) -> None:
        self._cursor.execute("rollback")

    async def waits(self) -> bool:
        return False

    async def close(self) -> None:
        self._connection.close()


class PostgresSession:
    def __init__(self, connection: Connection, monitor: Connection) -> None:
        self._connection = connection
        self._monitor = monitor
        self._process = connection.info.backend_pid

    async def begin(self) -> None:
        await self._connection.execute("begin")

    async def ask(self, sql: Sql, args: Row) -> Sequence[Row]:
        cursor = self._connection.cursor(binary=True)
        try:
            await cursor.execute(sql.postgres.encode(), args)
        except CONFLICTS as error:
            raise Conflict from error
        except psycopg.Error as error:
            broken = violated(error)
            if broken is None:
                raise
            raise broken from error
        return await cursor.fetchall() if cursor.description else ()

    async def commit(self) -> None:
        await self._connection.execute("commit")

    async def roll_back(self) -> None:
        await self._connection.execute("rollback")

    async def waits(self) -> bool:
        cursor = await self._monitor.execute(
            "select cardinality(pg_blocking_pids($1::int)) > 0", (self._process,)
        )
        [(waiting,)] = await cursor.fetchall()
        return bool(waiting)

    async def close(self) -> None:
        await self._connection.close()
        await self._monitor.close()


async def open_session(database: str) -> Session:
    path = sqlite_path(database)
    if path is not None:
        return SqliteSession(SqliteFile(path, durable=False))
    return PostgresSession(await connect(database), await connect(database))


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    result: T | None
    error: BaseException | None


class Stepped(Generic[T]):
    """A change on a session of its own. `outcome` is None until its last step."""

    def __init__(self, session: Session, change: Callable[[], Change[T]]) -> None:
        self._session = session
        self._make = change
        self._task: asyncio.Task[None] | None = None
        self.outcome: Outcome[T] | None = None
        self._restart()

    @property
    def done(self) -> bool:
        return self.outcome is not None

    async def step(self) -> bool:
        """One step; False if a lock of somebody else's is in the way (step again later)."""
        if self._task is None:
            self._task = asyncio.create_task(self._advance())
        while not self._task.done():
            await asyncio.wait({self._task}, timeout=0.002)
            if not self._task.done() and await self._session.waits():
                return False
        task, self._task = self._task, None
        return await self._settle(task)

    async def finish(self) -> Outcome[T]:
        """Step to the end; nobody else may hold a lock that this needs."""
        while self.outcome is None:
            if not await self.step():
                raise Blocked
        return self.outcome

    async def abandon(self) -> None:
        """Give up a step that still waits."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _restart(self) -> None:
        self._change = self._make()
        self._begun = False
        self._rows: Sequence[Row] | None = None
        self._ended = False
        self._result: T | None = None
        self._statement: tuple[Sql, Row] | None = None

    async def _settle(self, task: "asyncio.Task[None]") -> bool:
        error = task.exception()
        if isinstance(error, Blocked):
            return False
        if isinstance(error, Conflict):
            await self._session.roll_back()
            self._restart()
        elif error is not None:
            await self._session.roll_back()
            self.outcome = Outcome(None, error)
        return True

    async def _advance(self) -> None:
        if not self._begun:
            await self._session.begin()
            self._begun = True
            self._resume(None)
        if self._statement is None:
            await self._session.commit()
            self.outcome = Outcome(self._result, None)
            return
        try:
            rows = await self._session.ask(*self._statement)
        except ConstraintViolated as broken:
            end(self._change, broken)
        self._resume(rows)

    def _resume(self, rows: Sequence[Row] | None) -> None:
        try:
            # a generator starts with None
            self._statement = self._change.send(rows)  # type: ignore[arg-type]
        except StopIteration as stop:
            self._statement = None
            self._result = stop.value


@asynccontextmanager
async def opened(database: str, most: int = 2) -> AsyncIterator[Sequence[Session]]:
    """Sessions on the same database; one may serve many changes, one after the other."""
    sessions = [await open_session(database) for _ in range(most)]
    try:
        yield sessions
    finally:
        for session in sessions:
            await session.close()


@asynccontextmanager
async def stepped(
    database: str, *changes: Callable[[], Change[Any]]
) -> AsyncIterator[Sequence[Stepped[Any]]]:
    """Each of `changes` on a connection of its own to the same database."""
    async with opened(database, len(changes)) as sessions:
        all_of_them = [Stepped(*pair) for pair in zip(sessions, changes, strict=True)]
        try:
            yield all_of_them
        finally:
            for one in all_of_them:
                await one.abandon()


async def interleave(
    sessions: Sequence[Session],
    first: Callable[[], Change[Any]],
    second: Callable[[], Change[Any]],
    schedule: Iterable[int],
) -> tuple[Outcome[Any], Outcome[Any]]:
    """Run both: `schedule` says whose step is next, 0 or 1; at its end, each to its own end.

    Where that one is blocked or has ended, the other steps instead. `sessions`: two of `opened`.
    """
    both = [Stepped(*pair) for pair in zip(sessions, (first, second), strict=True)]
    for turn in schedule:
        await _step_either(both[turn], both[1 - turn])
    for _ in range(STEPS):
        if all(one.done for one in both):
            break
        await _step_either(*both)
    one, other = (each.outcome for each in both)
    if one is None or other is None:
        raise Blocked
    return one, other


async def _step_either(one: Stepped[Any], other: Stepped[Any]) -> None:
    moved = not one.done and await one.step()
    if not moved and not other.done:
        await other.step()


def schedules(first: int, second: int) -> Iterator[Sequence[int]]:
    """Every order in which `first` and `second` steps can interleave."""
    total = first + second
    for chosen in combinations(range(total), first):
        yield [0 if position in chosen else 1 for position in range(total)]
