"""Which core the network threads of a worker stay on."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def keep_to_one() -> set[int]:
    """Keep this thread, and those that it begins, on the core that fewest sibling processes keep to.

    Returns the cores that it could use before. A request goes through two threads that wait for
    each other. On one core, each runs when the other one waits; on several, also the scheduler is
    waited for.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {least_used(cores, map(_kept_to, _siblings()))})
    return cores


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
