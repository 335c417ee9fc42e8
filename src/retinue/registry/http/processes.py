"""A worker process as its parent sees it, and what both agree on before one is forked."""

import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from types import TracebackType

STOPS = (signal.SIGTERM, signal.SIGINT)
_HELD = (*STOPS, signal.SIGHUP)


class ForkLock:
    """A lock between processes that were forked after it was made; the system takes it from one
    that dies. Not between threads."""

    def __init__(self) -> None:
        self._file = os.memfd_create("turn")

    def __enter__(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)


@contextmanager
def signals_held() -> Iterator[None]:
    """What is forked meanwhile is told nothing until it has handlers of its own: with those of its
    parent it would lose a signal."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class StopSignals:
    """The signals that end a worker, until its event loop runs: one that does not run forgets
    them, its handlers too."""

    def __init__(self) -> None:
        """Signals are held, and have the handlers of the event loop."""
        self._handlers = {number: signal.getsignal(number) for number in STOPS}
        self._noted: list[int] = []

    def end_at_once(self) -> None:
        """Nothing has been begun yet: a worker ends by the first signal, without a word."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent renews its workers
        for number in STOPS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)

    def note(self) -> None:
        """They are remembered from now on. Holding them would not do: there are threads by now,
        any of which may be told."""
        for number in STOPS:
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: object) -> None:
        self._noted.append(number)

    def deliver(self) -> None:
        """Within the event loop, which has them from now on, and those that were noted."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
            signal.siginterrupt(number, False)
        for noted in self._noted:
            signal.raise_signal(noted)


class Link:
    """What a worker is given: how it says that it serves, and how it sees that its parent died."""

    def __init__(self, word: socket.socket, parent: int, close: Callable[[], None]) -> None:
        """`parent`: a pidfd. `close`: let go of what was inherited and belongs to others."""
        self._word = word
        self.parent = parent
        self.close = close

    def say_ready(self, listeners: Sequence[socket.socket]) -> None:
        """`listeners`: with the first, if any, the successor is to listen."""
        socket.send_fds(self._word, [b"."], [each.fileno() for each in listeners[:1]])


class Forked:
    """A child that was forked; `word`: our end of what it says."""

    def __init__(self, process: BaseProcess, word: socket.socket) -> None:
        word.setblocking(False)
        self._process = process
        self._word = word
        self._ready = False
        self.listener: socket.socket | None = None

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def events(self) -> Sequence[int | socket.socket]:
        """What becomes readable when `ready` or `ended` may have changed."""
        return [self._process.sentinel] if self._ready else [self._process.sentinel, self._word]

    def ready(self) -> bool:
        if not self._ready:
            try:
                said, passed, _, _ = socket.recv_fds(self._word, 1, 1)
            except BlockingIOError:
                return False
            self._ready = bool(said)
            self.listener = socket.socket(fileno=passed[0]) if passed else None
        return self._ready

    def ended(self) -> bool:
        if self._process.is_alive():
            return False
        self._word.close()
        return True

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()
