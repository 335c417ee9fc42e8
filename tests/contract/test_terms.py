"""For how long things are kept is in the data; leases trust no clock (storage rule 24)."""

import asyncio

import pytest

from retinue.registry.catalog import leases, uploads
from retinue.registry.catalog.db import Catalog
from retinue.registry.config import Config
from retinue.registry.content.services import Services
from retinue.registry.gc.execute import Settings
from retinue.registry.gc.plan import Terms
from retinue.registry.upkeep.promise import agreed, promise
from retinue.registry.upkeep.tasks import settings
from retinue.registry.worker import Task, Worker
from rig import Rig
from world import DAY, HOUR, statement

NOW = 1_000 * DAY
LENGTH = HOUR


async def served(rig: Rig) -> None:
    """A server starts, does its upkeep for a moment, and ends."""
    services = rig.services()
    begun = asyncio.Event()

    async def run(_services: Services) -> None:
        begun.set()

    worker = Worker(services, [Task("gc", 0.001, run)], "server")
    worker.start()
    async with asyncio.timeout(60):
        await begun.wait()
    await worker.stop()


async def test_24_a_command_keeps_things_as_long_as_the_server(rig: Rig) -> None:
    rig.restart(grace=30 * 86400.0, trash_delay=3600.0)
    await served(rig)
    plain = Config(data=rig.config.data)
    kept = await agreed(rig.catalog, settings(plain, rig.now))
    assert kept.terms.grace == 30 * DAY
    assert kept.trash_delay == DAY  # the command's own is the longer one
    assert kept.terms.paper_grace == 7 * DAY
    assert kept.now == rig.now


async def test_24_a_server_that_starts_with_shorter_terms_lowers_them(rig: Rig) -> None:
    rig.restart(grace=30 * 86400.0)
    await served(rig)
    rig.restart(grace=60.0, untagged_grace=60.0)
    await served(rig)
    hasty = settings(Config(data=rig.config.data, grace=1.0, untagged_grace=1.0), rig.now)
    kept = await agreed(rig.catalog, hasty)
    assert kept.terms.grace == kept.terms.untagged == 60_000_000


@pytest.mark.parametrize(
    ("asked", "promised", "expected"),
    [(None, None, None), (1, None, None), (None, 1, None), (1, 2, 2), (3, 2, 3)],
)
async def test_24_untagged_manifests_are_kept_for_ever_if_either_says_so(
    catalog: Catalog, asked: int | None, promised: int | None, expected: int | None
) -> None:
    theirs = Settings(Terms(untagged=promised), DAY, NOW)
    assert await catalog.commit(lambda: promise(theirs))
    assert not await catalog.commit(lambda: promise(theirs))
    ours = Settings(Terms(untagged=asked), DAY, NOW)
    assert (await agreed(catalog, ours)).terms.untagged == expected


async def test_24_data_that_no_server_has_used_promises_nothing(catalog: Catalog) -> None:
    asked = Settings(Terms(grace=1), 2, NOW)
    assert await agreed(catalog, asked) == asked


@pytest.mark.parametrize(
    ("later", "free"),
    [
        (0, False),
        (LENGTH - 1, False),
        (LENGTH, True),
        (-LENGTH + 1, False),  # clocks of two machines differ a little
        (-LENGTH - 1, True),
        (DAY, True),
        (-DAY, True),
    ],
)
async def test_a_lease_is_over_when_a_clock_was_set(
    catalog: Catalog, later: int, *, free: bool
) -> None:
    assert await catalog.commit(lambda: leases.take("gc", "one", NOW, NOW + LENGTH))
    now = NOW + later
    assert await catalog.commit(lambda: leases.take("gc", "two", now, now + LENGTH)) is free
    assert await catalog.commit(lambda: leases.take("gc", "two", now, now + LENGTH)) is free


@pytest.mark.parametrize(("later", "free"), [(0, False), (-DAY, True), (DAY, True)])
async def test_an_upload_is_free_when_a_clock_was_set(rig: Rig, later: int, *, free: bool) -> None:
    repository = statement("select id from repository")
    await rig.blob(b"x")
    row = await rig.catalog.one(repository)
    assert row is not None
    start = uploads.Start("s", int(str(row[0])), "me", "s", "sha256", NOW + 7 * DAY)
    await rig.catalog.commit(lambda: uploads.start(start, 0, None, "boot", uploads.OPEN))
    assert await rig.catalog.commit(lambda: uploads.lease("s", 0, "one", NOW + LENGTH, NOW))
    now = NOW + later
    taken = await rig.catalog.commit(lambda: uploads.lease("s", 0, "two", now + LENGTH, now))
    assert taken is free
