"""What gates ask about images, and how answers are told: never a yes where none was given."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from retinue.errors import RetinueError
from retinue.policy.decision import Decision, Outcome

Judge: TypeAlias = Callable[[str], Awaitable[Decision]]
"""Decides about an image by its reference; raises RetinueError or OSError when it cannot."""

PARALLEL = 8
MAX_TEXT = 4096
_log = logging.getLogger("retinue.gates")
_UNMET = frozenset({Outcome.FAILED, Outcome.UNDECIDED})


class Answer(Struct, frozen=True):
    """What is said of one image. `digest` is None where nobody could say what it is."""

    image: str
    allowed: bool
    why: str
    digest: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def pinned(self) -> str:
        """The reference with its digest, `repository:tag@digest`, as it was written otherwise."""
        return self.image if self.digest is None else pin(self.image, self.digest)


async def ask(judge: Judge, images: Sequence[str], seconds: float) -> Mapping[str, Answer]:
    """An answer for each distinct image within so many seconds; without one in time it is no."""
    turns = asyncio.Semaphore(PARALLEL)
    distinct = dict.fromkeys(images)
    end = asyncio.get_running_loop().time() + seconds
    tasks = {image: asyncio.ensure_future(_one(judge, image, turns, end)) for image in distinct}
    try:
        return {image: await task for image, task in tasks.items()}
    finally:
        for task in tasks.values():
            task.cancel()


async def _one(judge: Judge, image: str, turns: asyncio.Semaphore, end: float) -> Answer:
    answer = await _answer(judge, image, turns, end)
    if not answer.allowed:
        _log.warning("%s", plain(f"{image}: {answer.why}")[:MAX_TEXT])
    return answer


async def _answer(judge: Judge, image: str, turns: asyncio.Semaphore, end: float) -> Answer:
    try:
        async with asyncio.timeout_at(end), turns:
            return told(image, await judge(image))
    except TimeoutError:
        return Answer(image, allowed=False, why="there was no answer in time; try again")
    except (RetinueError, OSError) as problem:
        why = f"could not be judged: {' '.join(str(problem).split())}"
        return Answer(image, allowed=False, why=why[:MAX_TEXT])


def told(image: str, decision: Decision) -> Answer:
    """A decision in a line."""
    why = refusal(decision)
    warnings = tuple(
        f"{reason.rule}, {reason.check}: {reason.why}"
        for reason in decision.reasons
        if reason.outcome in _UNMET and reason.paper is None and not reason.enforced
    )
    return Answer(image, decision.allowed, why[:MAX_TEXT], decision.digest, warnings)


def refusal(decision: Decision) -> str:
    """Why it is refused, rule by rule; or that it is not."""
    if decision.allowed:
        return f"allowed: {decision.digest}"
    unmet = [
        f"{reason.rule}, {reason.check}: {reason.why}"
        for reason in decision.reasons
        if reason.outcome in _UNMET and reason.enforced and reason.paper is None
    ]
    kind = "undecided, so refused" if decision.undecided else "refused"
    return f"{kind}: {'; '.join(unmet)} ({decision.digest})"


def plain(text: str) -> str:
    """A line without control characters: images and predicates are other people's texts."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def is_pinned(image: str) -> bool:
    return "@" in image


def pin(image: str, digest: str) -> str:
    """`repository:tag@digest`; what has a digest keeps it, and no tag is `latest`."""
    if is_pinned(image):
        return image
    tagged = image if ":" in image[image.rfind("/") + 1 :] else f"{image}:latest"
    return f"{tagged}@{digest}"
