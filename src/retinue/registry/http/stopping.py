"""A stop that waits for requests, and not for connections that ask for nothing.

The server ends connections that are idle when it is told to stop. It waits for one in the middle of
its headers, and for one that came at that very instant, as long as headers may take.
"""

import fcntl
import socket
import termios
from asyncio import AbstractEventLoop
from collections.abc import Callable
from pathlib import Path

from retinue.registry.http import listening

TURN = 0.2
QUIET_TURNS = 5
"""A connection is ended when for so many turns of the event loop nothing was under way. A request
that the server has read by then, and not handed over, would have to wait for all of them."""


class Stopping:
    """`answering`: how many requests this process is at work for; `files`: the folder whose files
    the server sends by itself."""

    def __init__(
        self, loop: AbstractEventLoop, port: int, answering: Callable[[], int], files: Path
    ) -> None:
        self._loop = loop
        self._port = port
        self._answering = answering
        self._files = f"{files.resolve()}/"
        self._quiet = 0
        self._begun = False

    def begin(self) -> None:
        """To be called in the event loop's thread; it lasts as long as the loop runs."""
        if not self._begun:
            self._begun = True
            self._turn()

    def _turn(self) -> None:
        with listening.accepted(self._port) as connections:
            busy = self._answering() or _sends(self._files) or any(map(unsent, connections))
            self._quiet = 0 if busy else self._quiet + 1
            if self._quiet >= QUIET_TURNS:
                for connection in connections:
                    end(connection)
        self._loop.call_later(TURN, self._turn)


def _sends(folder: str) -> bool:
    """Whether this process has a file in there open."""
    return any(target.startswith(folder) for target in listening.descriptors().values())


def unsent(connection: socket.socket) -> bool:
    """Whether the other side has still to take some of what was sent (tcp(7), SIOCOUTQ)."""
    count = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    return count != b"\0\0\0\0"


def end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself
