"""Upkeep as the worker runs it: each task takes the services, and one turn."""

import logging

from retinue.registry.catalog import deletions, links, meta
from retinue.registry.catalog.db import Catalog, Freeing
from retinue.registry.config import Config
from retinue.registry.content.delete import finish
from retinue.registry.content.services import Services
from retinue.registry.content.times import times
from retinue.registry.gc.execute import Settings, collect_once, leasehold, log_report
from retinue.registry.gc.plan import SECOND, Terms
from retinue.registry.upkeep.promise import promise
from retinue.registry.upkeep.relink import relink
from retinue.registry.upkeep.scrub import Pace, scrub_once

SCRUB_SECONDS = 20
"""How long a turn of the scrubber takes, by its rate; then other tasks have theirs."""

_log = logging.getLogger("retinue.upkeep")


def settings(config: Config, now: int) -> Settings:
    """How collection is configured; `now` in microseconds."""
    grace = int(config.grace * SECOND)
    terms = Terms(
        grace=grace,
        paper_grace=int(config.paper_grace * SECOND),
        untagged=int(config.untagged_grace * SECOND) or None,
    )
    return Settings(terms, int(config.trash_delay * SECOND), now)


async def promise_terms(services: Services) -> None:
    """Write down for how long this server keeps things. Raises CatalogUnavailable."""
    how = settings(services.config, services.clock())
    if await services.catalog.commit(Freeing(promise, how)):
        _log.info("the data says now for how long this server keeps what nothing needs")


async def collect(services: Services) -> None:
    """One collection; links of an older version are extracted again first (storage rule 16)."""
    now = services.clock()
    if await meta.links_version(services.catalog) != links.VERSION:
        grace = int(services.config.grace * SECOND)
        done = await relink(services.catalog, now=now, grace=grace)
        _log.info("extracted the links of %d manifests again", done.manifests)
    await end_deletions(services.catalog, services.config, now)
    how = settings(services.config, now)
    lease = leasehold(services.catalog, services.clock)
    log_report(await collect_once(services.catalog, services.blobs, how, lease=lease))
    await end_deletions(services.catalog, services.config, services.clock())


async def end_deletions(catalog: Catalog, config: Config, now: int) -> None:
    """Those that a process has left in the middle, and what collection has left to do (ADR 19)."""
    async for page in catalog.pages(deletions.REPOSITORIES, 0):
        for (repository,) in page:
            assert isinstance(repository, int)
            await finish(catalog, repository, times(config, now))


async def scrub(services: Services) -> None:
    """One turn of the scrubber."""
    config = services.config
    pace = Pace(
        rate=config.scrub_rate,
        before=services.clock() - int(config.scrub_interval * SECOND),
        budget=config.scrub_rate * SCRUB_SECONDS,
    )
    await scrub_once(services.catalog, services.blobs, pace, clock=services.clock)
