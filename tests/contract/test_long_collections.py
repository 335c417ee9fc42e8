"""Collection of groups that are larger than one transaction takes (storage rule 22, ADR 19)."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from builders import CONFIG, LAYER, artifact, image, index, with_papers
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.tags import fallback_tag
from retinue.registry.catalog import repositories
from retinue.registry.catalog.db import Catalog, Change
from retinue.registry.catalog.manifests import BeingDeleted
from retinue.registry.content.delete import finish
from retinue.registry.gc import execute, plan
from retinue.registry.gc.execute import Settings, collect_once
from retinue.registry.gc.report import Report
from retinue.registry.storage.files import FileBlobStore
from retinue.registry.upkeep.checks import Checks
from retinue.registry.upkeep.fsck import fsck
from world import DAY, HOUR, MANIFESTS, NAME, PAPERS, World

T = TypeVar("T")
MOST = 200
"""Rows that one statement of a collection may be given, or may find."""


class Killed(Exception):
    """The process ends here."""


class Watched:
    """A catalog that looks after every transaction how many rows it took.

    `rows`: the most that a statement in each was given or found; `left`: manifests after each.
    `killed_after` so many no more is done.
    """

    def __init__(self, catalog: Catalog, killed_after: int | None = None) -> None:
        self._catalog = catalog
        self._killed_after = killed_after
        self.rows_of: list[int] = []
        self.left: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    async def commit(self, change: Callable[[], Change[T]]) -> T:
        if self._killed_after is not None and len(self.left) >= self._killed_after:
            raise Killed
        seen: list[int] = []
        done = await self._catalog.commit(lambda: self._watched(change(), seen))
        self.rows_of.append(max(seen, default=0))
        self.left.append(len(await self._catalog.rows(MANIFESTS)))
        return done

    def _watched(self, change: Change[T], seen: list[int]) -> Change[T]:
        answer: Any = None
        while True:
            try:
                sql, args = change.send(answer)
            except StopIteration as stop:
                done: T = stop.value
                return done
            given = [json.loads(a) for a in args if isinstance(a, str) and a.startswith("[[")]
            answer = yield sql, args
            seen += [len(answer), *map(len, given)]


@pytest.fixture
async def world(catalog: Catalog, tmp_path: Path) -> AsyncIterator[World]:
    blobs = FileBlobStore(tmp_path / "data", durable=False, threads=2)
    made = World(catalog, blobs)
    made.terms = replace(made.terms, untagged=DAY)
    await made.contents(CONFIG, LAYER, names.EMPTY_JSON)
    yield made
    await made.sound()
    report = await fsck(made.catalog, made.blobs, Checks(made.now, DAY, DAY))
    assert report.findings == []
    await blobs.close()


@pytest.fixture(autouse=True)
def sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer than the papers here, so that it is not what is counted."""
    monkeypatch.setattr(execute, "SWEEP", 50)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "WHOLE", 4)
    monkeypatch.setattr(plan, "BATCH", 2)


async def collect(world: World, catalog: Any) -> Report:
    settings = Settings(world.terms, world.delay, world.now)
    return await collect_once(catalog, world.blobs, settings)


async def end(world: World, catalog: Any) -> None:
    """What upkeep does after a collection, and before one."""
    repository = await repositories.lookup(world.catalog, NAME)
    assert repository is not None
    await finish(catalog, repository, world.times)


async def under_way(world: World) -> int:
    return len(await world.execute("select id from deletion"))


def check(watched: Watched) -> None:
    """However large a group is: its transactions are not."""
    assert max(watched.rows_of) <= MOST
    steps = [a - b for a, b in zip(watched.left, watched.left[1:], strict=False)]
    assert max(steps) <= plan.BATCH


async def test_a_large_group_goes_in_bounded_steps_as_a_dry_run_says(world: World) -> None:
    subject = image()
    for each in (subject, *with_papers(subject, 300)):
        await world.push(each)
    world.now += 2 * DAY
    named = await world.collect(dry_run=True)
    watched = Watched(world.catalog)
    done = await collect(world, watched)
    assert done.manifests == 301
    kinds = {"manifest", "blob"}
    assert [i for i in named.items if i.kind == "manifest"] == [
        i for i in done.items if i.kind == "manifest"
    ]
    assert {i.kind for i in named.items} <= kinds
    await end(world, watched)
    check(watched)
    assert await world.manifests() == set()
    assert await world.catalog.rows(PAPERS) == []
    assert await under_way(world) == 0


