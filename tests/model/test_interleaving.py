"""Collection against every other change, stepped between any two statements, on both databases.

Whatever comes between: a tagged image has all its blobs and papers, no link dangles, no list lies,
and what was acknowledged is there (storage.md, "Collection" 2, 6 to 9, and PostgreSQL).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest
from msgspec.structs import replace

from builders import artifact, image, index
from model.stepping import Outcome, Session, Stepped, open_session
from retinue.errors import RetinueError
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.tags import cosign_tag, fallback_tag
from retinue.registry.catalog import locks, manifests, objects
from retinue.registry.catalog import repositories as repos
from retinue.registry.catalog.db import Catalog, Change, Row, Sql
from retinue.registry.catalog.manifests import BeingDeleted
from retinue.registry.content.delete import Place, delete_blob, delete_manifest, step
from retinue.registry.content.errors import BlobUnknown, ManifestBlobUnknown, ManifestUnknown
from retinue.registry.content.push import push
from retinue.registry.content.tags import delete_tag
from retinue.registry.gc import changes
from retinue.registry.gc.execute import Settings, collect_once
from retinue.registry.storage.files import FileBlobStore
from retinue.registry.upkeep.checks import Checks
from retinue.registry.upkeep.fsck import fsck
from world import DAY, World, hold_inline, statement

T = TypeVar("T")
Make: TypeAlias = Callable[[], Change[Any]]
STEPS = 500
"""More than any change here takes."""
EXPECTED = (ManifestBlobUnknown, ManifestUnknown, BlobUnknown, BeingDeleted)
"""What a client, or its registry, may be told when collection came first."""

DOOMED = statement(
    """select o.digest from object o where o.location is null and not exists (
        select 1 from object_bytes b where b.object = o.id)
    union all
    select o.digest from object o join trash t on t.location = o.location"""
)
BY_NAME = statement("select id from repository where name = :name")
MANIFEST = statement("select id from manifest where repository = :repository and digest = :digest")
BLOB = statement("select size from repo_blob where repository = :repository and digest = :digest")
TAG = statement("select digest from tag where repository = :repository and name = :name")


@pytest.fixture
async def world(catalog: Catalog, tmp_path: Path) -> AsyncIterator[World]:
    blobs = FileBlobStore(tmp_path / "data", durable=False, threads=2)
    made = World(catalog, blobs)
    made.terms = replace(made.terms, untagged=DAY)
    yield made
    await blobs.close()


@dataclass(frozen=True, slots=True)
class Scene:
    """One repository for one schedule, where all that is loose may be collected at once."""

    world: World
    number: int
    repository: int

    @property
    def name(self) -> str:
        return f"scene/r{self.number}"

    @property
    def layer(self) -> bytes:
        return f"layer {self.number}".encode()

    @property
    def config(self) -> bytes:
        return f'{{"os":"linux","number":{self.number}}}'.encode()

    @property
    def image(self) -> Manifest:
        return image(self.layer, config=self.config)

    @property
    def blobs(self) -> list[Digest]:
        return [digests.of(self.layer), digests.of(self.config), digests.of(names.EMPTY_JSON)]

    def push(self, manifest: Manifest, *tags: str) -> Make:
        return lambda: push(self.world.order(manifest, *tags, name=self.name))

    def collect_manifests(self, *which: Manifest, later: Sequence[Manifest] = ()) -> Make:
        """`later`: what goes with these, in transactions that follow."""
        wanted = [each.digest for each in which]
        spare = [each.digest for each in later]
        return lambda: changes.delete_manifests(
            self.repository, wanted, self.world.terms, self.world.now, spare
        )

    def collect_blobs(self) -> Make:
        return lambda: changes.delete_blobs(
            self.repository, self.blobs, self.world.terms, self.world.now
        )

    def collect_objects(self, *which: Digest) -> Make:
        return lambda: changes.delete_objects(which, self.world.now, self.world.delay)

    async def holds(self, manifest: Manifest) -> bool:
        raw = digests.to_bytes(manifest.digest)
        return await self.world.catalog.one(MANIFEST, self.repository, raw) is not None

    async def holds_blob(self, digest: Digest) -> bool:
        raw = digests.to_bytes(digest)
        return await self.world.catalog.one(BLOB, self.repository, raw) is not None

    async def tagged(self, tag: str) -> Digest | None:
        row = await self.world.catalog.one(TAG, self.repository, tag)
        return None if row is None else digests.from_bytes(bytes(row[0]))  # type: ignore[call-overload]


Play: TypeAlias = Callable[[Scene], Awaitable[tuple[Make, Make]]]
"""Prepares a scene, and says what the collector and the client do."""
Check: TypeAlias = Callable[[Scene, Outcome[Any], Outcome[Any]], Awaitable[None]]


async def make_scene(world: World, number: int) -> Scene:
    """The blobs of an image, stored long ago."""
    name = f"scene/r{number}"
    await world.contents(name.encode(), name=name)
    row = await world.catalog.one(BY_NAME, name)
    assert row is not None
    assert isinstance(row[0], int)
    scene = Scene(world, number, row[0])
    await world.contents(scene.layer, scene.config, names.EMPTY_JSON, name=name)
    return scene


@asynccontextmanager
async def two_sessions(database: str) -> AsyncIterator[tuple[Session, Session]]:
    both = await open_session(database), await open_session(database)
    yield both
    for session in both:
        await session.close()


async def cut(
    sessions: tuple[Session, Session], first: Make, second: Make, steps: int
) -> tuple[Outcome[Any], Outcome[Any], bool]:
    """`steps` of the first, then the second as far as it comes, then both to their ends.

    Says too whether the first had ended before the second began.
    """
    one, other = Stepped(sessions[0], first), Stepped(sessions[1], second)
    for _ in range(steps):
        if not one.done:
            assert await one.step()
    whole = one.done
    await _as_far_as_it_comes(other)
    for _ in range(STEPS):
        if one.done and other.done:
            break
        if one.done or not await one.step():
            await other.step()
    assert one.outcome is not None
    assert other.outcome is not None
    return one.outcome, other.outcome, whole


async def _as_far_as_it_comes(one: Stepped[Any]) -> None:
    for _ in range(STEPS):
        if one.done or not await one.step():
            return


async def every_cut(world: World, database: str, play: Play, check: Check) -> None:
    """Both orders, cut after every statement."""
    async with two_sessions(database) as sessions:
        await _every_cut(world, sessions, play, check)
    await sound(world)


async def _every_cut(
    world: World, sessions: tuple[Session, Session], play: Play, check: Check
) -> None:
    number = 0
    for collector_first in (True, False):
        for steps in range(STEPS):
            number += 1
            scene = await make_scene(world, number)
            collector, client = await play(scene)
            if collector_first:
                mine, theirs, whole = await cut(sessions, collector, client, steps)
            else:
                theirs, mine, whole = await cut(sessions, client, collector, steps)
            assert mine.error is None, mine.error
            assert theirs.error is None or isinstance(theirs.error, EXPECTED), theirs.error
            await check(scene, mine, theirs)
            if whole:
                break


async def sound(world: World) -> None:
    assert await world.catalog.rows(DOOMED) == []
    report = await fsck(world.catalog, world.blobs, Checks(world.now, DAY, DAY))
    assert report.findings == []


async def nothing_more(_scene: Scene, _mine: Outcome[Any], _theirs: Outcome[Any]) -> None:
    """What is sound is enough."""


async def test_push_of_a_manifest_whose_blobs_are_due(world: World, database: str) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        world.now += 2 * DAY
        return scene.collect_blobs(), scene.push(scene.image, "v1")

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        pushed = theirs.error is None
        assert await scene.holds(scene.image) is pushed
        assert (await scene.tagged("v1") == scene.image.digest) is pushed
        assert await scene.holds_blob(digests.of(scene.layer)) is pushed

    await every_cut(world, database, play, check)


async def test_push_of_a_blob_that_is_due(world: World, database: str) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        world.now += 2 * DAY
        return scene.collect_blobs(), lambda: hold_inline(scene.name, scene.layer, world.times)

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        assert theirs.error is None
        assert await scene.holds_blob(digests.of(scene.layer))

    await every_cut(world, database, play, check)


async def test_push_of_a_blob_whose_object_goes(world: World, database: str) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        world.now += 2 * DAY
        await world.catalog.commit(scene.collect_blobs())
        collector = scene.collect_objects(digests.of(scene.layer))
        return collector, lambda: hold_inline(scene.name, scene.layer, world.times)

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        assert theirs.error is None
        assert await scene.holds_blob(digests.of(scene.layer))

    await every_cut(world, database, play, check)


def mount(scene: Scene, digest: Digest) -> Change[bool]:
    """What mounting does, from the scene's repository to another."""
    target = yield from repos.ensure(f"{scene.name}-mounted")
    yield from locks.shared(target)
    held = yield from objects.held_object(scene.repository, digest)
    if held is None:
        return False
    yield from objects.hold(target, digest, *held, scene.world.now)
    return True


