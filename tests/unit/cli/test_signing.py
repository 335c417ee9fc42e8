"""How long who appends to a tag waits for others, by a clock that is moved by hand."""

import pytest
from msgspec import Struct

from retinue.cli.signing import LEAST_PAUSE, MOST_PAUSE, Patience


class Time(Struct):
    now: float = 0.0
    slept: list[float] = []

    def read(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


async def pauses(*took: float) -> list[float]:
    """After attempts that took so long."""
    time = Time()
    patience = Patience(time.read, time.sleep)
    for attempt, seconds in enumerate(took):
        time.now += seconds
        await patience(attempt)
    return time.slept


@pytest.mark.parametrize("took", [0.05, 0.2, 1.0])
async def test_others_who_are_half_as_fast_as_we_have_come_to_write_by_then(took: float) -> None:
    [first, second] = await pauses(took, took / 2)
    assert 2 * took <= first <= 3 * took
    assert 2 * took <= second <= 3 * took


async def test_each_pause_may_be_longer_than_the_one_before() -> None:
    for attempt, slept in enumerate(await pauses(*[0.0] * 8)):
        assert LEAST_PAUSE * (attempt + 1) <= slept <= 1.5 * LEAST_PAUSE * (attempt + 1)


async def test_nobody_waits_for_ever() -> None:
    assert max(await pauses(1000.0)) <= 1.5 * MOST_PAUSE