async def test_papers_that_lose_a_subject_wait_and_go_in_bounded_steps(world: World) -> None:
    subject = image()
    papers = with_papers(subject, 300)
    await world.push(subject, "v1")
    for each in papers:
        await world.push(each)
    world.now += 2 * DAY
    await world.collect()  # they are no candidates any more
    await world.untag("v1")
    world.now += DAY
    watched = Watched(world.catalog)
    first = (await collect(world, watched)).manifests - 1  # papers that the sweep came by
    await end(world, watched)
    left = await world.manifests()
    assert left < {paper.digest for paper in papers}
    assert 0 < len(left) == 300 - first
    world.now += 7 * DAY - HOUR
    assert (await collect(world, watched)).manifests == 0
    world.now += HOUR
    assert (await collect(world, watched)).manifests == len(left)
    await end(world, watched)
    check(watched)
    assert await under_way(world) == 0


async def test_papers_that_something_keeps_are_dealt_with_in_bounded_steps(world: World) -> None:
    subject = image()
    papers = with_papers(subject, 300)
    for each in (subject, *papers):
        await world.push(each)
    await world.execute(
        "update manifest set locked = 1 where digest <> :subject", digests.to_bytes(subject.digest)
    )
    world.now += 2 * DAY
    watched = Watched(world.catalog)
    assert (await collect(world, watched)).manifests == 1
    await end(world, watched)
    check(watched)
    assert await world.manifests() == {paper.digest for paper in papers}
    assert len(await world.catalog.rows(PAPERS)) == 300


async def test_wherever_a_collector_is_killed_papers_go_with_their_subject(
    world: World, small: None
) -> None:
    """Young ones stay, and what is pushed again has none of the old ones."""
    for killed_after in range(1, 40):
        subject = image(annotations={"n": f"{killed_after}"})
        papers = with_papers(subject, 6)
        on_paper = artifact(papers[1], annotations={"n": f"{killed_after}"})
        listing = index(*papers[:3])
        young = artifact(subject, annotations={"n": "young"})
        old = {each.digest for each in (*papers, on_paper, listing)}
        for each in (subject, *papers, on_paper):
            await world.push(each)
        await world.push(listing, fallback_tag(subject.digest))
        world.now += 2 * DAY
        await world.push(young)
        watched = Watched(world.catalog, killed_after)
        whole = False
        try:
            await collect(world, watched)
            whole = True
        except Killed:
            pass
        gone = subject.digest not in await world.manifests()
        await end(world, world.catalog)
        left = await world.manifests()
        assert young.digest in left
        assert old & left == (set() if gone else old)
        await world.push(subject)
        await world.delete(subject.digest)
        await end(world, world.catalog)
        if whole:
            return
    raise AssertionError("no collection came to its end")


async def test_a_push_between_two_steps_waits_for_the_rest(world: World, small: None) -> None:
    subject = image()
    papers = with_papers(subject, 6)
    for each in (subject, *papers):
        await world.push(each)
    world.now += 2 * DAY
    watched = Watched(world.catalog, 2)
    with pytest.raises(Killed):
        await collect(world, watched)
    assert 1 < len(await world.manifests()) < 7
    with pytest.raises(BeingDeleted):
        await world.push(subject)
    await end(world, world.catalog)
    assert await world.manifests() == set()
    await world.push(subject)
    await world.collect()
    assert await world.manifests() == {subject.digest}


async def test_the_next_collection_goes_on_where_one_was_killed(world: World, small: None) -> None:
    subject = image()
    for each in (subject, *with_papers(subject, 6)):
        await world.push(each)
    world.now += 2 * DAY
    with pytest.raises(Killed):
        await collect(world, Watched(world.catalog, 2))
    named = await world.collect(dry_run=True)
    left = len(await world.manifests())
    assert (named.manifests, (await world.collect()).manifests) == (left, left)
    await end(world, world.catalog)
    assert await under_way(world) == 0
