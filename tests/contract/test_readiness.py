"""What a process says of its readiness, on both databases: writes are tried, but not too often."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from counting import Counted
from retinue.registry.catalog import meta
from retinue.registry.catalog.db import CatalogUnavailable, Change, T
from retinue.registry.http.readiness import BLOBS, CATALOG, FULL, READY, SECONDS, Readiness, Verdict
from retinue.registry.storage.blobstore import StorageFailed, StorageFull
from rig import Rig


class Sealed(Counted):
    """A catalog that is read, and not written while `sealed`."""

    sealed = False

    async def commit(self, change: Callable[[], Change[T]]) -> T:
        if self.sealed:
            raise CatalogUnavailable("attempt to write a readonly database")
        return await super().commit(change)


class World:
    def __init__(self, rig: Rig) -> None:
        self.now = 0.0
        self.catalog = Sealed(rig.catalog)
        self.services = replace(rig.services(), catalog=self.catalog)
        self.readiness = Readiness(lambda: self.now)

    async def verdict(self) -> Verdict:
        return await self.readiness.verdict(self.services)

    def writes(self) -> int:
        return self.catalog.statements.count(meta.WRITE)


@pytest.fixture
def world(rig: Rig) -> World:
    return World(rig)


async def test_a_write_is_tried_now_and_then_however_often_somebody_asks(world: World) -> None:
    for _ in range(20):
        assert await world.verdict() == READY
    assert world.writes() == 1
    world.now += SECONDS
    assert await world.verdict() == READY
    assert world.writes() == 2


async def test_a_catalog_that_is_read_only_is_not_ready_until_it_is_written_again(
    world: World,
) -> None:
    world.catalog.sealed = True
    assert await world.verdict() == CATALOG
    world.catalog.sealed = False
    assert await world.verdict() == READY


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (StorageFailed("write", "Read-only file system"), BLOBS),
        (StorageFull("write", "full"), FULL),
    ],
    ids=["broken", "full"],
)
async def test_blobs_are_written_too(
    world: World, monkeypatch: pytest.MonkeyPatch, problem: StorageFailed, expected: Verdict
) -> None:
    async def upload(_session: str) -> None:
        raise problem

    with monkeypatch.context() as patch:
        patch.setattr(world.services.blobs, "upload", upload)
        assert await world.verdict() == expected
    world.now += SECONDS
    assert await world.verdict() == READY


async def test_nothing_is_left_of_a_try(world: World) -> None:
    await world.verdict()
    assert [session async for session, _, _ in world.services.blobs.sessions()] == []
