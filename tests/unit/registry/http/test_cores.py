"""Which core a worker's network threads are kept on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

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


def test_only_this_thread_is_confined(monkeypatch: pytest.MonkeyPatch, sibling: int) -> None:
    monkeypatch.setattr(cores, "_siblings", lambda: [sibling])
    free = os.sched_getaffinity(0)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(cores.keep_to_one).result() == free
        kept = pool.submit(os.sched_getaffinity, 0).result()
    others = free - {min(free)}
    assert kept == {min(others or free)}
    assert os.sched_getaffinity(0) == free
