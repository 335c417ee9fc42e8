"""Processes that end once, for everybody."""

from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from threading import Lock
from typing import Any


class Awaited:
    """A process that several threads may wait for.

    Of those that wait for one of multiprocessing's, one thread is told by the system that it has
    ended, and all others that it lives until that thread has noted it. The server, which waits in
    two, took processes that had stopped in time for some that refused to.
    """

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self._turn = Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process, name)

    def join(self, timeout: float | None = None) -> None:
        if wait([self._process.sentinel], timeout):
            with self._turn:
                self._process.join()

    def is_alive(self) -> bool:
        with self._turn:
            return self._process.is_alive()
