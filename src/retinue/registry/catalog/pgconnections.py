"""Connections to PostgreSQL: how they are made, kept and given back. Needs the extra `postgres`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

import psycopg
from psycopg import errors
from psycopg.adapt import AdaptersMap, Buffer
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg.types.numeric import Int8BinaryDumper, NumericBinaryLoader

from retinue.registry.catalog.db import CatalogUnavailable, Constraint, ConstraintViolated

Connection = psycopg.AsyncConnection[TupleRow]

UNAVAILABLE = (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)
"""Not the statement's fault: the server, its disk or the way to it failed."""
HELD = errors.LockNotAvailable
"""Somebody else holds what the statement needs, for longer than `lock_timeout`."""
CONFLICTS = (errors.SerializationFailure, errors.DeadlockDetected)
_SHUTDOWNS = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow)

WAIT = 30.0
"""Seconds that a question waits for a connection of a full pool."""
_CONNECT = 10
_SESSION = """set session characteristics as transaction isolation level read committed;
set statement_timeout = '60s'; set lock_timeout = '30s';
set idle_in_transaction_session_timeout = '60s'"""
# Every statement is made to begin with what is given and to go from index to index (ADR 7): what
# else the planner may think of depends on values, on how many rows there happen to be, and on when
# they were counted.
PLANS = """set plan_cache_mode = force_generic_plan; set jit = off; set random_page_cost = 1;
set join_collapse_limit = 1; set from_collapse_limit = 1; set enable_seqscan = off;
set enable_hashjoin = off; set enable_mergejoin = off; set enable_material = off"""

_KINDS: dict[type[psycopg.Error], Constraint] = {
    errors.UniqueViolation: Constraint.UNIQUE,
    errors.ForeignKeyViolation: Constraint.FOREIGN_KEY,
    errors.NotNullViolation: Constraint.NOT_NULL,
    errors.CheckViolation: Constraint.CHECK,
}


class _WholeNumeric(NumericBinaryLoader):
    """`sum` of bigint is numeric; the catalog has whole numbers alone, as SQLite gives them."""

    def load(self, data: Buffer) -> int:  # type: ignore[override]  # narrower than it says
        return int(super().load(data))


@cache
def _adapters() -> AdaptersMap:
    """As SQLite sees values: every int is 64 bits, or statements would be prepared per magnitude."""
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_dumper(int, Int8BinaryDumper)
    adapters.register_dumper(bool, Int8BinaryDumper)
    adapters.register_loader("numeric", _WholeNumeric)
    return adapters


async def connect(url: str, *, session: str = "") -> Connection:
    """One in autocommit mode. `session`: statements that set it up. Raises psycopg.Error."""
    connection = await psycopg.AsyncConnection.connect(
        url,
        autocommit=True,
        context=_Context(),
        cursor_factory=psycopg.AsyncRawCursor,
        connect_timeout=_CONNECT,
    )
    try:
        await connection.execute(f"{_SESSION};{PLANS};{session}".encode())
    except BaseException:
        await connection.close()
        raise
    return connection


class _Context:
    """What psycopg asks for adapters when it connects."""

    connection = None

    @property
    def adapters(self) -> AdaptersMap:
        return _adapters()


def lost(connection: Connection, error: psycopg.Error) -> bool:
    """Whether `error` means that nothing more can be asked on `connection`."""
    return connection.closed or isinstance(error, _SHUTDOWNS)


def unavailable(error: Exception) -> Exception:
    """`error` as CatalogUnavailable where it is no fault of the statement, else itself."""
    if not isinstance(error, UNAVAILABLE):
        return error
    raised = CatalogUnavailable(str(error))
    raised.__cause__ = error
    return raised


def violated(error: psycopg.Error) -> ConstraintViolated | None:
    """`error` as the catalog's own, if it is one of a constraint."""
    kind = _KINDS.get(type(error))
    return ConstraintViolated(kind, str(error).partition("\n")[0]) if kind else None


class Pool:
    """At most `most` connections, made when needed, closed when anything is unclear about them."""

    def __init__(self, url: str, most: int, *, session: str = "") -> None:
        self._url = url
        self._session = session
        self._free = asyncio.Semaphore(most)
        self._idle: list[Connection] = []

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[Connection]:
        """One for the caller alone. Raises CatalogUnavailable; what psycopg raises passes."""
        await self._turn()
        try:
            connection = await self._ready()
            try:
                yield connection
            finally:
                await self._give_back(connection)
        finally:
            self._free.release()

    async def forget(self) -> None:
        """Close the idle ones: a server that dropped one has dropped them all."""
        while self._idle:
            await self._idle.pop().close()

    async def _turn(self) -> None:
        try:
            async with asyncio.timeout(WAIT):
                await self._free.acquire()
        except TimeoutError as error:
            raise CatalogUnavailable(f"no connection came free in {WAIT} seconds") from error

    async def _ready(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return await connect(self._url, session=self._session)

    async def _give_back(self, connection: Connection) -> None:
        if connection.info.transaction_status == TransactionStatus.IDLE:
            self._idle.append(connection)
        else:
            await connection.close()
