"""The catalog on PostgreSQL: READ COMMITTED, pipelined reads, one transaction per change.

Imported only where a `postgresql://` database is opened: it needs the extra `postgres`. Behind
pgbouncer use session pooling: sessions are set up once, and statements are prepared in them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import NoReturn

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from retinue.registry.catalog import meta, migrate, pgplanner
from retinue.registry.catalog.db import CatalogBusy, CatalogUnavailable, Change, Row, Sql, T, end
from retinue.registry.catalog.pgconnections import (
    CONFLICTS,
    HELD,
    UNAVAILABLE,
    Connection,
    Pool,
    connect,
    lost,
    violated,
)
from retinue.registry.catalog.pgreads import Reads

PAGE = 500
"""Rows per page of a scan."""
READERS = 4
WRITERS = 8
WAITERS = 2
"""Writers that wait for what somebody else holds: changes that need nothing of it have the others."""
TRIES = 8
"""How often a change is run that conflicts with others; the pauses between add up to 2.5 s at most."""

_TABLES = """select table_name from information_schema.tables
where table_schema = current_schema() and table_name <> 'migration'"""
_PATIENT = "set statement_timeout = 0; set lock_timeout = 0"
_BRIEF = "set lock_timeout = '200ms'"
_LONG = "set lock_timeout = '10s'"
_PAUSE = 0.01
_OPEN = (TransactionStatus.INTRANS, TransactionStatus.INERROR)
_READ_ONLY = "set default_transaction_read_only = on"
_UNSAFE = "set synchronous_commit = off"
_MIGRATING = 0x52_65_74_69_6E_75_65
"""The advisory lock of migrations; those of repositories are their ids, far below."""


class _Lost(Exception):
    """The connection went before `commit` was sent: nothing was kept."""


def readable(url: str) -> bool:
    """Whether the driver can make anything of it."""
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return False
    return True


async def upgrade(url: str, entropy: Callable[[int], bytes]) -> Sequence[int]:
    """As `sqlite.upgrade`; the lock is the server's. Raises CatalogUnavailable too."""
    try:
        connection = await connect(url, session=_PATIENT)
        try:
            async with connection.transaction():
                await connection.execute("select pg_advisory_xact_lock($1)", (_MIGRATING,))
                return await _apply(connection, entropy)
        finally:
            await connection.close()
    except UNAVAILABLE as error:
        raise CatalogUnavailable(str(error)) from error


async def _apply(connection: Connection, entropy: Callable[[int], bytes]) -> Sequence[int]:
    todo = migrate.pending(*await _state(connection), migrate.known())
    for migration in todo:
        await connection.execute(migration.script(migrate.POSTGRES).encode())
        ledger = "insert into migration (number, sha256) values ($1, $2)"
        await connection.execute(ledger, (migration.number, migration.sha256))
        for row in meta.numbers(migration.number, migration.least_code):
            await connection.execute(meta.WRITE.postgres.encode(), row)
    if todo:
        await pgplanner.teach(connection)
    for row in meta.beginnings(entropy(meta.SECRET_BYTES)):
        await connection.execute(meta.FIRST.postgres.encode(), row)
    return [migration.number for migration in todo]


async def _state(connection: Connection) -> tuple[Sequence[tuple[int, str]], int]:
    await connection.execute(migrate.translate(migrate.LEDGER, migrate.POSTGRES).encode())
    cursor = await connection.execute("select number, sha256 from migration order by number")
    applied = [(int(number), str(digest)) for number, digest in await cursor.fetchall()]
    cursor = await connection.execute(_TABLES)
    migrate.require_ours(applied, [str(name) for (name,) in await cursor.fetchall()])
    if not applied:
        return [], 0
    cursor = await connection.execute(meta.READ.postgres.encode(), ("min_code",))
    [(least,)] = await cursor.fetchall()
    return applied, int(least)


