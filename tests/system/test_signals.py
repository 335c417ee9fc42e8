"""Signals and deaths at any instant of a server's first second: it ends, or serves; none is lost.

`--instants N` tries N random ones each, where the suite tries a few.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from serving import Serving, until

DRAIN = "1h"
"""Who loses a signal is waited for so long: the test would end before."""


@pytest.fixture(params=["1", "2"])
def serving(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Serving]:
    made = Serving(str(tmp_path / "data"), {"workers": request.param, "drain": DRAIN})
    yield made
    for process in living(made):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


@pytest.fixture
def instants(request: pytest.FixtureRequest) -> list[float]:
    """Seconds after a start, in no order. Each is in the name of what fails."""
    count: int = request.config.getoption("--instants")
    return [random.uniform(0, 1) for _ in range(count)]


def living(serving: Serving) -> list[int]:
    """Processes of the server, itself included; those that only wait to be noted are dead."""
    if serving.process is None:
        return []
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, group = folder.joinpath("stat").read_text().rpartition(")")[2].split()[:3]
            if int(group) == serving.process.pid and state != "Z":
                found.append(int(folder.name))
    return found


def begin(serving: Serving, instant: float) -> int:
    serving.start(wait=False, group=True)
    time.sleep(instant)
    assert serving.process is not None
    return serving.process.pid


def announced(serving: Serving) -> bool:
    return "retinue listens" in Path(f"{serving.data}.log").read_text()


def ended(serving: Serving, instant: float) -> None:
    """It stopped as it was asked to, and left nothing behind. Before it has begun, the interpreter
    ends in its own ways."""
    code = serving.wait()
    assert code == 0 or not announced(serving), (instant, serving.log)
    until(lambda: not living(serving))
    Path(f"{serving.data}.log").unlink()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_who_is_told_to_stop_while_it_starts_does(
    serving: Serving, instants: list[float], number: signal.Signals
) -> None:
    for instant in instants:
        os.kill(begin(serving, instant), number)
        ended(serving, instant)


def test_an_interrupt_from_the_terminal_reaches_all_processes(
    serving: Serving, instants: list[float]
) -> None:
    for instant in instants:
        os.killpg(begin(serving, instant), signal.SIGINT)
        ended(serving, instant)


def test_a_hangup_while_it_starts_does_not_keep_it_from_serving(
    serving: Serving, instants: list[float]
) -> None:
    for instant in instants:
        process = begin(serving, instant)
        if announced(serving):
            os.kill(process, signal.SIGHUP)
        serving.wait_ready()
        assert serving.stop() == 0, (instant, serving.log)
        ended(serving, instant)


def test_workers_do_not_outlive_the_process_that_started_them(
    serving: Serving, instants: list[float]
) -> None:
    for instant in instants:
        os.kill(begin(serving, instant), signal.SIGKILL)
        serving.wait()
        until(lambda: not living(serving))


def test_a_worker_that_is_killed_while_it_starts_is_replaced(
    serving: Serving, instants: list[float]
) -> None:
    for instant in instants:
        process = begin(serving, instant)
        for worker in living(serving):
            if worker != process:
                os.kill(worker, signal.SIGKILL)
        serving.wait_ready()
        assert serving.stop() == 0, (instant, serving.log)
        ended(serving, instant)
