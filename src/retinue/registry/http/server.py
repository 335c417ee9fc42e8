"""The process that workers come from: it starts them, follows their lives, and serves nothing."""

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import wait
from time import monotonic
from typing import Any

from granian._granian import SocketHolder
from granian.server import MPServer
from msgspec import Struct

from retinue.registry.http.processes import Forked, Link, signals_held
from retinue.registry.http.supervision import Supervision

_log = logging.getLogger("retinue.server")


class Orders(Struct, frozen=True):
    """How a server is stopped and renewed. `draining` is called when it is told to stop, `delay`
    seconds before its workers are; these have `patience` to end. `refusal`: why workers must not
    be renewed now."""

    draining: Callable[[], None]
    refusal: Callable[[], str | None]
    delay: float
    patience: float


class Server(MPServer):
    """Granian's processes under our supervision. SIGTERM drains, SIGHUP renews them one after the
    other. The loader that `serve` takes is given a `Link`."""

    def __init__(self, target: str, orders: Orders, **granian: Any) -> None:
        super().__init__(target, **granian)
        self._orders = orders
        self._stops = 0
        self._hangups = 0
        self._told = 0
        self._renewed = 0
        self._process = os.pidfd_open(os.getpid())
        self._listeners: dict[int, socket.socket] = {}
        self._shd: Any
        self._ssp: Any

    def signal_handler_interrupt(self, *_args: Any, **_more: Any) -> None:
        """The first signal drains; another one ends the wait for load balancers to notice."""
        self._stops += 1

    def signal_handler_reload(self, *_args: Any, **_more: Any) -> None:
        self._hangups += 1

    def _spawn_workers(self, spawn_target: Any, target_loader: Any) -> None:
        """They are started once signals are listened for."""

    def _stop_workers(self) -> None:
        """They have ended by then."""

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        start = partial(self._fork, spawn_target, target_loader)
        supervision = Supervision(
            self.workers, start, self._took_over, self._deserted, self._orders.patience
        )
        with _bell() as bell:
            due: float | None = 0.0
            while not supervision.over:
                self._sleep(supervision, due, bell)
                self._obey(supervision, monotonic())
                due = supervision.step(monotonic())
        if supervision.failed:
            self.shutdown(1)  # type: ignore[no-untyped-call]

    def _obey(self, supervision: "Supervision[Forked]", now: float) -> None:
        if supervision.failed:
            supervision.close(now)
        if self._stops > self._told:
            self._orders.draining()
            supervision.close(now if self._told or self._stops > 1 else now + self._orders.delay)
            self._told = self._stops
        if self._hangups > self._renewed:
            self._renewed = self._hangups
            problem = self._orders.refusal()
            if problem is None:
                supervision.renew()
            else:
                _log.error("%s", problem)

    def _sleep(
        self, supervision: "Supervision[Forked]", due: float | None, bell: socket.socket
    ) -> None:
        """Until a signal, a word or the end of a child, or something is due."""
        events = [event for life in supervision.lives() for event in life.child.events]
        wait([bell, *events], None if due is None else max(0.0, due - monotonic()))
        with suppress(BlockingIOError):
            while bell.recv(4096):
                pass

    def _fork(self, target: Any, loader: Any, place: int) -> Forked:
        ours, theirs = socket.socketpair()
        spec, listener = self._ssp, self._listeners.get(place)
        passed = None
        if listener is not None:
            passed = os.dup(listener.fileno())  # the child's server will own that number
            self._ssp, self._shd = None, SocketHolder(passed, False, self.backlog)  # type: ignore[call-arg]
        link = Link(theirs, self._process, self._let_go)
        try:
            process = self._spawn_worker(place, target, partial(loader, link)).inner
            with signals_held():
                process.start()
        finally:
            self._ssp, self._shd = spec, None
            theirs.close()
            if passed is not None:
                os.close(passed)
        return Forked(process, ours)

    def _let_go(self) -> None:
        """In a child: listeners of other places would outlive those who listen there."""
        signal.set_wakeup_fd(-1)
        for listener in self._listeners.values():
            listener.close()

    def _took_over(self, place: int, child: Forked) -> None:
        """Keep what a worker listens on for who follows it: when a listener closes, connections
        that wait in it are reset."""
        self._deserted(place)
        if child.listener is not None:
            self._listeners[place] = child.listener

    def _deserted(self, place: int) -> None:
        """Nobody follows at once: connections must not wait there, other workers take them."""
        if (listener := self._listeners.pop(place, None)) is not None:
            listener.close()


@contextmanager
def _bell() -> Iterator[socket.socket]:
    """Becomes readable at any signal that has a handler."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        try:
            yield ours
        finally:
            signal.set_wakeup_fd(before)
