"""The catalog on SQLite: reads inline on the event loop, writes in groups, scans in a thread.

Every connection of this module is made after the process that uses it started: SQLite's locks do
not survive a fork. The file is opened through SQLite alone, because closing any other descriptor
of it drops the process's POSIX locks, and with them synced commits (storage.md 3).
"""

from asyncio import get_running_loop
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import apsw

from retinue.errors import RetinueError
from retinue.registry.catalog import meta, migrate, planner
from retinue.registry.catalog.checkpoint import Checkpointer
from retinue.registry.catalog.db import CatalogUnavailable, Change, Row, Sql, T
from retinue.registry.catalog.generation import Generation, prepare
from retinue.registry.catalog.groupcommit import FAILURES, GroupCommit, run
from retinue.registry.catalog.localdisk import require_local
from retinue.registry.catalog.presence import Presence
from retinue.registry.catalog.reserve import Reserve
from retinue.registry.catalog.turns import FileLock, Turn

LEAST_LIBRARY = (3, 51, 3)
"""Older ones can lose commits when the WAL begins anew (storage.md 3)."""

PAGE = 500
"""Rows per page of a scan."""

STATEMENTS = 256
"""Prepared statements kept per connection."""

_WAIT_READ = 2_000
_WAIT_WRITE = 20_000
"""Milliseconds that SQLite waits for a lock of somebody else's."""

_TABLES = "select name from sqlite_schema where type = 'table' and name <> 'migration'"
_CACHE_KIB = 16_384
_WAL_BYTES = 64 << 20


class LibraryTooOld(RetinueError):
    def __init__(self, version: str) -> None:
        least = ".".join(map(str, LEAST_LIBRARY))
        super().__init__(f"SQLite {version} can lose commits: install apsw {least} or newer")
        self.version = version


def require_library(version: str) -> None:
    """Raises LibraryTooOld."""
    if tuple(int(part) for part in version.split(".")) < LEAST_LIBRARY:
        raise LibraryTooOld(version)


class SqliteFile:
    """Where a catalog is, and how it is opened. `vfs`: a name registered with SQLite.

    What lies beside it (locks, WAL, counter, reserve) lies beside the real file: who comes by
    another name, a symbolic link, shares them all.
    """

    def __init__(self, path: Path, *, durable: bool = True, vfs: str | None = None) -> None:
        self.path = path
        self._real = path.resolve()
        self.reserve = Reserve(self._real)
        self.durable = durable
        self.vfs = vfs

    def writer(self, *, make: bool = False) -> apsw.Connection:
        """`make`: also a file that is not there. One that was must never be replaced by none."""
        connection = self._open(_WAIT_WRITE, apsw.SQLITE_OPEN_CREATE if make else 0)
        connection.execute("pragma foreign_keys = on")
        connection.execute(f"pragma synchronous = {'full' if self.durable else 'normal'}")
        connection.execute(f"pragma journal_size_limit = {_WAL_BYTES}")
        connection.execute("pragma wal_autocheckpoint = 0")
        connection.execute("pragma temp_store = memory")
        return connection

    def reader(self) -> apsw.Connection:
        connection = self._open(_WAIT_READ)
        connection.execute("pragma query_only = on")
        connection.execute(f"pragma cache_size = -{_CACHE_KIB}")
        connection.execute("pragma temp_store = memory")
        connection.execute("pragma schema_version").fetchall()  # what it takes on disk is there now
        return connection

    def turn(self) -> Turn:
        """For one thread: its turns at writing. Raises CatalogUnavailable."""
        try:
            return Turn(self._real)
        except OSError as error:
            raise CatalogUnavailable(f"{self.path} cannot be used: {error}") from error

    def prepared(self) -> Generation:
        """For who holds the turn: the counter, made if need be. Raises CatalogUnavailable."""
        try:
            prepare(self._real)
        except OSError as error:
            raise CatalogUnavailable(f"{self.path}.generation cannot be made: {error}") from error
        return self.generation()

    def generation(self) -> Generation:
        """Raises CatalogUnavailable."""
        try:
            return Generation(self._real)
        except (OSError, ValueError) as error:
            raise CatalogUnavailable(f"{self.path}.generation cannot be used: {error}") from error

    def checkpointing(self) -> FileLock:
        return FileLock(self._real.with_name(f"{self._real.name}.checkpoint"))

    def relieved(self, action: Callable[[], T]) -> T:
        """Once more, as long as the disk is full and the reserve has some room to give."""
        while True:
            try:
                return action()
            except FAILURES:
                if not self.reserve.spend():
                    raise

    def _open(self, wait: int, make: int = 0) -> apsw.Connection:
        flags = apsw.SQLITE_OPEN_READWRITE | make
        connection = apsw.Connection(
            str(self.path), flags, vfs=self.vfs, statementcachesize=STATEMENTS
        )
        connection.set_busy_timeout(wait)
        # Plans do not depend on values: else a join is prepared again whenever values are bound,
        # because this library has STAT4 (30 us instead of 4 for the read of a manifest).
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        return connection


