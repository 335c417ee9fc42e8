"""Moving the WAL into the database file, off the path of commits."""

import logging
from threading import Event, Thread

import apsw

from retinue.registry.catalog.turns import FileLock, Turn

PAGES = 4_000
"""The WAL is moved when it holds this many pages (16 MB) more than could not be moved before."""
PAGE = 4096
"""Bytes of a page, as SQLite has them unless told otherwise."""

log = logging.getLogger(__name__)


class Checkpointer:
    """A thread with a connection of its own; one process of those that share a folder works.

    Most pages are moved beside running commits. While these go on the WAL is never all moved and
    would grow for ever, so the few that came meanwhile are moved in a turn of our own.
    """

    def __init__(
        self, connection: apsw.Connection, turn: Turn, alone: FileLock, most: int | None = None
    ) -> None:
        """`most`: bytes that the WAL should not exceed."""
        self._connection = connection
        self._turn = turn
        self._alone = alone
        self._due = Event()
        self._closing = False
        self._pages = PAGES if most is None else max(1, min(PAGES, most // PAGE))
        self._mark = self._pages
        self._thread = Thread(target=self._work, name="catalog-checkpointer", daemon=True)
        self._thread.start()

    def watch(self, connection: apsw.Connection) -> apsw.Connection:
        """Look at the WAL after each commit of `connection`, in place of SQLite's own checkpoint."""
        connection.set_wal_hook(self._committed)
        return connection

    def close(self) -> None:
        """Blocks until a checkpoint that is under way has ended."""
        self._closing = True
        self._due.set()
        self._thread.join()
        self._connection.close()
        self._turn.close()
        self._alone.close()

    def _committed(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        if pages < self._mark - self._pages:  # it began anew
            self._mark = self._pages
        if pages >= self._mark:
            self._due.set()
        return apsw.SQLITE_OK

    def _work(self) -> None:
        while True:
            self._due.wait()
            if self._closing:
                return
            self._due.clear()
            try:
                self._checkpoint()
            except apsw.Error as error:
                log.warning("the WAL could not be moved into the catalog: %s", error)

    def _checkpoint(self) -> None:
        with self._alone.tried() as alone:
            if not alone:
                return
            self._connection.wal_checkpoint()
            with self._turn.taken():
                pages, moved = self._connection.wal_checkpoint()
        self._mark = self._pages if moved == pages else pages + self._pages
