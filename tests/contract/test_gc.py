"""Collection on both databases: storage.md, rules 13, 14 and 16, and "Collection"."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from builders import CONFIG, LAYER, artifact, image, index, with_papers
from counting import Counted
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.tags import cosign_tag, fallback_tag
from retinue.registry.catalog import leases, queue, trash
from retinue.registry.catalog.db import Catalog, Change, Row, Sql
from retinue.registry.catalog.look import look
from retinue.registry.catalog.postgres import PostgresCatalog
from retinue.registry.gc import changes, execute, plan
from retinue.registry.gc.execute import LEASE, LEASE_TIME, Settings, collect_once, leasehold
from retinue.registry.gc.plan import SECOND
from retinue.registry.gc.report import Item
from retinue.registry.storage.files import FileBlobStore
from world import BLOBS, CANDIDATES, DAY, HOUR, MANIFESTS, NAME, OBJECTS, PAPERS, TRASH, World

BASE = (CONFIG, LAYER, names.EMPTY_JSON)


@pytest.fixture
async def world(catalog: Catalog, tmp_path: Path) -> AsyncIterator[World]:
    blobs = FileBlobStore(tmp_path / "data", durable=False, threads=2)
    made = World(catalog, blobs)
    await made.contents(*BASE)
    yield made
    await made.sound()
    await blobs.close()


def old_policy(world: World) -> None:
    """Untagged manifests go a day after push, pull and untagging."""
    world.terms = replace(world.terms, untagged=DAY)


async def test_13_a_tag_keeps_an_image_its_blobs_and_its_papers(world: World) -> None:
    old_policy(world)
    subject = image()
    paper = artifact(subject)
    on_paper = artifact(paper)
    for each in (on_paper, paper):
        await world.push(each)
    await world.push(subject, "v1")
    await world.collect_all()
    assert await world.manifests() == {subject.digest, paper.digest, on_paper.digest}
    assert len(await world.digests(BLOBS)) == 3


async def test_13_untagged_manifests_stay_unless_the_policy_says_otherwise(world: World) -> None:
    lone = await world.push(image())
    await world.collect_all()
    assert await world.manifests() == {lone}
    old_policy(world)
    await world.collect_all()
    assert await world.manifests() == set()
    assert await world.digests(BLOBS) == set()
    assert await world.digests(OBJECTS) == set()
    assert await world.catalog.rows(CANDIDATES) == []


async def test_13_a_pull_counts_as_use(world: World) -> None:
    old_policy(world)
    lone = await world.push(image())
    await world.execute(
        "insert into usage (repository, digest, last_pull, pulls) "
        "select repository, digest, :now, 1 from manifest",
        world.now + 3 * DAY,
    )
    world.now += 3 * DAY
    await world.collect()
    assert await world.manifests() == {lone}
    world.now += DAY
    await world.collect()
    assert await world.manifests() == set()


async def test_13_a_locked_manifest_is_a_root(world: World) -> None:
    old_policy(world)
    lone = await world.push(image())
    await world.execute("update manifest set locked = 1")
    await world.collect_all()
    assert await world.manifests() == {lone}


async def test_13_an_index_keeps_its_children_until_it_goes(world: World) -> None:
    old_policy(world)
    child = image()
    parent = index(child)
    await world.push(child)
    await world.push(parent, "v1")
    await world.collect_all(5)
    assert await world.manifests() == {child.digest, parent.digest}
    await world.untag("v1")
    await world.collect_all()
    assert await world.manifests() == set()


async def test_13_a_paper_waits_seven_days_for_its_subject(world: World) -> None:
    paper = await world.push(artifact(image()))
    world.now += 7 * DAY - HOUR
    await world.collect()
    assert await world.manifests() == {paper}
    world.now += HOUR
    await world.collect()
    assert await world.manifests() == set()
    assert await world.catalog.rows(PAPERS) == []


async def test_13_a_paper_whose_subject_is_in_another_repository_lives_as_long_as_that(
    world: World,
) -> None:
    subject = image()
    await world.contents(*BASE, name="team/other")
    await world.push(subject, "v1", name="team/other")
    paper = await world.push(artifact(subject))
    await world.collect_all()
    assert await world.manifests() == {subject.digest, paper}
    await world.delete(subject.digest, name="team/other")
    await world.collect_all()
    assert await world.manifests() == set()


async def test_13_papers_of_a_subject_that_was_collected_go_after_their_own_grace(
    world: World,
) -> None:
    old_policy(world)
    subject = image()
    papers = with_papers(subject, 3)
    await world.push(subject)
    world.now += DAY - HOUR
    for paper in papers:
        await world.push(paper)
    world.now += HOUR
    await world.collect()
    assert await world.manifests() == {paper.digest for paper in papers}
    world.now += 7 * DAY
    await world.collect()
    assert await world.manifests() == set()


async def test_13_an_index_that_carries_the_fallback_tag_of_its_child_is_no_root(
    world: World,
) -> None:
    old_policy(world)
    child = image()
    parent = index(child)
    await world.push(child)
    await world.push(parent, fallback_tag(child.digest))
    world.now += 2 * DAY
    plan = await world.collect(dry_run=True)
    assert plan.manifests == 2
    assert await world.manifests() == {child.digest, parent.digest}
    await world.collect()
    assert await world.manifests() == set()
    assert await world.tags() == []


async def test_13_a_circle_with_a_tagged_member_lives(world: World) -> None:
    old_policy(world)
    child = image()
    parent = index(child)
    await world.push(child, "v1")
    await world.push(parent, fallback_tag(child.digest))
    await world.collect_all()
    assert await world.manifests() == {child.digest, parent.digest}


async def test_13_an_image_tagged_by_its_own_digest_is_kept(world: World) -> None:
    old_policy(world)
    lone = image()
    await world.push(lone, fallback_tag(lone.digest))
    await world.collect_all()
    assert await world.manifests() == {lone.digest}


async def test_14_a_replaced_sig_stays_until_a_successor_holds_its_layers(world: World) -> None:
    subject = image()
    payload = b"one payload"
    await world.contents(payload)
    tag = cosign_tag(subject.digest, "sig")
    assert tag is not None

    def signed(*texts: str) -> Manifest:
        layers = [
            {
                "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
                "digest": digests.of(payload),
                "size": len(payload),
                "annotations": {"dev.cosignproject.cosign/signature": text},
            }
            for text in texts
        ]
        return image(layers=layers)

    one, other, both = signed("a"), signed("b"), signed("a", "b")
    await world.push(subject, "v1")
    await world.push(one, tag)
    await world.push(other, tag)
    old_policy(world)
    await world.collect_all()
    assert await world.manifests() == {subject.digest, one.digest, other.digest}
    await world.push(both, tag)
    await world.collect_all()
    assert await world.manifests() == {subject.digest, both.digest}


async def test_14_for_attestations_the_current_tag_decides(world: World) -> None:
    subject = image()
    tag = cosign_tag(subject.digest, "att")
    assert tag is not None
    one, other = artifact(annotations={"n": "1"}), artifact(annotations={"n": "2"})
    await world.push(subject, "v1")
    await world.push(one, tag)
    await world.push(other, tag)
    await world.collect_all()
    assert await world.manifests() == {subject.digest, one.digest, other.digest}
    old_policy(world)
    await world.collect_all()
    assert await world.manifests() == {subject.digest, other.digest}


async def test_14_a_replaced_fallback_index_goes_and_its_papers_stay(world: World) -> None:
    subject = image()
    papers = with_papers(subject, 2)
    tag = fallback_tag(subject.digest)
    await world.push(subject, "v1")
    for paper in papers:
        await world.push(paper)
    await world.push(index(papers[0]), tag)
    await world.push(index(*papers), tag)
    await world.collect_all()
    assert await world.manifests() == {
        subject.digest,
        *(paper.digest for paper in papers),
        index(*papers).digest,
    }


async def test_16_a_repository_with_links_of_another_version_is_skipped(world: World) -> None:
    old_policy(world)
    lone = await world.push(image())
    await world.contents(*BASE, name="other/app")
    await world.push(image(), name="other/app")
    await world.execute(
        "update manifest set links_version = 0 where repository = "
        "(select id from repository where name = :name)",
        NAME,
    )
    world.now += 2 * DAY
    report = await world.collect()
    assert list(report.skipped) == [NAME]
    assert report.manifests == 1
    assert await world.manifests() == {lone}
    await world.execute("update manifest set links_version = 1")
    await world.collect_all()
    assert await world.manifests() == set()


async def test_a_dry_run_names_what_the_run_deletes_and_writes_nothing(world: World) -> None:
    old_policy(world)
    await world.push(image())
    await world.blob(b"loose")
    world.now += 2 * DAY
    before = await world.catalog.rows(CANDIDATES)
    named = await world.collect(dry_run=True)
    assert await world.catalog.rows(CANDIDATES) == before
    done = await world.collect()
    kinds = {"manifest", "blob"}
    assert [i for i in named.items if i.kind in kinds] == [i for i in done.items if i.kind in kinds]
    assert Item("blob", NAME, digests.of(b"loose")) in named.items


async def test_8_a_blob_goes_when_nothing_links_it_and_its_grace_has_passed(world: World) -> None:
    loose = await world.blob(b"loose")
    world.now += DAY - 1
    await world.collect()
    assert loose in await world.digests(BLOBS)
    world.now += 1
    await world.collect()
    assert loose not in await world.digests(BLOBS)
    assert loose not in await world.digests(OBJECTS)


async def test_9_an_object_lives_while_any_repository_holds_it(world: World) -> None:
    shared = await world.blob(b"shared")
    world.now += DAY
    await world.contents(b"shared", name="other/app")
    await world.collect()
    assert shared in await world.digests(OBJECTS)
    await world.collect_all(3)
    assert shared not in await world.digests(OBJECTS)


async def test_11_a_file_goes_to_the_trash_first(world: World) -> None:
    _, location = await world.large(b"x" * 5000)
    world.now += DAY
    await world.collect()
    assert await world.catalog.rows(TRASH) == [(location,)]
    assert await world.stored() == {location}
    world.now += DAY
    report = await world.collect()
    assert report.files == 1
    assert await world.catalog.rows(TRASH) == []
    assert await world.stored() == set()


async def test_9_a_hold_keeps_files_and_nothing_else(world: World) -> None:
    _, location = await world.large(b"x" * 5000)
    world.now += DAY
    await world.catalog.commit(lambda: trash.hold("backup", world.now + 10 * DAY))
    await world.collect()
    world.now += 2 * DAY
    await world.collect()
    assert await world.stored() == {location}
    await world.catalog.commit(lambda: trash.release("backup", world.now))
    await world.collect()
    assert await world.stored() == set()


async def test_1_a_blob_that_is_pushed_again_after_its_deletion_has_its_own_file(
    world: World,
) -> None:
    digest, first = await world.large(b"x" * 5000)
    world.now += DAY
    await world.collect()
    again, second = await world.large(b"x" * 5000)
    assert again == digest
    assert first != second
    world.now += DAY - HOUR
    await world.collect()
    world.now += HOUR
    await world.collect()
    assert first not in await world.stored()


async def test_10_expired_uploads_go_with_their_bytes(world: World) -> None:
    for session in ("old", "young"):
        upload = await world.blobs.upload(session)
        await upload.append([b"bytes"])
        await upload.close()
        await world.execute(
            "insert into upload (id, repository, principal, location, size, algorithm, reached,"
            " boot, lease, leased_until, state, expires) select :id, id, '', :id, 5, 'sha256',"
            " :reached, '', '', 0, 1, :expires from repository",
            session,
            b"",
            world.now + (DAY if session == "young" else 0),
        )
    report = await world.collect()
    assert report.uploads == 1
    assert {name async for name, _, _ in world.blobs.sessions()} == {"young"}


async def test_10_an_upload_that_somebody_writes_is_left_alone(world: World) -> None:
    await world.execute(
        "insert into upload (id, repository, principal, location, size, algorithm, reached,"
        " boot, lease, leased_until, state, expires) select 'busy', id, '', '', 5, 'sha256',"
        " :reached, '', 'me', :until, 1, :expires from repository",
        b"",
        world.now + 1,
        world.now,
    )
    assert (await world.collect()).uploads == 0


async def test_the_sweep_finds_what_nobody_enqueued(world: World) -> None:
    old_policy(world)
    await world.push(image())
    await world.execute("delete from candidate")
    await world.collect_all()
    assert await world.manifests() == set()
    assert await world.digests(OBJECTS) == set()


async def test_a_dead_group_goes_in_one_transaction_papers_of_papers_included(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few are looked at together: an image that is pushed again has all of its papers
    back, or none."""
    monkeypatch.setattr(execute, "PAGE", 2)
    monkeypatch.setattr(plan, "BATCH", 2)
    old_policy(world)
    subject = image()
    papers = with_papers(subject, 5)
    for each in (*papers, artifact(papers[0]), subject):
        await world.push(each)
    world.now += 8 * DAY
    left: list[int] = []
    delete = changes.delete_manifests

    def watched(*asked: Any, **named: Any) -> Change[tuple[Digest, ...]]:
        gone = yield from delete(*asked, **named)
        left.append(len((yield MANIFESTS, ())))
        return gone

    monkeypatch.setattr(changes, "delete_manifests", watched)
    assert (await world.collect(dry_run=True)).manifests == 7
    assert (await world.collect()).manifests == 7
    assert left == [0]