async def test_mount_of_a_blob_that_is_due(world: World, database: str) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        world.now += 2 * DAY
        return scene.collect_blobs(), lambda: mount(scene, digests.of(scene.layer))

    await every_cut(world, database, play, nothing_more)


async def test_mount_of_a_blob_while_its_source_and_object_go(world: World, database: str) -> None:
    def both(scene: Scene) -> Change[None]:
        """What deleting and collecting do one after the other, in one transaction."""
        yield from changes.delete_blobs(scene.repository, scene.blobs, world.terms, world.now)
        yield from changes.delete_objects([digests.of(scene.layer)], world.now, world.delay)

    async def play(scene: Scene) -> tuple[Make, Make]:
        world.now += 2 * DAY
        return (lambda: both(scene)), lambda: mount(scene, digests.of(scene.layer))

    await every_cut(world, database, play, nothing_more)


async def test_push_and_tag_of_an_image_that_is_due(world: World, database: str) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        await world.push(scene.image, name=scene.name)
        world.now += 2 * DAY
        return scene.collect_manifests(scene.image), scene.push(scene.image, "v1")

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        assert theirs.error is None
        assert await scene.holds(scene.image)
        assert await scene.tagged("v1") == scene.image.digest

    await every_cut(world, database, play, check)


async def test_push_of_an_index_whose_child_is_due(world: World, database: str) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        await world.push(scene.image, name=scene.name)
        world.now += 2 * DAY
        return scene.collect_manifests(scene.image), scene.push(index(scene.image), "v1")

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        pushed = theirs.error is None
        assert await scene.holds(scene.image) is pushed
        assert await scene.holds(index(scene.image)) is pushed

    await every_cut(world, database, play, check)


