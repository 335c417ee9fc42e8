"""Catalogs that are only looked at: nothing is migrated, no file is made, nothing is committed.

Beside a process that writes a SQLite catalog is read as by any other reader. On a file system that
is mounted read-only SQLite cannot make the memory that readers and writers share, so the file is
read as one that does not change (`immutable`), which holds as long as there is no WAL beside it: a
process that writes, by another mount say, has one.
"""

import os
from asyncio import get_running_loop
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import apsw

from retinue.registry.catalog import meta, migrate
from retinue.registry.catalog.db import Catalog, CatalogUnavailable, Change, Row, Sql, T
from retinue.registry.catalog.groupcommit import FAILURES, run
from retinue.registry.catalog.sqlite import PAGE, SqliteFile, require_library

_LEDGER = Sql(
    "select number, sha256 from migration where number > :after order by number limit :most"
)
_TABLES = Sql(
    "select name from sqlite_schema where type = 'table' order by name limit :most",
    postgres="""
    select table_name from information_schema.tables where table_schema = current_schema()
    order by table_name limit :most""",
    scans=True,
)
_MOST = 10_000


class CatalogReadOnly(CatalogUnavailable):
    """Something was to be written to a catalog that is only looked at."""

    def __init__(self) -> None:
        super().__init__("it was opened for reading alone")


def on_read_only_disk(path: Path) -> bool:
    """Whether the file system is mounted so that nothing can be written."""
    return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)


async def require_ours(catalog: Catalog) -> None:
    """What `migrate.pending` does, by looking; older schemas can be read as they are.

    Raises SchemaTooNew, MigrationEdited, MigrationsBroken, ForeignData, CatalogUnavailable.
    """
    tables = [str(name) for (name,) in await catalog.scan(_TABLES, _MOST)]
    if "migration" not in tables:
        raise migrate.ForeignData(tables)
    rows = cast("Sequence[tuple[int, str]]", await catalog.rows(_LEDGER, 0, _MOST))
    least = await meta.min_code(catalog)
    migrate.pending([(number, str(digest)) for number, digest in rows], least, migrate.known())


class ReadOnly:
    """Another catalog, but for what changes it."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.one = catalog.one
        self.rows = catalog.rows
        self.pages = catalog.pages
        self.scan = catalog.scan
        self.gone = catalog.gone
        self.full = catalog.full
        self.generation = catalog.generation
        self.close = catalog.close

    async def commit(self, _change: Callable[[], Change[T]]) -> T:
        raise CatalogReadOnly


class SqliteLooked:
    """A `Catalog` on a file that this process does not write. Made and used on one event loop."""

    def __init__(self, file: SqliteFile) -> None:
        require_library(apsw.sqlite_lib_version())
        self._file = file
        self._still = _still(file.path)
        self._reader = self._connect()
        self._scans = ThreadPoolExecutor(1, thread_name_prefix="catalog-scan")
        self._scanner: apsw.Connection | None = None

    def _connect(self) -> apsw.Connection:
        try:
            return connect(self._file)
        except FAILURES as error:
            raise CatalogUnavailable(f"{self._file.path}: {error}") from error

    async def one(self, sql: Sql, *args: object) -> Row | None:
        rows = await self.rows(sql, *args)
        return rows[0] if rows else None

    async def rows(self, sql: Sql, *args: object) -> Sequence[Row]:
        return self._ask(self._reader, sql, args)

    async def pages(self, sql: Sql, *args: object) -> AsyncIterator[Sequence[Row]]:
        sql.require_keyset()
        while page := await self.scan(sql, *args, PAGE):
            yield page
            if len(page) < PAGE:
                return
            args = (*args[:-1], page[-1][0])

    async def scan(self, sql: Sql, *args: object) -> Sequence[Row]:
        return await get_running_loop().run_in_executor(self._scans, self._scan, sql, args)

    def _scan(self, sql: Sql, args: Row) -> Sequence[Row]:
        if self._scanner is None:
            self._scanner = self._connect()
        return self._ask(self._scanner, sql, args)

    def _ask(self, connection: apsw.Connection, sql: Sql, args: Row) -> Sequence[Row]:
        try:
            found = run(connection.cursor(), sql, args)
        except FAILURES as error:
            raise CatalogUnavailable(str(error)) from error
        if reason := self.gone():  # after the read: what was read before it is not affected
            raise CatalogUnavailable(reason)
        return found

    async def commit(self, _change: Callable[[], Change[T]]) -> T:
        raise CatalogReadOnly

    def generation(self) -> int | None:
        """Others may commit, and this process does not take part in telling."""
        return None

    def gone(self) -> str | None:
        if self._still is not None and _still(self._file.path) != self._still:
            return f"{self._file.path} was changed while it was read as one that does not change"
        return None

    def full(self) -> None:
        """It takes no room."""

    async def close(self) -> None:
        await get_running_loop().run_in_executor(None, self._release)

    def _release(self) -> None:
        self._scans.shutdown(cancel_futures=True)
        if self._scanner is not None:
            self._scanner.close()
        self._reader.close()


def connect(file: SqliteFile) -> apsw.Connection:
    """A reader that leaves file and WAL as they are."""
    if _still(file.path) is None:
        connection = file.reader()
        if _has_wal(file.path):  # the last one to close would move it into the file
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return connection
    uri = f"{file.path.resolve().as_uri()}?immutable=1"
    connection = apsw.Connection(uri, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return connection


def _still(path: Path) -> tuple[int, int, int] | None:
    """What tells that a file does not change; None where it may."""
    if not on_read_only_disk(path) or _has_wal(path):
        return None
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _has_wal(path: Path) -> bool:
    wal = path.with_name(f"{path.name}-wal")
    return wal.exists() and wal.stat().st_size > 0
