"""Group commit: one thread per process writes, and many changes share one synced commit."""

import logging
from asyncio import AbstractEventLoop, Future, get_running_loop
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import apsw

from retinue.registry.catalog.db import (
    CatalogUnavailable,
    Change,
    Constraint,
    ConstraintViolated,
    Freeing,
    Row,
    Sql,
    T,
    end,
)
from retinue.registry.catalog.generation import Generation
from retinue.registry.catalog.presence import Presence
from retinue.registry.catalog.reserve import Reserve
from retinue.registry.catalog.turns import Turn

BATCH = 256
"""Most changes in one commit."""
WAITING = 10_000
"""Most changes that may wait for one; more are refused at once."""

FAILURES = (
    apsw.FullError,
    apsw.IOError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.ProtocolError,
    apsw.NoMemError,
    apsw.InterruptError,
    apsw.PermissionsError,
    apsw.ConnectionClosedError,
)
"""Not the fault of any one change: the batch fails as a whole."""

_KINDS = {
    apsw.SQLITE_CONSTRAINT_UNIQUE: Constraint.UNIQUE,
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY: Constraint.UNIQUE,
    apsw.SQLITE_CONSTRAINT_ROWID: Constraint.UNIQUE,
    apsw.SQLITE_CONSTRAINT_FOREIGNKEY: Constraint.FOREIGN_KEY,
    apsw.SQLITE_CONSTRAINT_NOTNULL: Constraint.NOT_NULL,
    apsw.SQLITE_CONSTRAINT_CHECK: Constraint.CHECK,
    apsw.SQLITE_CONSTRAINT_TRIGGER: Constraint.CHECK,
}

log = logging.getLogger(__name__)


class Waiter:
    """A change that waits for its commit, and then its outcome. Lives until the batch is told."""

    __slots__ = ("change", "error", "future", "loop", "result")

    def __init__(self, change: Callable[[], Change[Any]], loop: AbstractEventLoop) -> None:
        self.change = change
        self.loop = loop
        self.future: Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def tell(self) -> None:
        if self.future.done():  # its caller was cancelled
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


def bearable(error: BaseException) -> BaseException:
    """`error` as a future accepts it: a StopIteration would end the coroutine that waits."""
    if not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError("a change raised StopIteration")
    wrapped.__cause__ = error
    return wrapped


def _tell(waiters: Sequence[Waiter]) -> None:
    for waiter in waiters:
        waiter.tell()


def _refuse(waiters: Sequence[Waiter], error: CatalogUnavailable) -> None:
    for waiter in waiters:
        waiter.result = None
        waiter.error = error


def _is_full(error: apsw.Error) -> bool:
    code = getattr(error, "extendedresult", None)
    return isinstance(error, apsw.FullError) or code == apsw.SQLITE_IOERR_SHMSIZE


def _freeing(waiters: Sequence[Waiter], error: CatalogUnavailable) -> Sequence[Waiter]:
    """Those that may use the reserve; all others are refused."""
    _refuse([each for each in waiters if not isinstance(each.change, Freeing)], error)
    return [each for each in waiters if isinstance(each.change, Freeing)]


def _wake(waiters: Sequence[Waiter]) -> None:
    """One hop per event loop, not one per waiter: a hop costs as much as a small change."""
    loops: dict[AbstractEventLoop, list[Waiter]] = {}
    for waiter in waiters:
        loops.setdefault(waiter.loop, []).append(waiter)
    for loop, group in loops.items():
        with suppress(RuntimeError):  # the loop has been closed: nobody waits there any more
            loop.call_soon_threadsafe(_tell, group)


def run(cursor: apsw.Cursor, sql: Sql, args: Row) -> Sequence[Row]:
    """One statement of a change. Raises ConstraintViolated, or what APSW raises."""
    if sql.idle:
        return ()
    try:
        rows: Sequence[Row] = cursor.execute(sql.sqlite, args).fetchall()
    except apsw.ConstraintError as error:
        kind = _KINDS.get(error.extendedresult)  # type: ignore[attr-defined]
        if kind is None:
            raise
        raise ConstraintViolated(kind, str(error)) from error
    return rows


def drive(cursor: apsw.Cursor, change: Change[T]) -> T:
    """Run `change` to its end, inside whatever transaction is open."""
    try:
        sql, args = next(change)
        while True:
            try:
                rows = run(cursor, sql, args)
            except ConstraintViolated as violated:
                end(change, violated)
            sql, args = change.send(rows)
    except StopIteration as stop:
        result: T = stop.value
        return result


