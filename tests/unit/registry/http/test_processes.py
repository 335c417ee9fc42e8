import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from threading import Event, Thread, Timer, current_thread

import pytest

from retinue.registry.http.processes import Awaited

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def process() -> Iterator[BaseProcess]:
    made = FORK.Process(target=Event().wait)
    made.start()
    yield made
    made.kill()
    made.join()
    made.close()


def test_whoever_waits_for_a_process_finds_it_ended(
    process: BaseProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while another thread was told that it ended, and has not come to note it."""
    told, go_on = Event(), Event()
    waitpid = os.waitpid

    def slow(pid: int, options: int) -> tuple[int, int]:
        ended = waitpid(pid, options)
        if current_thread() is watcher and ended[0]:
            told.set()
            go_on.wait()
        return ended

    awaited = Awaited(process)
    watcher = Thread(target=awaited.join)
    monkeypatch.setattr(os, "waitpid", slow)
    watcher.start()
    awaited.kill()
    told.wait()
    later = Timer(0.1, go_on.set)
    later.start()
    awaited.join(60)
    alive = awaited.is_alive()
    watcher.join()
    later.join()
    assert not alive


def test_whoever_waits_no_longer_than_so_finds_it_alive(process: BaseProcess) -> None:
    awaited = Awaited(process)
    awaited.join(0.01)
    assert awaited.is_alive()
    assert awaited.pid == process.pid
