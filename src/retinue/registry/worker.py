"""What goes on besides requests: pulls are written down, and one elected process does the upkeep."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from msgspec import Struct

from retinue.errors import RetinueError
from retinue.registry.catalog import leases, usage
from retinue.registry.catalog.db import CatalogUnavailable, Freeing
from retinue.registry.content.pulls import Pulled
from retinue.registry.content.services import Services
from retinue.registry.metrics import PULLS, PULLS_LOST, UPKEEP_RUNS, UPKEEP_SECONDS
from retinue.registry.upkeep.tasks import promise_terms

FLUSH_SECONDS = 10.0
BATCH = 500
"""Pulls per commit."""
LEASE = "upkeep"
LEASE_SECONDS = 30.0

_log = logging.getLogger("retinue.upkeep")


class Task(Struct, frozen=True):
    """Background work. `name` is a label of metrics; `every` in seconds."""

    name: str
    every: float
    run: Callable[[Services], Awaitable[None]]


async def flush(services: Services) -> None:
    """Write down the pulls of this process; raises CatalogUnavailable (they wait then)."""
    taken = services.pulls.take()
    for start in range(0, len(taken), BATCH):
        batch = taken[start : start + BATCH]
        try:
            await services.catalog.commit(partial(usage.add, _rows(batch)))
        except CatalogUnavailable:
            services.pulls.give_back(taken[start:])
            raise
        services.metrics.add(PULLS, sum(each.count for each in batch))
    if lost := services.pulls.forget_lost():
        services.metrics.add(PULLS_LOST, lost)


def _rows(pulled: Sequence[Pulled]) -> list[tuple[int, bytes, int, int]]:
    return [(each.repository, each.digest, each.last, each.count) for each in pulled]


class Worker:
    """The background of one process. `owner` names it among all that share the catalog."""

    def __init__(self, services: Services, tasks: Sequence[Task], owner: str) -> None:
        self._services = services
        self._tasks = [task for task in tasks if task.every > 0]
        self._owner = owner
        self._leads = False
        self._running: list[asyncio.Task[None]] = []

    def start(self) -> None:
        turns = [self._flushing(), self._electing(), *map(self._turns, self._tasks)]
        self._running = [asyncio.create_task(turn) for turn in turns]

    async def stop(self) -> None:
        """End what runs, hand over the upkeep, write down the last pulls."""
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        try:
            if self._leads:
                await self._services.catalog.commit(Freeing(leases.release, LEASE, self._owner))
            await flush(self._services)
        except CatalogUnavailable as problem:
            _log.warning("the last pulls are lost: %s", problem)

    async def _flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._services.cache.publish(self._services.metrics)
            try:
                await flush(self._services)
            except CatalogUnavailable as problem:
                self._warn("pulls are not written down", problem)

    async def _electing(self) -> None:
        """Whoever has the lease works; it only saves work, nothing relies on it."""
        while True:
            try:
                leads = await self._take()
                if leads and not self._leads:
                    await promise_terms(self._services)
                self._leads = leads
            except CatalogUnavailable as problem:
                self._leads = False
                self._warn("nobody can be elected for upkeep", problem)
            await asyncio.sleep(LEASE_SECONDS / 3)

    def _warn(self, what: str, problem: CatalogUnavailable) -> None:
        """A catalog that is gone has said so itself, once; it is asked again and again."""
        if self._services.catalog.gone() is None:
            _log.warning("%s: %s", what, problem)

    async def _take(self) -> bool:
        now = self._services.clock()
        until = now + int(LEASE_SECONDS * 1_000_000)
        return await self._services.catalog.commit(
            Freeing(leases.take, LEASE, self._owner, now, until)
        )

    async def _turns(self, task: Task) -> None:
        while True:
            await asyncio.sleep(task.every)
            if self._leads:
                await self._run(task)

    async def _run(self, task: Task) -> None:
        """One that fails is reported, and tried again at its next time."""
        begun = time.monotonic()
        result = "failed"
        try:
            await task.run(self._services)
            result = "done"
        except RetinueError as problem:
            _log.error("%s failed: %s", task.name, problem)
        except Exception:
            _log.exception("%s failed", task.name)
        metrics = self._services.metrics
        metrics.add(UPKEEP_RUNS, 1, task.name, result)
        metrics.add(UPKEEP_SECONDS, time.monotonic() - begun, task.name)
