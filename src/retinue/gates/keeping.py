"""Answers that many ask for at once: a rollout makes a thousand Pods of one image in seconds."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from retinue.gates.judging import Judge, is_pinned
from retinue.policy.decision import Decision

SECONDS = 10.0
MOST = 4096


class Kept(Struct):
    """A judge that asks once for all who ask while it does.

    What is allowed by digest is kept for `seconds` (never beyond `valid_until`): so long it takes
    until a revocation is seen. Refusals are asked again each time, since papers may just have come;
    so are tags.
    """

    judge: Judge
    seconds: float = SECONDS
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _kept: dict[str, tuple[Decision, datetime]] = {}
    _asking: dict[str, asyncio.Task[Decision]] = {}

    async def __call__(self, image: str) -> Decision:
        found = self._kept.get(image)
        if found is not None and self.clock() < found[1]:
            return found[0]
        task = self._asking.get(image)
        if task is None:
            task = self._asking[image] = asyncio.create_task(self._ask(image))
            task.add_done_callback(_seen)
        # Shielded: one who gives up must not take the answer from the others.
        return await asyncio.shield(task)

    async def _ask(self, image: str) -> Decision:
        try:
            decision = await self.judge(image)
        finally:
            del self._asking[image]
        self._kept.pop(image, None)
        if decision.allowed and is_pinned(image):
            self._keep(image, decision)
        return decision

    def _keep(self, image: str, decision: Decision) -> None:
        until = self.clock() + timedelta(seconds=self.seconds)
        if decision.valid_until is not None:
            until = min(until, decision.valid_until)
        if len(self._kept) >= MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[image] = (decision, until)

    def forget(self) -> None:
        """The policy or its list may have changed."""
        self._kept.clear()


def _seen(task: asyncio.Task[Decision]) -> None:
    """Whoever waited has the error, too; if nobody did, it is no news to anybody."""
    if not task.cancelled():
        task.exception()
