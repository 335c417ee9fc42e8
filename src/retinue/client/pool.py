"""Connections per origin: few, kept alive, never shared by two exchanges at once."""

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable

from msgspec import Struct, field

from retinue.client.connection import Connection, Origin

IDLE = 20.0
"""Seconds after which an unused connection is not trusted any more: servers close theirs."""

Connect = Callable[[Origin, ssl.SSLContext | None], Awaitable[Connection]]


class _Slot(Struct, eq=False):
    """What one origin has: places for connections, and those that wait."""

    places: asyncio.Semaphore
    idle: deque[Connection] = field(default_factory=deque)


class Pool:
    """At most `connections` to each origin. Whoever waits while holding one must be the fewer."""

    def __init__(self, connect: Connect, connections: int, clock: Callable[[], float]) -> None:
        self._connect = connect
        self._connections = connections
        self._clock = clock
        self._slots: dict[Origin, _Slot] = {}

    async def acquire(
        self, origin: Origin, context: ssl.SSLContext | None, *, fresh: bool
    ) -> Connection:
        """A connection for one exchange, to be given back by `release`."""
        slot = self._slots.get(origin)
        if slot is None:
            slot = self._slots[origin] = _Slot(asyncio.Semaphore(self._connections))
        await slot.places.acquire()
        try:
            return self._waiting(slot, fresh) or await self._connect(origin, context)
        except BaseException:
            slot.places.release()
            raise

    def _waiting(self, slot: _Slot, fresh: bool) -> Connection | None:
        while slot.idle:
            connection = slot.idle.pop()
            young = self._clock() - connection.idle_since < IDLE
            if not fresh and young and connection.reusable:
                return connection
            connection.close()
        return None

    def release(self, connection: Connection) -> None:
        """Keep a connection whose answer was read to its end; close any other."""
        slot = self._slots[connection.origin]
        if connection.reusable:
            connection.used = True
            connection.idle_since = self._clock()
            slot.idle.append(connection)
        else:
            connection.close()
        slot.places.release()

    def close(self) -> None:
        for slot in self._slots.values():
            while slot.idle:
                slot.idle.pop().close()
