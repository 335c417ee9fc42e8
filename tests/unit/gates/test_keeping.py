"""One question for all who ask at once, and nothing kept that may have changed."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from gating import Judge, Unreachable, pinned
from retinue.gates import keeping
from retinue.gates.keeping import Kept
from retinue.policy.decision import Decision

GOOD, BAD = pinned("good:1"), pinned("bad:1")


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 6, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def asked(image: str, *moves: float) -> int:
    """How often a judge is asked when an image is, with so many seconds between."""
    judge, clock = Judge(), Clock()
    kept = Kept(judge, clock=clock)
    await kept(image)
    for seconds in moves:
        clock.now += timedelta(seconds=seconds)
        await kept(image)
    return len(judge.asked)


async def test_what_is_allowed_is_kept_for_a_while() -> None:
    assert await asked(GOOD, 1, 8) == 1
    assert await asked(GOOD, 10) == 2


@pytest.mark.parametrize("image", [BAD, pinned("blind:1"), "good:1"])
async def test_refusals_and_tags_are_not(image: str) -> None:
    assert await asked(image, 0, 0) == 3


async def test_many_who_ask_at_once_get_one_answer() -> None:
    judge = Judge()
    kept = Kept(judge)

    answers = await asyncio.gather(*(kept("good:1") for _ in range(50)))

    assert judge.asked == ["good:1"]
    assert len({id(answer) for answer in answers}) == 1


async def test_an_error_is_everybodys_and_is_not_kept() -> None:
    judge = Judge()
    kept = Kept(judge)

    found = await asyncio.gather(*(kept("down") for _ in range(3)), return_exceptions=True)

    assert [type(each) for each in found] == [Unreachable] * 3
    with pytest.raises(Unreachable):
        await kept("down")
    assert judge.asked == ["down", "down"]


async def test_one_who_gives_up_takes_it_from_nobody() -> None:
    judge = Judge()
    kept = Kept(judge)
    first = asyncio.create_task(kept("slow"))
    second = asyncio.create_task(kept("slow"))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)

    judge.never.set()

    assert (await second).allowed
    assert first.cancelled()


async def test_an_answer_is_not_kept_beyond_its_end() -> None:
    judge, clock = Judge(), Clock()

    async def ending(image: str) -> Decision:
        return replace(await judge(image), valid_until=clock.now + timedelta(seconds=2))

    kept = Kept(ending, clock=clock)
    await kept(GOOD)
    clock.now += timedelta(seconds=2)
    await kept(GOOD)

    assert len(judge.asked) == 2


async def test_everything_can_be_forgotten() -> None:
    judge = Judge()
    kept = Kept(judge)
    await kept(GOOD)
    kept.forget()
    await kept(GOOD)

    assert len(judge.asked) == 2


async def test_only_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MOST", 2)
    judge = Judge()
    kept = Kept(judge)
    for image in ("a", "b", "c", "a", "c"):
        await kept(pinned(image))

    assert judge.asked == [pinned(image) for image in ("a", "b", "c", "a")]