async def test_a_large_dead_group_goes_whole(world: World) -> None:
    old_policy(world)
    child = image()
    await world.push(child)
    for number in range(210):
        await world.push(index(child, annotations={"n": str(number)}))
    world.now += 2 * DAY
    report = await world.collect()
    assert report.manifests == 211
    assert await world.manifests() == set()


async def busy(world: World, clock: Callable[[], int]) -> bool:
    """Whether a collector at this time finds that another is at work."""
    settings = Settings(world.terms, world.delay, clock())
    lease = leasehold(world.catalog, clock)
    return (await collect_once(world.catalog, world.blobs, settings, lease=lease)).busy


async def test_3_a_collector_that_was_killed_keeps_others_away_for_a_minute(world: World) -> None:
    assert await leasehold(world.catalog, lambda: world.now).take()
    assert await busy(world, lambda: world.now + 60 * SECOND - 1)
    assert not await busy(world, lambda: world.now + 60 * SECOND)


@pytest.mark.parametrize(
    ("passes", "lost"), [(LEASE_TIME * 3 // 4, [False, False]), (LEASE_TIME, [True])]
)
async def test_3_a_lease_is_renewed_while_the_work_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, passes: int, lost: list[bool]
) -> None:
    """However long the whole takes. When another has it nevertheless, the rest is left to that."""
    old_policy(world)
    await world.push(image())
    world.now += 2 * DAY
    settings = Settings(world.terms, world.delay, world.now)
    others: list[bool] = []

    def slow(step: Callable[..., Change[Any]]) -> Callable[..., Change[Any]]:
        def change(*asked: Any, **named: Any) -> Change[Any]:
            world.now += passes
            until = world.now + LEASE_TIME
            others.append((yield from leases.take(LEASE, "other", world.now, until)))
            return (yield from step(*asked, **named))

        return change

    monkeypatch.setattr(queue, "sweep", slow(queue.sweep))
    monkeypatch.setattr(changes, "delete_manifests", slow(changes.delete_manifests))
    lease = leasehold(world.catalog, lambda: world.now)
    report = await collect_once(world.catalog, world.blobs, settings, lease=lease)
    assert others == lost
    busy = lost == [True]
    assert (report.busy, report.manifests) == (busy, 0 if busy else 1)
    assert await world.execute("select owner from lease") == ([("other",)] if busy else [])


async def test_two_collectors_at_once_do_the_work_of_one(world: World) -> None:
    old_policy(world)
    kept = image(LAYER, config=CONFIG)
    await world.push(kept, "v1")
    for number in range(30):
        await world.push(index(kept, annotations={"n": str(number)}))
    world.now += 2 * DAY
    reports = await asyncio.gather(*(world.collect() for _ in range(2)))
    assert sum(report.manifests for report in reports) == 30
    assert await world.manifests() == {kept.digest}


async def test_the_number_of_statements_does_not_grow_with_what_is_collected(
    world: World,
) -> None:
    old_policy(world)
    child = image()
    counts: list[int] = []
    for most in (2, 3, 60):
        await world.push(child, "v1")
        for number in range(most):
            await world.push(index(child, annotations={"n": f"{most}-{number}"}))
        world.now += 2 * DAY
        counted = Counted(world.catalog)
        settings = Settings(world.terms, world.delay, world.now)
        report = await collect_once(counted, world.blobs, settings)
        assert report.manifests == most
        counts.append(counted.taken())
    assert counts[1] == counts[2]


class Aside:
    """A catalog whose reads on the event loop are noted."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.inline: list[Sql] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    async def one(self, sql: Sql, *args: object) -> Row | None:
        self.inline.append(sql)
        return await self._catalog.one(sql, *args)

    async def rows(self, sql: Sql, *args: object) -> Sequence[Row]:
        self.inline.append(sql)
        return await self._catalog.rows(sql, *args)


async def test_22_collection_asks_nothing_on_the_event_loop(world: World) -> None:
    """Neither what it asks nor what it makes of the answers holds up requests."""
    old_policy(world)
    await world.push(image())
    await world.large(b"x" * 5000)
    world.now += 8 * DAY
    aside = Aside(world.catalog)
    loop = threading.get_ident()
    planned: list[int] = []
    climb = changes.climb

    def noted(*asked: Any) -> Change[Any]:
        planned.append(threading.get_ident())
        return (yield from climb(*asked))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "climb", noted)
        settings = Settings(world.terms, world.delay, world.now)
        report = await collect_once(aside, world.blobs, settings)
    assert report.manifests == 1
    assert aside.inline == []
    assert len(planned) >= 2
    assert loop not in planned or isinstance(world.catalog, PostgresCatalog)


async def test_nothing_is_due_in_an_empty_queue(world: World) -> None:
    assert await look(world.catalog, trash.due(world.now, 10)) == []
