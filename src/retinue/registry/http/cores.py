"""Which core the network threads of a worker stay on."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread, get_native_id
from time import monotonic, sleep

_PROC = Path("/proc")

LARGE = 256 * 1024
"""Bytes from which on a body takes longer to send than all the hops of its request."""
LINGER = 1.0
PACE = 100e6
"""How long one is taken to be under way: so many seconds, and one more for so many bytes."""


class Cores:
    """Keeps the network threads of this process on one core, but not while large bodies are sent.

    A request goes through two threads that wait for each other. On one core, each runs when the
    other one waits; on several, also the scheduler is waited for. There they are batch threads:
    one that is woken lets the other one first hand over all that it has. To send a large body is
    the work of many threads, and of whoever takes it on the same machine: there, one core is idle
    while the other one is waited for.
    """

    def __init__(self) -> None:
        self._until = 0.0
        self._sending = Event()

    def keep_to_one(self) -> Callable[[], None]:
        """Keep this thread, and those that it begins, on the core that fewest siblings keep to.

        Returns what makes this thread again what it was.
        """
        cores = os.sched_getaffinity(0)
        home = least_used(cores, map(_kept_to, _siblings()))
        usual = os.sched_getscheduler(0) == os.SCHED_OTHER  # else somebody chose
        os.sched_setaffinity(0, {home})
        if usual:
            _schedule(os.SCHED_BATCH)
        Thread(target=self._watch, args=(home, cores), name="cores", daemon=True).start()

        def release() -> None:
            os.sched_setaffinity(0, cores)
            if usual:
                _schedule(os.SCHED_OTHER)

        return release

    def send(self, size: int) -> None:
        """A body of so many bytes is on its way. Any thread."""
        if size < LARGE:
            return
        self._until = max(self._until, monotonic() + LINGER + size / PACE)
        if not self._sending.is_set():
            self._sending.set()

    def _watch(self, home: int, cores: set[int]) -> None:
        """Runs in a thread that always stays there: by it, new siblings see what is taken."""
        while self._sending.wait():
            self._sending.clear()
            away = [each for each in _confined_to(home) if each != get_native_id()]
            _confine(away, cores)
            while (left := self._until - monotonic()) > 0:
                sleep(left)
            _confine(away, {home})


def _schedule(policy: int) -> None:
    """How this thread, and those that it begins, are scheduled."""
    with suppress(PermissionError):  # a sandbox may forbid it; then they are woken as ever
        os.sched_setscheduler(0, policy, os.sched_param(0))


def _confined_to(core: int) -> list[int]:
    """Threads of this process."""
    found = []
    for thread in (_PROC / "self/task").iterdir():
        with suppress(OSError):  # it ends meanwhile
            if os.sched_getaffinity(int(thread.name)) == {core}:
                found.append(int(thread.name))
    return found


def _confine(threads: Iterable[int], cores: set[int]) -> None:
    for thread in threads:
        if (_PROC / f"self/task/{thread}").exists():
            with suppress(OSError):  # it ends meanwhile
                os.sched_setaffinity(thread, cores)


def least_used(cores: Iterable[int], kept: Iterable[set[int]]) -> int:
    """The first of `cores` that is in fewest of `kept`."""
    used = Counter(core for each in kept for core in each)
    return min(sorted(cores), key=lambda core: used[core])


def _siblings() -> list[int]:
    parent = os.getppid()
    children = (_PROC / f"{parent}/task/{parent}/children").read_text("ascii")
    return [int(child) for child in children.split() if int(child) != os.getpid()]


def _kept_to(process: int) -> set[int]:
    """Cores to which threads of a process are confined, one each."""
    return {core for each in _affinities(process) if len(each) == 1 for core in each}


def _affinities(process: int) -> Iterator[set[int]]:
    with suppress(OSError):  # it ends meanwhile
        for thread in (_PROC / f"{process}/task").iterdir():
            yield os.sched_getaffinity(int(thread.name))