async def test_attaching_a_paper_to_a_subject_that_is_due(world: World, database: str) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        await world.push(scene.image, name=scene.name)
        world.now += 2 * DAY
        await world.contents(names.EMPTY_JSON, name=scene.name)
        return scene.collect_manifests(scene.image), scene.push(artifact(scene.image))

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        assert theirs.error is None
        assert await scene.holds(artifact(scene.image))

    await every_cut(world, database, play, check)


async def test_the_subject_of_a_paper_that_is_due_arrives(world: World, database: str) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        paper = artifact(scene.image)
        await world.push(paper, name=scene.name)
        world.now += 8 * DAY
        return scene.collect_manifests(paper), scene.push(scene.image, "v1")

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        gone = mine.result == (artifact(scene.image).digest,)
        assert await scene.holds(artifact(scene.image)) is not gone
        assert await scene.holds(scene.image)

    await every_cut(world, database, play, check)


async def test_a_signature_is_attached_by_tag_while_another_is_due(
    world: World, database: str
) -> None:
    def signature(scene: Scene, text: str) -> Manifest:
        return artifact(annotations={"text": text, "scene": scene.name})

    async def play(scene: Scene) -> tuple[Make, Make]:
        tag = cosign_tag(scene.image.digest, "sig")
        assert tag is not None
        await world.push(signature(scene, "old"), tag, name=scene.name)
        world.now += 8 * DAY
        await world.contents(names.EMPTY_JSON, name=scene.name)
        return (
            scene.collect_manifests(signature(scene, "old")),
            scene.push(signature(scene, "new"), tag),
        )

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        tag = cosign_tag(scene.image.digest, "sig")
        assert tag is not None
        assert await scene.tagged(tag) == signature(scene, "new").digest
        assert await scene.holds(signature(scene, "new"))

    await every_cut(world, database, play, check)


async def test_a_fallback_index_is_written_while_its_paper_is_due(
    world: World, database: str
) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        paper = artifact(scene.image)
        await world.push(paper, name=scene.name)
        world.now += 8 * DAY
        tag = fallback_tag(scene.image.digest)
        return scene.collect_manifests(paper), scene.push(index(paper), tag)

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        assert await scene.holds(artifact(scene.image)) is (theirs.error is None)

    await every_cut(world, database, play, check)


