"""A location is in one place, whatever is stepped between (storage rule 19).

A push commits its copy while fsck takes the same for a leftover; a push brings a copy while the
collector lets go of the object and its other one.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from model.stepping import Outcome, interleave, opened
from retinue.oci import digest as digests
from retinue.registry.catalog import objects, strays
from retinue.registry.catalog import repositories as repos
from retinue.registry.catalog.db import Catalog, Change, Constraint, ConstraintViolated
from retinue.registry.catalog.strays import Copy
from retinue.registry.gc import changes
from retinue.registry.storage.files import FileBlobStore
from world import DAY, World, hold_file, statement

Make: TypeAlias = Callable[[], Change[Any]]
MOST = 14
"""More statements than any change here has."""

LIVE = statement("select location from object where location = :location")
TRASHED = statement("select location from trash where location = :location")


@pytest.fixture
def world(catalog: Catalog, tmp_path: Path) -> World:
    return World(catalog, FileBlobStore(tmp_path / "data", durable=False, threads=1))


def copy(number: int, name: str) -> tuple[Copy, bytes]:
    data = f"content {number}".encode()
    digest = digests.of(data)
    hexa = digests.encoded(digest)
    place = f"01ARZ3NDEKTSV4RRFFQ69G5FAV-{name}"
    location = f"{hexa[:2]}/{hexa}.{place}-00000000"
    return Copy(location, digest, place, place[:-9]), data


def cuts() -> list[list[int]]:
    """Either goes first, the other comes in after any number of its statements."""
    return [
        [first] * steps + [1 - first] * MOST + [first] * MOST
        for first in (0, 1)
        for steps in range(MOST)
    ]


def bearable(outcome: Outcome[Any]) -> bool:
    """Done, or refused by the database."""
    error = outcome.error
    return error is None or (
        isinstance(error, ConstraintViolated) and error.kind is Constraint.CHECK
    )


async def places(world: World, location: str) -> tuple[bool, bool]:
    """Whether an object has it, and whether the trash does."""
    live = await world.catalog.one(LIVE, location)
    return live is not None, await world.catalog.one(TRASHED, location) is not None


async def test_a_copy_that_is_committed_while_fsck_takes_it_for_a_leftover(
    world: World, database: str
) -> None:
    async with opened(database) as sessions:
        for number, schedule in enumerate(cuts()):
            one, data = copy(number, "00000000")
            push = partial(hold_file, "team/app", one.digest, one.location, len(data), world.times)
            clean = partial(strays.trash_copies, [one], world.now + DAY)
            pushed, cleaned = await interleave(sessions, push, clean, schedule)
            assert bearable(pushed)
            assert bearable(cleaned)
            live, trashed = await places(world, one.location)
            assert live is not trashed
            assert live is (pushed.error is None)


def replace(one: Copy, size: int, world: World) -> Change[None]:
    """A push over a copy that was found damaged, in a repository that is there."""
    repository = yield from repos.ensure("team/app")
    trash = objects.Trash(world.now, DAY)
    known = yield from objects.put_file(one.digest, one.location, size, trash)
    if isinstance(known, objects.Rival):
        assert known.location is not None
        judged = objects.Judged(known.location, whole=False)
        known = yield from objects.put_file(one.digest, one.location, size, trash, judged)
    assert isinstance(known, objects.Placed)
    yield from objects.hold(repository, one.digest, known.object, size, world.now)


async def test_a_copy_that_replaces_one_whose_object_is_collected(
    world: World, database: str
) -> None:
    async with opened(database) as sessions:
        for number, schedule in enumerate(cuts()):
            before, data = copy(number, "00000000")
            after, _ = copy(number, "11111111")
            size = len(data)
            first = partial(
                hold_file, "team/app", before.digest, before.location, size, world.times
            )
            await world.catalog.commit(first)
            await world.execute("delete from repo_blob")

            push = partial(replace, after, size, world)
            collect = partial(changes.delete_objects, [before.digest], world.now, DAY)
            pushed, collected = await interleave(sessions, push, collect, schedule)
            assert pushed.error is None
            assert collected.error is None
            assert await places(world, before.location) == (False, True)
            assert await places(world, after.location) == (True, False)