class GroupCommit:
    """Takes changes from event loops; a thread runs them in batches and wakes who waits.

    `connect` opens a connection for writing. After a failure of the database the thread takes a
    fresh one: a descriptor whose fsync failed is never asked again (storage.md 2).
    """

    def __init__(
        self,
        connect: Callable[[], apsw.Connection],
        turn: Turn,
        generation: Generation,
        presence: Presence,
        reserve: Reserve,
    ) -> None:
        self._connect = connect
        self._connection = connect()
        self._cursor = self._connection.cursor()
        self._turn = turn
        self._generation = generation
        self._presence = presence
        self._reserve = reserve
        self._queue: SimpleQueue[Waiter | None] = SimpleQueue()
        self._closing = False
        self._thread = Thread(target=self._work, name="catalog-writer", daemon=True)
        self._thread.start()

    def submit(self, change: Callable[[], Change[T]]) -> "Future[T]":
        """Called on an event loop. Raises CatalogUnavailable when closed or overrun."""
        if self._closing:
            raise CatalogUnavailable("it is closed")
        if self._queue.qsize() >= WAITING:
            raise CatalogUnavailable(f"{WAITING} changes wait for the disk already")
        waiter = Waiter(change, get_running_loop())
        self._queue.put(waiter)
        return waiter.future

    def stop(self) -> None:
        """Take no more; what waits is still committed. Called where `submit` is."""
        if not self._closing:
            self._closing = True
            self._queue.put(None)

    def join(self) -> None:
        """Wait for the end, after `stop`. Blocks."""
        self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        while (waiter := self._queue.get()) is not None:
            batch = [waiter]
            try:
                with self._turn.taken():
                    self._gather(batch)
                    if gone := self._presence.gone():
                        _refuse(batch, CatalogUnavailable(gone))
                    else:
                        self._keep(batch)
            except BaseException as error:  # the thread outlives every failure
                self._fail(batch, error)
            _wake(batch)

    def _gather(self, batch: list[Waiter]) -> None:
        """What came while the last batch was synced, and while this one waited for its turn."""
        while len(batch) < BATCH:
            try:
                waiter = self._queue.get_nowait()
            except Empty:
                return
            if waiter is None:
                self._queue.put(None)  # for the loop to find
                return
            batch.append(waiter)

    def _keep(self, batch: Sequence[Waiter]) -> None:
        """On a full disk, only what gives space back."""
        self._reserve.replenish()
        full = self._reserve.full()
        kept = batch if full is None else _freeing(batch, CatalogUnavailable(full))
        if not kept:
            return
        try:
            self._commit(kept)
        except FAILURES as error:
            self._keep_on_full_disk(kept, error)

    def _keep_on_full_disk(self, batch: Sequence[Waiter], error: apsw.Error) -> None:
        """First with the room that the WAL takes, then with some of the reserve. Raises why not."""
        if not _is_full(error):
            raise error
        kept = _freeing(batch, CatalogUnavailable(str(error)))
        while kept:
            self._renew()
            self._empty_wal()
            try:
                return self._commit(kept)
            except FAILURES as again:
                error = again
            if not self._reserve.spend():
                break
        raise error

    def _empty_wal(self) -> None:
        try:
            self._connection.wal_checkpoint()
        except apsw.Error as error:
            log.warning("the WAL could not be moved into the catalog: %s", error)

    def _commit(self, batch: Sequence[Waiter]) -> None:
        """All together; when one fails that had written already, again, each undone by itself.

        A savepoint copies every page before its first change, so it is kept for that case.
        """
        self._cursor.execute("begin immediate")
        if not all(map(self._attempted, batch)):
            self._cursor.execute("rollback")
            if len(batch) == 1:
                return
            self._cursor.execute("begin immediate")
            for waiter in batch:
                self._attempt(waiter)
        with self._generation.changing():
            self._cursor.execute("commit")

    def _attempted(self, waiter: Waiter) -> bool:
        """Whether what a change wrote may stay. Raises what is no fault of its own."""
        before = self._connection.total_changes()
        self._drive(waiter)
        return waiter.error is None or self._connection.total_changes() == before

    def _attempt(self, waiter: Waiter) -> None:
        """One change under its savepoint. Raises what is no fault of its own."""
        self._cursor.execute("savepoint change")
        self._drive(waiter)
        if waiter.error is not None:
            self._cursor.execute("rollback to change")
        self._cursor.execute("release change")

    def _drive(self, waiter: Waiter) -> None:
        waiter.error = None
        if waiter.future.cancelled():
            return
        try:
            waiter.result = drive(self._cursor, waiter.change())
        except FAILURES:
            raise
        except BaseException as error:
            waiter.error = bearable(error)

    def _fail(self, batch: Sequence[Waiter], error: BaseException) -> None:
        log.error("a commit of %d changes failed: %s", len(batch), error)
        unavailable = CatalogUnavailable(str(error))
        unavailable.__cause__ = error
        _refuse(batch, unavailable)
        self._renew()

    def _renew(self) -> None:
        try:
            self._connection.close(force=True)
        except apsw.Error as error:
            log.warning("a failed connection to the catalog did not close: %s", error)
        try:
            self._connection = self._connect()
            self._cursor = self._connection.cursor()
        except apsw.Error as error:  # the next batch finds a closed connection, fails, tries again
            log.error("the catalog cannot be opened again: %s", error)  # noqa: TRY400