async def test_deletion_of_what_is_due(world: World, database: str) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        paper = artifact(scene.image)
        await world.push(scene.image, name=scene.name)
        await world.push(paper, name=scene.name)
        world.now += 2 * DAY
        return (
            scene.collect_manifests(scene.image, paper),
            lambda: delete_manifest(scene.name, scene.image.digest, world.times),
        )

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        assert not await scene.holds(scene.image)

    await every_cut(world, database, play, check)


def part_of_a_group(scene: Scene) -> tuple[Manifest, Manifest]:
    """Two papers of an image: one that is due with it, and one that is young."""
    return artifact(scene.image), artifact(scene.image, annotations={"n": "young"})


async def begin_group(world: World, scene: Scene) -> Make:
    """The collector takes the image, and has not come to the paper yet."""
    old, young = part_of_a_group(scene)
    for each in (scene.image, old):
        await world.push(each, name=scene.name)
    world.now += 2 * DAY
    await world.contents(scene.layer, scene.config, names.EMPTY_JSON, name=scene.name)
    await world.push(young, name=scene.name)
    return scene.collect_manifests(scene.image, later=[old])


@pytest.mark.parametrize("what", ["image", "old paper", "new paper"])
async def test_push_between_two_parts_of_a_group(world: World, database: str, what: str) -> None:
    def pushed(scene: Scene) -> Manifest:
        new = artifact(scene.image, annotations={"n": "new"})
        return {"image": scene.image, "old paper": part_of_a_group(scene)[0], "new paper": new}[
            what
        ]

    async def play(scene: Scene) -> tuple[Make, Make]:
        return await begin_group(world, scene), scene.push(pushed(scene))

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        gone = mine.result == (scene.image.digest,)
        assert await scene.holds(scene.image) is not gone
        if theirs.error is None:
            assert await scene.holds(pushed(scene))
        place: Place | None = Place()
        while place is not None:
            end = partial(step, scene.repository, place, world.times)
            place = await world.catalog.commit(end)
        old, young = part_of_a_group(scene)
        assert await scene.holds(young)
        # What is pushed again while the image was there is young, and waits for its own grace.
        again = what == "old paper" and theirs.error is None
        assert await scene.holds(old) is (not gone or again)

    await every_cut(world, database, play, check)


async def test_upkeep_ends_a_group_that_a_collector_goes_on_with(
    world: World, database: str
) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        await world.catalog.commit(await begin_group(world, scene))
        old, _ = part_of_a_group(scene)
        end = partial(step, scene.repository, Place(), world.times)
        return scene.collect_manifests(old, later=[scene.image]), end

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        old, young = part_of_a_group(scene)
        assert not await scene.holds(old)
        assert await scene.holds(young)

    await every_cut(world, database, play, check)


async def test_deletion_of_a_blob_that_is_due(world: World, database: str) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        world.now += 2 * DAY
        digest = digests.of(scene.layer)
        return scene.collect_blobs(), lambda: delete_blob(scene.name, digest, world.times)

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        assert not await scene.holds_blob(digests.of(scene.layer))

    await every_cut(world, database, play, check)


async def test_untagging_while_the_collector_looks(world: World, database: str) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        await world.push(scene.image, "v1", name=scene.name)
        world.now += 2 * DAY
        return (
            scene.collect_manifests(scene.image),
            lambda: delete_tag(scene.name, "v1", world.times),
        )

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        assert mine.result == ()
        assert await scene.holds(scene.image)

    await every_cut(world, database, play, check)


def head(scene: Scene, digest: Digest) -> Change[bool]:
    """What HEAD does when less than half of the grace is left."""
    yield from locks.shared(scene.repository)
    if not (yield from manifests.present(scene.repository, [digest])):
        return False
    yield from manifests.touch(scene.repository, [digest], scene.world.now)
    return True


async def test_head_of_what_is_due(world: World, database: str) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        await world.push(scene.image, name=scene.name)
        world.now += 2 * DAY
        return scene.collect_manifests(scene.image), lambda: head(scene, scene.image.digest)

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        assert await scene.holds(scene.image) is theirs.result

    await every_cut(world, database, play, check)


async def test_two_collectors(world: World, database: str) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        await world.push(scene.image, name=scene.name)
        await world.push(index(scene.image), name=scene.name)
        world.now += 2 * DAY
        both = (scene.image, index(scene.image))
        return scene.collect_manifests(*both), scene.collect_manifests(*reversed(both))

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        assert theirs.error is None
        gone: Sequence[Digest] = (*(mine.result or ()), *(theirs.result or ()))
        assert sorted(gone) == sorted([scene.image.digest, index(scene.image).digest])

    await every_cut(world, database, play, check)


