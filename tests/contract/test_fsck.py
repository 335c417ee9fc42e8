"""Checking, scrubbing and extracting links again, on both databases (storage.md, rules 7 and 16)."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from builders import CONFIG, LAYER, artifact, image, index
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.tags import cosign_tag, fallback_tag
from retinue.registry.catalog import links, meta
from retinue.registry.catalog.db import Catalog
from retinue.registry.storage.files import FileBlobStore
from retinue.registry.upkeep.checks import Checks
from retinue.registry.upkeep.findings import FsckReport, Kind
from retinue.registry.upkeep.fsck import fsck
from retinue.registry.upkeep.misses import MOST, TooManyMisses
from retinue.registry.upkeep.relink import relink
from retinue.registry.upkeep.scrub import Pace, ScrubReport, scrub_once
from world import DAY, NAME, PAPERS, World, statement

LINKS = statement(
    "select source, kind, target, witness, way, size from link order by source, kind, target, witness"
)
QUARANTINED = statement("select digest from object where quarantined is not null")
SCRUBBED = statement("select scrubbed from object where location is not null order by id")


@pytest.fixture
async def world(catalog: Catalog, tmp_path: Path) -> AsyncIterator[World]:
    blobs = FileBlobStore(tmp_path / "data", durable=False, threads=2)
    made = World(catalog, blobs)
    await made.contents(CONFIG, LAYER, names.EMPTY_JSON)
    yield made
    await blobs.close()


async def everything(world: World) -> None:
    """An image with papers of each kind, and a large blob."""
    subject = image()
    paper = artifact(subject)
    signature = artifact(annotations={"n": "1"})
    tag = cosign_tag(subject.digest, "sig")
    assert tag is not None
    await world.push(subject, "v1")
    await world.push(paper)
    await world.push(signature, tag)
    await world.push(index(paper), fallback_tag(subject.digest))
    await world.large(b"x" * 5000)


async def check(world: World, **more: Any) -> FsckReport:
    checks = Checks(world.now, world.terms.grace, world.delay, **more)
    return await fsck(world.catalog, world.blobs, checks)


def found(report: FsckReport) -> list[tuple[Kind, str, bool]]:
    return [(one.kind, one.digest, one.repaired) for one in report.findings]


def file_of(world: World, location: str) -> Path:
    assert isinstance(world.blobs, FileBlobStore)
    return world.blobs._root.path / "blobs" / location


async def rows(world: World) -> tuple[Any, Any]:
    return await world.catalog.rows(LINKS), await world.catalog.rows(PAPERS)


async def test_what_use_cases_write_is_clean(world: World) -> None:
    await everything(world)
    report = await check(world, hash_files=True)
    assert report.findings == []
    assert report.clean
    assert (report.manifests, report.tags, report.files) == (4, 3, 1)


async def test_after_collection_all_is_clean_too(world: World) -> None:
    await everything(world)
    world.terms = replace(world.terms, untagged=DAY)
    await world.untag("v1")
    await world.collect_all()
    assert (await check(world, hash_files=True)).findings == []


@pytest.mark.parametrize(
    "harm",
    [
        "delete from link where kind = 3",
        "delete from link where kind = 1",
        "delete from link",
        "delete from paper",
        "update paper set listed = 0",
        "update paper set ways = 16",
        "update link set way = 5 where kind = 3",
        """insert into link (repository, source, kind, target, witness, way, size)
        select repository, source, 2, target, source, 1, 7 from link where kind = 3
        and witness = source""",
    ],
)
async def test_links_and_lists_are_rebuilt_from_the_bytes(world: World, harm: str) -> None:
    await everything(world)
    before = await rows(world)
    await world.execute(harm)
    told = await check(world)
    assert told.unrepaired
    assert not any(repaired for _, _, repaired in found(told))
    repaired = await check(world, rebuild_links=True)
    assert repaired.counts
    assert repaired.unrepaired == 0
    assert await rows(world) == before
    assert (await check(world)).clean


async def test_a_row_of_a_list_that_no_link_states_is_removed(world: World) -> None:
    await everything(world)
    before = await rows(world)
    await world.execute(
        "insert into paper (repository, subject, digest, listed, ways)"
        " select repository, digest, :other, 1, 1 from manifest where media_type = :index",
        digests.to_bytes(digests.of(b"other")),
        names.OCI_INDEX,
    )
    assert found(await check(world, repair=True)) == [
        (Kind.WRONG_PAPERS, digests.of(b"other"), True)
    ]
    assert await rows(world) == before


async def test_links_of_a_manifest_that_is_gone_are_removed(world: World) -> None:
    gone = image()
    await world.push(gone)
    await world.execute("delete from manifest")
    assert found(await check(world, repair=True)) == [(Kind.STRAY_LINKS, gone.digest, True)]
    assert await world.catalog.rows(LINKS) == []


async def test_a_wrong_artifact_type_is_put_right(world: World) -> None:
    paper = await world.push(artifact(image()))
    await world.execute("update manifest set artifact_type = 'other'")
    assert found(await check(world, repair=True)) == [(Kind.WRONG_TYPE, paper, True)]
    assert (await check(world)).clean


async def test_a_missing_part_is_told_and_stays(world: World) -> None:
    await world.push(image())
    await world.execute(
        "delete from repo_blob where digest = :digest", digests.to_bytes(digests.of(LAYER))
    )
    assert found(await check(world, repair=True)) == [(Kind.MISSING_PART, digests.of(LAYER), False)]


async def test_absent_children_are_nothing_where_indexes_may_be_sparse(world: World) -> None:
    child = image()
    await world.push(child)
    await world.push(index(child), "v1")
    await world.execute("delete from link where source = :digest", digests.to_bytes(child.digest))
    await world.execute(
        "delete from manifest where digest = :digest", digests.to_bytes(child.digest)
    )
    assert found(await check(world)) == [(Kind.MISSING_PART, child.digest, False)]
    assert (await check(world, sparse=True)).clean


async def test_a_tag_that_names_nothing_is_told(world: World) -> None:
    await world.push(image(), "v1")
    await world.execute("delete from link")
    await world.execute("delete from manifest")
    assert found(await check(world)) == [(Kind.DANGLING_TAG, "v1", False)]


async def test_7_a_damaged_row_is_quarantined_and_a_push_replaces_it(world: World) -> None:
    digest = await world.blob(b"small")
    await world.execute(
        "update object_bytes set body = :body where object ="
        " (select id from object where digest = :digest)",
        b"smell",
        digests.to_bytes(digest),
    )
    assert found(await check(world)) == [(Kind.DAMAGED_BYTES, digest, False)]
    assert found(await check(world, repair=True)) == [(Kind.DAMAGED_BYTES, digest, True)]
    assert found(await check(world, repair=True)) == [(Kind.QUARANTINED, digest, False)]
    await world.blob(b"small")
    assert (await check(world)).clean


@pytest.mark.parametrize("hashing", [False, True])
async def test_7_a_shortened_file_is_quarantined(world: World, hashing: bool) -> None:
    digest, location = await world.large(b"x" * 5000)
    os.truncate(file_of(world, location), 4999)
    report = await check(world, repair=True, hash_files=hashing)
    assert found(report) == [(Kind.DAMAGED_BYTES, digest, True)]
    assert await world.digests(QUARANTINED) == {digest}


async def test_7_a_changed_file_is_found_by_hashing(world: World) -> None:
    digest, location = await world.large(b"x" * 5000)
    file_of(world, location).write_bytes(b"y" * 5000)
    assert (await check(world)).clean
    assert found(await check(world, hash_files=True)) == [(Kind.DAMAGED_BYTES, digest, False)]


async def test_7_a_lost_file_is_quarantined_and_a_push_replaces_it(world: World) -> None:
    digest, location = await world.large(b"x" * 5000)
    file_of(world, location).unlink()
    assert found(await check(world, repair=True)) == [(Kind.MISSING_BYTES, digest, True)]
    _, fresh = await world.large(b"x" * 5000)
    assert fresh != location
    assert (await check(world, hash_files=True)).clean


@pytest.mark.parametrize("large", [False, True])
async def test_18_what_was_quarantined_and_is_whole_is_served_again(
    world: World, large: bool
) -> None:
    digest = (await world.large(b"x" * 5000))[0] if large else await world.blob(b"small")
    await world.execute(
        "update object set quarantined = 1 where digest = :digest", digests.to_bytes(digest)
    )
    assert found(await check(world)) == [(Kind.QUARANTINED, digest, False)]
    assert found(await check(world, repair=True)) == [(Kind.QUARANTINED, digest, True)]
    assert (await check(world, hash_files=True)).clean


async def test_18_what_was_quarantined_and_is_damaged_stays_so(world: World) -> None:
    digest, location = await world.large(b"x" * 5000)
    file_of(world, location).write_bytes(b"y" * 5000)
    await world.execute("update object set quarantined = 1 where location is not null")
    assert found(await check(world, repair=True)) == [(Kind.QUARANTINED, digest, False)]
    assert await world.digests(QUARANTINED) == {digest}


async def harm_manifest(world: World, digest: Digest, body: bytes) -> Digest:
    """Make a stored manifest one that cannot be read, bytes and digest alike."""
    other = digests.of(body)
    await world.execute(
        "update object_bytes set body = :body where object ="
        " (select object from manifest where digest = :digest)",
        body,
        digests.to_bytes(digest),
    )
    for table in ("object", "manifest"):
        await world.execute(
            f"update {table} set digest = :other where digest = :digest",
            digests.to_bytes(other),
            digests.to_bytes(digest),
        )
    await world.execute(
        "update object set size = :size where digest = :other", len(body), digests.to_bytes(other)
    )
    await world.execute("delete from link")
    return other


async def test_16_beside_an_unreadable_manifest_nothing_is_collected(world: World) -> None:
    world.terms = replace(world.terms, untagged=DAY)
    await world.push(image())
    lone = await world.push(artifact(), "v1")
    other = await harm_manifest(world, lone, b"[1]")
    report = await check(world, repair=True)
    assert (Kind.UNREADABLE, other, False) in found(report)
    world.now += 2 * DAY
    assert list((await world.collect()).skipped) == [NAME]


async def test_16_an_upgrade_extracts_links_again(world: World) -> None:
    await everything(world)
    before = await rows(world)
    await world.execute("update manifest set links_version = 0")
    await world.execute("delete from link where kind = 3 and witness = source")
    await world.execute("delete from paper")
    done = await relink(world.catalog, now=world.now, grace=world.terms.grace)
    assert (done.manifests, done.unreadable) == (4, [])
    report = await check(world, rebuild_links=True)
    assert {one.kind for one in report.findings} <= {Kind.WRONG_LINKS, Kind.WRONG_PAPERS}
    assert await rows(world) == before
    assert await meta.links_version(world.catalog) == links.VERSION


async def test_16_what_an_upgrade_cannot_read_stays_marked(world: World) -> None:
    lone = await world.push(artifact(), "v1")
    other = await harm_manifest(world, lone, b"[1]")
    await world.execute("update manifest set links_version = 0")
    done = await relink(world.catalog, now=world.now, grace=world.terms.grace)
    assert [digest for _, digest in done.unreadable] == [other]


async def scrub(world: World, pauses: list[float], budget: int = 1 << 30) -> ScrubReport:
    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    pace = Pace(rate=1000, before=world.now, budget=budget)
    return await scrub_once(world.catalog, world.blobs, pace, clock=lambda: world.now, pause=pause)


async def test_7_scrubbing_reads_at_its_rate_and_quarantines_what_is_damaged(
    world: World,
) -> None:
    damaged, location = await world.large(b"x" * 5000)
    await world.large(b"y" * 3000)
    file_of(world, location).write_bytes(b"z" * 5000)
    pauses: list[float] = []
    report = await scrub(world, pauses)
    assert (report.files, report.bytes, report.damaged, report.finished) == (2, 8000, 1, True)
    assert sum(pauses) == pytest.approx(8.0)
    assert await world.digests(QUARANTINED) == {damaged}
    assert await world.catalog.rows(SCRUBBED) == [(world.now,), (world.now,)]
    assert (await scrub(world, [])).files == 0


async def test_scrubbing_takes_turns_and_the_oldest_first(world: World) -> None:
    await world.large(b"x" * 5000)
    await world.large(b"y" * 3000)
    report = await scrub(world, [], budget=1)
    assert (report.files, report.finished) == (1, False)
    assert sorted(await world.catalog.rows(SCRUBBED)) == [(0,), (world.now,)]
    await scrub(world, [], budget=1)
    assert await world.catalog.rows(SCRUBBED) == [(world.now,), (world.now,)]


async def test_scrubbing_a_lost_file_quarantines_it(world: World) -> None:
    digest, location = await world.large(b"x" * 5000)
    file_of(world, location).unlink()
    assert (await scrub(world, [])).damaged == 1
    assert await world.digests(QUARANTINED) == {digest}


async def files(world: World, count: int) -> list[tuple[Digest, str]]:
    return [await world.large(b"x" * 5000 + bytes([number])) for number in range(count)]


async def test_18_a_scrubber_that_misses_one_file_after_another_stops(world: World) -> None:
    made = await files(world, 3 * MOST)
    paths = [file_of(world, location) for _, location in made]
    for path in paths:
        path.rename(path.with_suffix(".away"))
    for _ in range(3):
        with pytest.raises(TooManyMisses, match="quarantined none"):
            await scrub(world, [], budget=1)
    assert await world.digests(QUARANTINED) == set()
    for path in paths:
        path.with_suffix(".away").rename(path)
    assert (await scrub(world, [])).finished
    assert await world.digests(QUARANTINED) == set()


async def test_18_a_scrubber_that_misses_a_few_goes_on_to_the_next_sound_file(
    world: World,
) -> None:
    made = await files(world, 3 * MOST)
    lost = {digest for number, (digest, _) in enumerate(made) if number % MOST}
    for digest, location in made:
        if digest in lost:
            file_of(world, location).unlink()
    for _ in range(3 * MOST):
        report = await scrub(world, [], budget=1)
        assert report.files <= MOST + 1
    assert await world.digests(QUARANTINED) == lost
    assert (await scrub(world, [])).finished


async def test_18_the_scrubber_serves_again_what_is_whole(world: World) -> None:
    await files(world, 2)
    await world.execute("update object set quarantined = 1 where location is not null")
    assert (await scrub(world, [])).damaged == 0
    assert await world.digests(QUARANTINED) == set()


async def test_18_what_is_quarantined_already_is_no_miss(world: World) -> None:
    for _, location in await files(world, 2 * MOST):
        file_of(world, location).unlink()
    await world.execute("update object set quarantined = 1 where location is not null")
    assert (await scrub(world, [])).finished