class PostgresCatalog:
    """A `Catalog` on a database that `upgrade` has made ready. Made and used on one event loop.

    `random` gives numbers from 0 to 1, for pauses after a conflict.
    """

    def __init__(self, url: str, *, durable: bool, random: Callable[[], float]) -> None:
        self._readers = Pool(url, READERS, session=_READ_ONLY)
        self._scanners = Pool(url, 1, session=_READ_ONLY)
        safety = "" if durable else f"{_UNSAFE};"
        self._writers = Pool(url, WRITERS, session=f"{safety}{_BRIEF}")
        self._waiters = Pool(url, WAITERS, session=f"{safety}{_LONG}")
        self._reads = Reads(self._readers)
        self._scans = Reads(self._scanners)
        self._random = random

    async def one(self, sql: Sql, *args: object) -> Row | None:
        rows = await self._reads.ask(sql.postgres, args)
        return rows[0] if rows else None

    async def rows(self, sql: Sql, *args: object) -> Sequence[Row]:
        return await self._reads.ask(sql.postgres, args)

    async def pages(self, sql: Sql, *args: object) -> AsyncIterator[Sequence[Row]]:
        sql.require_keyset()
        while page := await self._scans.ask(sql.postgres, (*args, PAGE)):
            yield page
            if len(page) < PAGE:
                return
            args = (*args[:-1], page[-1][0])

    async def scan(self, sql: Sql, *args: object) -> Sequence[Row]:
        return await self._scans.ask(sql.postgres, args)

    def gone(self) -> None:
        """A server's files are its own."""

    def full(self) -> None:
        """So is its disk."""

    def generation(self) -> None:
        """Other processes may be on other machines."""

    async def commit(self, change: Callable[[], Change[T]]) -> T:
        """As `Catalog.commit`.

        A change whose connection is lost before its `commit` is sent runs once more; when it is
        lost after that, CatalogUnavailable is raised and the change may have been kept. One that
        needs what somebody else holds stands behind others that wait, in the order in which they
        came; it raises CatalogBusy when it was not given it in 10 s.
        """
        dropped = False
        pool = self._writers
        for attempt in range(TRIES):
            try:
                return await self._once(change, pool)
            except CONFLICTS as error:
                reason = str(error)
            except HELD as error:
                if pool is self._waiters:
                    raise CatalogBusy(f"somebody else holds what is changed: {error}") from error
                pool = self._waiters
                continue
            except _Lost as error:
                if dropped:
                    raise CatalogUnavailable(str(error)) from error
                dropped = True
                await pool.forget()
                continue
            await asyncio.sleep(_PAUSE * 2**attempt * self._random())
        raise CatalogUnavailable(f"given up after {TRIES} conflicts with other writers: {reason}")

    async def close(self) -> None:
        await self._reads.close()
        await self._scans.close()
        for pool in (self._readers, self._scanners, self._writers, self._waiters):
            await pool.forget()

    async def _once(self, change: Callable[[], Change[T]], pool: Pool) -> T:
        try:
            async with pool.taken() as connection:
                return await _run(connection, change())
        except (*CONFLICTS, HELD):
            raise
        except UNAVAILABLE as error:
            raise CatalogUnavailable(str(error)) from error


async def _run(connection: Connection, change: Change[T]) -> T:
    try:
        result = await _drive(connection, change)
    except Exception as error:
        if isinstance(error, psycopg.Error) and lost(connection, error):
            await connection.close()
            raise _Lost(str(error)) from error
        await _roll_back(connection)
        raise
    await _commit(connection)
    return result


async def _roll_back(connection: Connection) -> None:
    if connection.info.transaction_status in _OPEN:
        with suppress(psycopg.Error):  # then it is not idle, and the pool closes it
            await connection.execute("rollback")


async def _commit(connection: Connection) -> None:
    """Raises CatalogUnavailable when nobody knows whether it was kept."""
    try:
        await connection.execute("commit")
    except CONFLICTS:
        raise
    except UNAVAILABLE as error:
        raise CatalogUnavailable(f"the connection was lost while committing: {error}") from error


async def _drive(connection: Connection, change: Change[T]) -> T:
    """Run `change` to its end and leave its transaction open. What it raises has undone it."""
    try:
        sql, args = next(change)
        rows = await _first(connection, change, sql, args)
        while True:
            sql, args = change.send(rows)
            rows = await _next(connection, change, sql, args)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def _first(connection: Connection, change: Change[T], sql: Sql, args: Row) -> Sequence[Row]:
    """`begin` and the first statement in one round trip."""
    cursor = connection.cursor(binary=True)
    try:
        async with connection.pipeline():
            await connection.execute("begin")
            await cursor.execute(sql.postgres.encode(), args)
    except psycopg.Error as error:
        _end(change, error)
    return await cursor.fetchall() if cursor.description else ()


async def _next(connection: Connection, change: Change[T], sql: Sql, args: Row) -> Sequence[Row]:
    cursor = connection.cursor(binary=True)
    try:
        await cursor.execute(sql.postgres.encode(), args)
    except psycopg.Error as error:
        _end(change, error)
    return await cursor.fetchall() if cursor.description else ()


def _end(change: Change[T], error: psycopg.Error) -> NoReturn:
    """A statement failed: a broken constraint is the change's to explain, all else is raised."""
    broken = violated(error)
    if broken is None:
        change.close()
        raise error
    broken.__cause__ = error
    end(change, broken)
