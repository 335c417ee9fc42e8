"""What a parent and a worker agree on: real forks, real signals."""

import multiprocessing
import os
import select
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

import pytest

from retinue.registry.http.early import new_loop
from retinue.registry.http.processes import (
    STOPS,
    Forked,
    ForkLock,
    Link,
    StopSignals,
    signals_held,
)

FORK = multiprocessing.get_context("fork")
WAIT = 30.0


def readable(end: socket.socket) -> bool:
    return bool(select.select([end], [], [], WAIT)[0])


@contextmanager
def forked(body: Callable[[socket.socket], None]) -> Iterator[tuple[BaseProcess, socket.socket]]:
    ours, theirs = socket.socketpair()
    process = FORK.Process(target=body, args=(theirs,))
    with ours, theirs:
        with signals_held():
            process.start()
        try:
            yield process, ours
        finally:
            process.kill()
            process.join()
            process.close()


def test_a_lock_of_a_process_that_died_is_free() -> None:
    lock = ForkLock()

    def hold(end: socket.socket) -> None:
        with lock:
            end.send(b".")
            end.recv(1)

    with forked(hold) as (process, end):
        assert readable(end)
        process.kill()
        with lock:
            pass


def _until_told(end: socket.socket, before: Callable[[StopSignals], None]) -> None:
    """As a worker: the event loop's handlers, a start, and an event loop that runs."""
    loop = new_loop()
    for number in STOPS:
        loop.add_signal_handler(number, loop.stop)
    signals = StopSignals()
    before(signals)
    loop.call_soon(signals.deliver)
    loop.run_forever()
    end.send(b"told")


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_between_start_and_event_loop_is_not_lost(number: signal.Signals) -> None:
    def start(signals: StopSignals) -> None:
        signals.end_at_once()
        signals.note()
        signal.raise_signal(number)

    with forked(lambda end: _until_told(end, start)) as (_, end):
        assert readable(end)
        assert end.recv(10) == b"told"


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_before_there_are_handlers_ends_a_worker(number: signal.Signals) -> None:
    def start(signals: StopSignals) -> None:
        signal.raise_signal(number)  # held since the fork
        signals.end_at_once()

    with forked(lambda end: _until_told(end, start)) as (process, _):
        process.join(WAIT)
        assert process.exitcode == -number


def test_a_word_and_a_listener_come_from_a_worker_that_serves() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(end: socket.socket) -> None:
            Link(end, os.pidfd_open(os.getppid()), lambda: None).say_ready([listener])
            end.recv(1)

        with forked(serve) as (process, end):
            child = Forked(process, end)
            assert readable(end)
            assert child.ready()
            assert child.listener is not None
            with child.listener as passed:
                assert passed.getsockname() == listener.getsockname()
            assert not child.ended()


def test_one_that_dies_without_a_word_is_not_ready() -> None:
    with forked(lambda end: end.close()) as (process, end):
        child = Forked(process, end)
        process.join(WAIT)
        assert not child.ready()
        assert child.ended()
