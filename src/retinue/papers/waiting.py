"""Asking many things at once: the only place here that knows of an event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from msgspec import Struct

from retinue.errors import RetinueError

K = TypeVar("K")
V = TypeVar("V")


class NotLooked(Struct, frozen=True):
    """Why something could not be looked at. A value: one failure does not hide the rest."""

    why: str


_LATE = NotLooked("it was not read in time (limits.seconds)")


def in_seconds(seconds: float) -> float:
    """That instant on the loop's clock."""
    return asyncio.get_running_loop().time() + seconds


async def ask_all(
    questions: Mapping[K, Callable[[], Awaitable[V]]], *, at_once: int, until: float
) -> dict[K, V | NotLooked]:
    """All answers, in the order of the questions; at most `at_once` are under way.

    What a store raises, and what is not answered in time, is NotLooked; errors of other kinds are
    faults of this program, and are raised.
    """
    if len(questions) == 1:  # as for most images: it needs no task of its own
        return {key: await _ask(asked, until) for key, asked in questions.items()}
    places = asyncio.Semaphore(at_once)

    async def ask(question: Callable[[], Awaitable[V]]) -> V | NotLooked:
        async with places:
            return await _ask(question, until)

    async with asyncio.TaskGroup() as tasks:
        started = {key: tasks.create_task(ask(asked)) for key, asked in questions.items()}
    return {key: task.result() for key, task in started.items()}


async def _ask(question: Callable[[], Awaitable[V]], until: float) -> V | NotLooked:
    if asyncio.get_running_loop().time() >= until:
        return _LATE
    try:
        async with asyncio.timeout_at(until):
            return await question()
    except TimeoutError:
        return _LATE
    except (RetinueError, OSError) as problem:
        return NotLooked(str(problem))


def pauses(random: Callable[[], float], settle: float = 0.05) -> Callable[[int], Awaitable[None]]:
    """Waits before another look at what others write too: `settle` seconds and more each time,
    longer than another's read and write take. `random` gives numbers from 0 to 1."""

    async def pause(attempt: int) -> None:
        await asyncio.sleep(settle * (1 + min(attempt, 12)) * (0.5 + random()))

    return pause