async def test_two_collectors_of_objects(world: World, database: str) -> None:
    async def play(scene: Scene) -> tuple[Make, Make]:
        world.now += 2 * DAY
        await world.catalog.commit(scene.collect_blobs())
        layer, config = digests.of(scene.layer), digests.of(scene.config)
        return scene.collect_objects(layer, config), scene.collect_objects(config, layer)

    async def check(scene: Scene, mine: Outcome[Any], theirs: Outcome[Any]) -> None:
        assert theirs.error is None
        gone = [*(mine.result or ()), *(theirs.result or ())]
        assert len(gone) == 2

    await every_cut(world, database, play, check)


def unlocked(scene: Scene) -> Change[None]:
    """A collector that does not take the lock, to show that these tests see what it prevents."""
    walk = changes.delete_blobs(scene.repository, scene.blobs, scene.world.terms, scene.world.now)
    next(walk)
    sql, args = walk.send([(None,)])
    try:
        while True:
            sql, args = walk.send((yield sql, args))
    except StopIteration:
        return


async def test_without_its_lock_postgres_would_leave_a_dangling_link(
    world: World, database: str
) -> None:
    dangling = 0
    async with two_sessions(database) as sessions:
        for steps in range(1, 12):
            scene = await make_scene(world, steps)
            world.now += 2 * DAY
            client = scene.push(scene.image, "v1")
            _, theirs, _ = await cut(sessions, partial(unlocked, scene), client, steps)
            if theirs.error is None:
                dangling += not await scene.holds_blob(digests.of(scene.layer))
    assert (dangling > 0) is database.startswith("postgresql:")


class Between:
    """A catalog in front of another that commits a change before its n-th question."""

    def __init__(self, catalog: Catalog, change: Make, number: int) -> None:
        self._catalog = catalog
        self._change = change
        self.left = number

    async def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            await self._catalog.commit(self._change)

    async def one(self, sql: Sql, *args: object) -> Row | None:
        await self._count()
        return await self._catalog.one(sql, *args)

    async def rows(self, sql: Sql, *args: object) -> Sequence[Row]:
        await self._count()
        return await self._catalog.rows(sql, *args)

    def pages(self, sql: Sql, *args: object) -> AsyncIterator[Sequence[Row]]:
        return self._catalog.pages(sql, *args)

    async def scan(self, sql: Sql, *args: object) -> Sequence[Row]:
        await self._count()
        return await self._catalog.scan(sql, *args)

    async def commit(self, change: Callable[[], Change[T]]) -> T:
        await self._count()
        return await self._catalog.commit(change)

    def gone(self) -> str | None:
        return self._catalog.gone()

    def full(self) -> str | None:
        return self._catalog.full()

    def generation(self) -> int | None:
        return self._catalog.generation()

    async def close(self) -> None:
        await self._catalog.close()


async def test_an_image_is_pushed_between_any_two_steps_of_a_whole_collection(
    world: World,
) -> None:
    """Plans are made without a lock: whatever is pushed after one was made lives."""
    for number in range(1, STEPS):
        scene = await make_scene(world, number)
        child, paper = scene.image, artifact(scene.image)
        for each in (child, paper):
            await world.push(each, name=scene.name)
        world.now += DAY
        await world.contents(names.EMPTY_JSON, name=scene.name)
        between = Between(world.catalog, scene.push(index(child), "v1"), number)
        settings = Settings(world.terms, world.delay, world.now)
        try:
            await collect_once(between, world.blobs, settings)
            pushed = between.left <= 0
        except ManifestBlobUnknown:
            pushed = False
        if pushed:
            assert await scene.holds(child)
            assert await scene.holds(paper)
        else:
            assert not await scene.holds(index(child))
        await sound(world)
        if between.left > 0:
            break
        await clear(world)


async def clear(world: World) -> None:
    """The next scene has all of the queue to itself."""
    for table in ("candidate", "tag", "paper", "link", "manifest", "repo_blob", "object"):
        await world.execute(f"delete from {table}")


def test_what_clients_are_told_are_errors_of_the_program() -> None:
    assert all(issubclass(each, RetinueError) for each in EXPECTED)
