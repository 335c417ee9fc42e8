"""Which core a worker's network threads are kept on."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event, get_native_id

import pytest

from retinue.registry.http import cores


@pytest.mark.parametrize(
    ("allowed", "kept", "expected"),
    [
        ({0, 1}, [], 0),
        ({0, 1}, [{0}], 1),
        ({0, 1}, [{1}], 0),
        ({0, 1}, [{0}, {1}, {0}], 1),
        ({2, 5}, [{0}, {2}], 5),
        ({3}, [{3}, {3}], 3),
    ],
)
def test_the_core_that_fewest_keep_to(
    allowed: set[int], kept: list[set[int]], expected: int
) -> None:
    assert expected == cores.least_used(allowed, kept)


@pytest.fixture
def sibling() -> Iterator[int]:
    """Another process, one thread of which is confined to the first core."""
    script = (
        "import os, threading\n"
        "threading.Thread(target=input, daemon=True).start()\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "print('ready', flush=True)\n"
        "threading.Event().wait()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


def test_what_another_process_keeps_to(sibling: int) -> None:
    assert cores._kept_to(sibling) == {min(os.sched_getaffinity(0))}


def test_a_process_that_ended_keeps_to_nothing() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert cores._kept_to(ended.pid) == set()


def test_only_this_thread_is_confined_and_those_that_it_begins(
    monkeypatch: pytest.MonkeyPatch, sibling: int
) -> None:
    monkeypatch.setattr(cores, "_siblings", lambda: [sibling])
    free = _scheduled()
    with ThreadPoolExecutor(1) as pool:
        release = pool.submit(cores.Cores().keep_to_one).result()
        kept = pool.submit(_scheduled).result()
        with ThreadPoolExecutor(1) as begun:
            assert pool.submit(lambda: begun.submit(_scheduled).result()).result() == kept
        pool.submit(release).result()
        assert pool.submit(_scheduled).result() == free
    others = free[0] - {min(free[0])}
    assert kept == ({min(others or free[0])}, os.SCHED_BATCH)
    assert _scheduled() == free


def _scheduled() -> tuple[set[int], int]:
    return os.sched_getaffinity(0), os.sched_getscheduler(0)


def test_where_batch_threads_are_forbidden_they_keep_to_one_core(
    monkeypatch: pytest.MonkeyPatch, sibling: int
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(cores, "_siblings", lambda: [sibling])
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    free = _scheduled()
    with ThreadPoolExecutor(1) as pool:
        release = pool.submit(cores.Cores().keep_to_one).result()
        assert len(pool.submit(_scheduled).result()[0]) == 1
        pool.submit(release).result()
        assert pool.submit(_scheduled).result() == free


class Pause:
    """Stands in for the clock and for sleeping: time passes when somebody says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.asked: SimpleQueue[float] = SimpleQueue()
        self.over = Event()
        self.confined: SimpleQueue[set[int]] = SimpleQueue()
        self._confine = cores._confine
        monkeypatch.setattr(cores, "monotonic", lambda: self.now)
        monkeypatch.setattr(cores, "sleep", self.sleep)
        monkeypatch.setattr(cores, "_confine", self.confine)

    def sleep(self, seconds: float) -> None:
        self.asked.put(seconds)
        assert self.over.wait(10)
        self.over.clear()
        self.now += seconds

    def confine(self, threads: Iterable[int], to: set[int]) -> None:
        self._confine(threads, to)
        self.confined.put(to)


def test_large_bodies_free_the_threads_for_as_long_as_they_may_take(
    monkeypatch: pytest.MonkeyPatch, sibling: int
) -> None:
    monkeypatch.setattr(cores, "_siblings", lambda: [sibling])
    pause = Pause(monkeypatch)
    kept = cores.Cores()
    with ThreadPoolExecutor(1) as pool:
        free = os.sched_getaffinity(0)
        pool.submit(kept.keep_to_one).result()
        thread = pool.submit(get_native_id).result()
        home = os.sched_getaffinity(thread)
        kept.send(cores.LARGE - 1)
        assert pause.confined.empty()

        kept.send(int(cores.PACE))
        assert pause.confined.get(timeout=10) == free
        assert os.sched_getaffinity(thread) == free
        assert pause.asked.get(timeout=10) == cores.LINGER + 1
        kept.send(int(3 * cores.PACE))  # more of them, until later
        pause.over.set()
        assert pause.asked.get(timeout=10) == 2
        pause.over.set()

        assert pause.confined.get(timeout=10) == home
        assert os.sched_getaffinity(thread) == home


def test_a_thread_that_ended_is_left_out() -> None:
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(get_native_id).result()
    cores._confine([ended], os.sched_getaffinity(0))
    assert ended not in cores._confined_to(min(os.sched_getaffinity(0)))
