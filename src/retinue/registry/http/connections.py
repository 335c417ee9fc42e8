"""Room for new connections when idle ones take it all.

The server keeps a number of connections, and lets further ones wait until some end: idle ones end
after a while by themselves. So whoever opens many and says nothing would keep all others out.
"""

import asyncio
import logging
import socket
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from retinue.registry.access.logins import network
from retinue.registry.http import listening
from retinue.registry.http.stopping import end, unsent

TURN = 0.5
QUIET = 1000
"""Milliseconds without a byte after which a connection that is asked for nothing is idle."""
_TIMES = struct.Struct("=44xIII")
"""Of `struct tcp_info` (linux/tcp.h): when data was last sent, acknowledged, received."""
_log = logging.getLogger("retinue.http")


class Idle(Struct, frozen=True):
    """A connection on which nothing is under way, since so many milliseconds."""

    address: str
    since: int


def surplus(idle: Sequence[Idle], count: int) -> list[int]:
    """Which `count` of them are to end: those of the address that has most, the longest idle ones
    first, until it has no more than others."""
    had: Counter[str] = Counter()
    ranks: list[tuple[int, int, int]] = []
    for number in sorted(range(len(idle)), key=lambda number: idle[number].since):
        address = network(idle[number].address)
        had[address] += 1
        ranks.append((-had[address], -idle[number].since, number))
    return [number for _, _, number in sorted(ranks)[:count]]


class Connections:
    """Those of this process at `port`, of which the server keeps `most`.

    `spared` says of an address that its connections are not its own (a proxy's).
    """

    def __init__(self, port: int, most: int, spared: Callable[[str], bool]) -> None:
        self._port = port
        self._mark = most - most // 4
        self._spared = spared
        self._asking: Counter[str] = Counter()

    def begin(self, client: str) -> None:
        """A request came from `client` (host:port)."""
        self._asking[client] += 1

    def end(self, client: str) -> None:
        """It was answered."""
        left = self._asking[client] - 1
        if left > 0:
            self._asking[client] = left
        else:
            del self._asking[client]

    async def watch(self) -> None:
        """As long as the process lives: when three quarters of the room are taken, idle ones end."""
        while True:
            await asyncio.sleep(TURN)
            if sum(1 for _ in Path("/proc/self/fd").iterdir()) >= self._mark:
                ended = await asyncio.to_thread(self.make_room, frozenset(self._asking))
                if ended:
                    _log.warning("%d idle connections were ended to make room for others", ended)

    def make_room(self, asking: frozenset[str]) -> int:
        """End idle connections down to the mark; how many. `asking`: clients with a request."""
        with listening.accepted(self._port) as found:
            idle = [
                (connection, one)
                for connection in (found if len(found) > self._mark else ())
                if (one := _idle(connection, asking)) and not self._spared(one.address)
            ]
            ending = surplus([one for _, one in idle], max(0, len(found) - self._mark))
            for number in ending:
                end(idle[number][0])
        return len(ending)


def _idle(connection: socket.socket, asking: frozenset[str]) -> Idle | None:
    try:
        host, port = connection.getpeername()[:2]
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TIMES.size)
        sent, _, received = _TIMES.unpack(info)
        quiet = 0 if unsent(connection) else min(sent, received)
    except OSError:
        return None  # it has ended by itself
    client = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return None if quiet < QUIET or client in asking else Idle(host, quiet)
