"""The background of a process, on both databases."""

import asyncio
import logging

import pytest

from builders import image
from retinue.oci import digest as digests
from retinue.registry import worker
from retinue.registry.catalog.db import CatalogUnavailable
from retinue.registry.content.services import Services
from retinue.registry.metrics import CELLS, UPKEEP_RUNS
from retinue.registry.worker import Task, Worker
from rig import NAME, Rig


async def test_of_two_processes_one_works_and_the_other_takes_over(rig: Rig) -> None:
    begun: asyncio.Queue[str] = asyncio.Queue()

    def task(name: str) -> Task:
        async def run(_services: Services) -> None:
            await begun.put(name)

        return Task("gc", 0.001, run)

    first, second = (Worker(rig.services(), [task(name)], name) for name in ("one", "two"))
    first.start()
    assert await begun.get() == "one"
    second.start()
    for _ in range(5):
        assert await begun.get() == "one"
    await first.stop()
    while not begun.empty():
        begun.get_nowait()
    await second.stop()
    third = Worker(rig.services(), [task("three")], "three")
    third.start()
    assert await begun.get() == "three"
    await third.stop()


async def test_a_task_that_fails_is_reported_counted_and_tried_again(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "retinue.upkeep")
    services = rig.services()
    again = asyncio.Event()
    problems = [CatalogUnavailable("the disk is full"), ZeroDivisionError("a mistake")]

    async def run(_services: Services) -> None:
        if problems:
            raise problems.pop(0)
        again.set()

    running = Worker(services, [Task("gc", 0.001, run)], "one")
    running.start()
    await again.wait()
    await running.stop()
    assert "the disk is full" in caplog.text
    assert "a mistake" in caplog.text
    assert services.metrics.cells[CELLS[UPKEEP_RUNS.name]["gc", "failed"]] == 2


async def test_the_last_pulls_are_written_down_at_the_end(rig: Rig) -> None:
    await rig.basics()
    digest = await rig.push(image(), "v1")
    services = rig.entry._services
    running = Worker(services, [], "one")
    running.start()
    await rig.call("GET", f"/v2/{NAME}/manifests/v1")
    await running.stop()
    found = await rig.rows("select digest, pulls from usage where pulls > :none", 0)
    assert found == [(digests.to_bytes(digest), 1)]


async def test_pulls_that_cannot_be_written_wait(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    services = rig.services()
    for number in range(worker.BATCH + 1):
        services.pulls.record(1, number.to_bytes(33), 1)

    async def refuse(_change: object) -> None:
        raise CatalogUnavailable("gone")

    monkeypatch.setattr(services.catalog, "commit", refuse)
    with pytest.raises(CatalogUnavailable):
        await worker.flush(services)
    assert len(services.pulls) == worker.BATCH + 1
