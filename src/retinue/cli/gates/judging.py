"""How gates judge: a policy and its revocation list, kept fresh, and an image at a time."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from retinue.cli import trusting
from retinue.cli.judging import Question, judge, question
from retinue.client.client import Client
from retinue.errors import RetinueError
from retinue.oci.reference import Reference, parse
from retinue.policy.decision import Decision, Operation
from retinue.policy.model import Tags

REFRESH_SECONDS = 60.0
_log = logging.getLogger("retinue.gates")


class Judging:
    """Decides about images in registries. `refresh` reads policy and revocation list again."""

    def __init__(self, reached: Client, path: Path) -> None:
        self._reached = reached
        self._path = path
        self._question: Question | None = None
        self._guard = reached.transport.settings.guard
        self._configured = self._guard.named if self._guard else frozenset[str]()

    @property
    def ready(self) -> bool:
        return self._question is not None

    async def refresh(self) -> None:
        """Raises what is wrong with the policy, or in the way of its list.

        A policy that can be read holds at once, also where its list cannot be fetched: the list that
        was known is judged by it, whose signer it may have declared compromised.
        """
        policy = trusting.from_file(self._path)
        if self._guard is not None:
            self._guard.named = self._configured | policy.hosts
        if self._question is not None:
            self._question = replace(self._question, policy=policy)
        self._question = await question(self._reached, policy, Operation.ADMISSION)

    async def keep_fresh(self, at_once: asyncio.Event, done: Callable[[], None]) -> None:
        """Refresh every minute, and when told to; `done` is called after. What cannot be read leaves
        what there was: a list that cannot be fetched grows too old by itself, and then refuses."""
        while True:
            try:
                async with asyncio.timeout(REFRESH_SECONDS):
                    await at_once.wait()
            except TimeoutError:
                _log.debug("a minute has passed")
            at_once.clear()
            try:
                await self.refresh()
            except (RetinueError, OSError) as problem:
                _log.error("what cannot be read stays as it was: %s", problem)
            finally:
                done()  # the policy may be another one already

    async def __call__(self, image: str) -> Decision:
        """Judge what a reference names now; a tag beside a digest only says where it came from."""
        return await self.about(parse(image))

    async def about(self, reference: Reference) -> Decision:
        return (await judge(self._reached, reference, await self._asked())).decision

    async def wants_tags(self) -> bool:
        """Whether a rule of the policy reads the tag that is asked for."""
        policy = (await self._asked()).policy
        return any(rule.tag is not Tags.IGNORE for rule in policy.rules)

    async def _asked(self) -> Question:
        if self._question is None:
            await self.refresh()
        assert self._question is not None
        return self._question