def upgrade(file: SqliteFile, entropy: Callable[[int], bytes]) -> Sequence[int]:
    """Bring the file to this program's schema; several processes may try at once.

    Returns the numbers applied. Raises NetworkFilesystem, LibraryTooOld, CatalogUnavailable, and
    what `migrate.pending` does. `entropy`: n bytes nobody can guess.
    """
    require_library(apsw.sqlite_lib_version())
    require_local(file.path)
    turn = file.turn()
    try:
        with turn.taken():
            return file.relieved(partial(_upgrade, file, entropy))
    except (*FAILURES, PermissionError) as error:
        raise CatalogUnavailable(f"{file.path}: {error}") from error
    finally:
        turn.close()


def _upgrade(file: SqliteFile, entropy: Callable[[int], bytes]) -> Sequence[int]:
    connection = file.writer(make=True)
    try:
        _keep_private(file.path)
        connection.execute("pragma journal_mode = wal")
        return _apply(connection, file.prepared(), entropy)
    finally:
        connection.close()


def _keep_private(database: Path) -> None:
    """It holds the secret, and small content; a WAL that is made later takes the mode over."""
    for end in ("", "-wal", "-shm", "-journal"):
        path = database.with_name(f"{database.name}{end}")
        with suppress(FileNotFoundError):
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)


def _apply(
    connection: apsw.Connection, generation: Generation, entropy: Callable[[int], bytes]
) -> Sequence[int]:
    connection.execute("begin immediate")
    try:
        todo = migrate.pending(*_state(connection), migrate.known())
        for migration in todo:
            connection.execute(migration.script(migrate.SQLITE))
            ledger = "insert into migration (number, sha256) values (?, ?)"
            connection.execute(ledger, (migration.number, migration.sha256))
            for row in meta.numbers(migration.number, migration.least_code):
                connection.execute(meta.WRITE.sqlite, row)
        if todo:
            planner.teach(connection)
        for row in meta.beginnings(entropy(meta.SECRET_BYTES)):
            connection.execute(meta.FIRST.sqlite, row)
    except BaseException:
        connection.execute("rollback")
        raise
    with generation.changing():
        connection.execute("commit")
    return [migration.number for migration in todo]


def _state(connection: apsw.Connection) -> tuple[Sequence[tuple[int, str]], int]:
    connection.execute(migrate.translate(migrate.LEDGER, migrate.SQLITE))
    rows = connection.execute("select number, sha256 from migration order by number").fetchall()
    applied = [(int(str(number)), str(digest)) for number, digest in rows]
    tables = connection.execute(_TABLES).fetchall()
    migrate.require_ours(applied, [str(name) for (name,) in tables])
    if not applied:
        return [], 0
    least = connection.execute(meta.READ.sqlite, ("min_code",)).fetchall()
    return applied, int(str(least[0][0]))


class SqliteCatalog:
    """A `Catalog` on a file that `upgrade` has made ready. Made and used on one event loop."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._turn = file.turn()
        self._reader = file.relieved(file.reader)
        self._cursor = self._reader.cursor()
        self._scans = ThreadPoolExecutor(1, thread_name_prefix="catalog-scan")
        self._scanner: apsw.Connection | None = None
        self._checkpointer = Checkpointer(
            file.writer(), file.turn(), file.checkpointing(), file.reserve.half()
        )
        self._generation = file.generation()
        self._presence = Presence(file.path)
        self._writer = GroupCommit(
            self._connect_writer, self._turn, self._generation, self._presence, file.reserve
        )

    def _connect_writer(self) -> apsw.Connection:
        return self._checkpointer.watch(self._file.writer())

    async def one(self, sql: Sql, *args: object) -> Row | None:
        try:
            rows = self._cursor.execute(sql.sqlite, args).fetchall()
        except FAILURES as error:
            raise CatalogUnavailable(str(error)) from error
        return rows[0] if rows else None

    async def rows(self, sql: Sql, *args: object) -> Sequence[Row]:
        try:
            return self._cursor.execute(sql.sqlite, args).fetchall()
        except FAILURES as error:
            raise CatalogUnavailable(str(error)) from error

    async def pages(self, sql: Sql, *args: object) -> AsyncIterator[Sequence[Row]]:
        sql.require_keyset()
        loop = get_running_loop()
        while page := await loop.run_in_executor(self._scans, self._scan, sql, (*args, PAGE)):
            yield page
            if len(page) < PAGE:
                return
            args = (*args[:-1], page[-1][0])

    async def scan(self, sql: Sql, *args: object) -> Sequence[Row]:
        return await get_running_loop().run_in_executor(self._scans, self._scan, sql, args)

    def _scan(self, sql: Sql, args: Row) -> Sequence[Row]:
        if self._scanner is None:
            self._scanner = self._file.reader()
        try:
            return run(self._scanner.cursor(), sql, args)
        except FAILURES as error:
            raise CatalogUnavailable(str(error)) from error

    async def commit(self, change: Callable[[], Change[T]]) -> T:
        return await self._writer.submit(change)

    def generation(self) -> int | None:
        return self._generation.now()

    def gone(self) -> str | None:
        return self._presence.gone()

    def full(self) -> str | None:
        return self._file.reserve.full()

    async def close(self) -> None:
        """Commit what waits, then let go of the file."""
        self._writer.stop()
        await get_running_loop().run_in_executor(None, self._release)

    def _release(self) -> None:
        self._writer.join()
        self._checkpointer.close()
        if self._scanner is not None:
            self._scanner.interrupt()  # what is asked there may take long, and nobody waits for it
        self._scans.shutdown(cancel_futures=True)
        if self._scanner is not None:
            self._scanner.close()
        self._reader.close()
        self._turn.close()
