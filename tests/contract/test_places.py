"""A location is in one place: an object, an open upload, or the trash (storage rule 19)."""

import asyncio
import os
import time
from itertools import count
from pathlib import Path

import pytest

from contract.test_uploads import LARGE, ending, get
from retinue.files import Calls
from retinue.oci import digest as digests
from retinue.registry.catalog.db import Constraint, ConstraintViolated
from retinue.registry.gc.execute import Settings, collect_once
from retinue.registry.gc.plan import Terms
from retinue.registry.storage.blobstore import Kept
from retinue.registry.storage.files import FileBlobStore
from retinue.registry.upkeep.checks import Checks
from retinue.registry.upkeep.findings import FsckReport, Kind
from retinue.registry.upkeep.fsck import fsck
from rig import HOUR, NAME, UPLOADS, Answer, Rig
from world import World

DAY = 24 * HOUR
EVERYWHERE = (
    "select location from object where location is not null union all select location from trash"
)


async def execute(rig: Rig, text: str, *args: object) -> None:
    await World(rig.catalog, rig.blobs).execute(text, *args)


async def check(rig: Rig, *, repair: bool) -> FsckReport:
    """Two days from now, as files count: all leftovers are old."""
    now = time.time_ns() // 1000 + 2 * DAY
    return await fsck(rig.catalog, rig.blobs, Checks(now, DAY, DAY, repair=repair, hash_files=True))


async def empty_trash(rig: Rig) -> None:
    rig.now = max(rig.now, time.time_ns() // 1000) + 5 * DAY
    terms = Terms(grace=1000 * DAY)  # what is acknowledged is not used yet
    await collect_once(rig.catalog, rig.blobs, Settings(terms, DAY, rig.now))


async def begun(rig: Rig) -> tuple[str, str]:
    """A session with all its bytes, and their place."""
    location = await rig.begin()
    assert (await rig.call("PATCH", location, LARGE)).status == 202
    [(place,)] = await rig.rows("select location from upload")
    return location, str(place)


async def kept(rig: Rig, place: str, size: int = len(LARGE)) -> Kept:
    """What a process has done that is killed just before its commit."""
    upload = await rig.blobs.upload(place, size)
    copy = await upload.keep(digests.of(LARGE))
    await upload.close()
    return copy


async def stray(rig: Rig) -> Kept:
    """The same, of a push in one request."""
    upload = await rig.blobs.upload("01ARZ3NDEKTSV4RRFFQ69G5FAV-00000000")
    await upload.append([LARGE])
    copy = await upload.keep(digests.of(LARGE))
    await upload.close()
    return copy


# ---- the database objects


async def refused(rig: Rig, text: str, *args: object) -> None:
    with pytest.raises(ConstraintViolated) as problem:
        await execute(rig, text, *args)
    assert problem.value.kind is Constraint.CHECK


async def test_the_trash_takes_no_location_of_an_object(rig: Rig) -> None:
    for algorithm in ("sha256", "sha512"):
        await rig.blob(LARGE, algorithm=algorithm)
    for (location,) in await rig.rows("select location from object"):
        await refused(rig, "insert into trash (location, due) values (:location, 0)", location)


async def test_an_object_takes_no_location_from_the_trash(rig: Rig) -> None:
    copy = await stray(rig)
    await execute(rig, "insert into trash (location, due) values (:location, 0)", copy.location)
    raw = digests.to_bytes(digests.of(LARGE))
    insert = "insert into object (digest, size, location) values (:digest, 1, :location)"
    await refused(rig, insert, raw, copy.location)
    await execute(rig, "insert into object (digest, size) values (:digest, 1)", raw)
    await refused(rig, "update object set location = :location", copy.location)


async def test_the_trash_takes_nothing_of_an_open_upload(rig: Rig) -> None:
    _, place = await begun(rig)
    copy = await kept(rig, place)
    insert = "insert into trash (location, due) values (:location, 0)"
    for location in (place, copy.location):
        await refused(rig, insert, location)
    await execute(rig, "update upload set state = 3")
    for location in (place, copy.location):
        await execute(rig, insert, location)


async def test_an_upload_takes_no_place_from_the_trash(rig: Rig) -> None:
    _, place = await begun(rig)
    await execute(rig, "update upload set state = 3")
    await execute(rig, "insert into trash (location, due) values (:location, 0)", place)
    again = (
        "insert into upload select :id, repository, principal, location, size, algorithm, reached,"
        " boot, lease, leased_until, 1, expires from upload"
    )
    await refused(rig, again, "another")


# ---- so nothing that is acknowledged is removed


async def test_a_push_that_was_killed_before_its_commit_goes_on_after_a_repair(rig: Rig) -> None:
    location, place = await begun(rig)
    await kept(rig, place)
    report = await check(rig, repair=True)
    assert report.clean
    assert (await rig.call("PUT", ending(location, LARGE))).status == 201
    await empty_trash(rig)
    assert (await get(rig, LARGE)).body == LARGE


async def test_what_a_repair_took_for_a_leftover_is_not_acknowledged(rig: Rig) -> None:
    """The session ended, so its copy is a leftover; whoever goes on nevertheless is told."""
    location, place = await begun(rig)
    copy = await kept(rig, place)
    await execute(rig, "update upload set state = 3")
    report = await check(rig, repair=True)
    assert [(one.kind, one.digest) for one in report.findings] == [(Kind.STRAY_FILE, copy.location)]
    await execute(rig, "update upload set state = 1")
    answer = await rig.call("PUT", ending(location, LARGE))
    assert (answer.status, answer.code) == (404, "BLOB_UPLOAD_UNKNOWN")
    await rig.blob(LARGE)
    await empty_trash(rig)
    assert (await get(rig, LARGE)).body == LARGE


async def test_leftovers_wait_in_the_trash_and_are_removed(rig: Rig) -> None:
    copy = await stray(rig)
    upload = await rig.blobs.upload("01ARZ3NDEKTSV4RRFFQ69G5FAW-00000000")
    await upload.append([b"bytes"])
    await upload.close()
    assert (await check(rig, repair=False)).counts == {Kind.STRAY_FILE: 1, Kind.STRAY_UPLOAD: 1}
    assert (await check(rig, repair=True)).unrepaired == 0
    assert (await check(rig, repair=True)).clean
    assert len(await rig.rows(EVERYWHERE)) == 2
    assert await rig.blobs.locate(copy.location) is not None
    await empty_trash(rig)
    assert await rig.blobs.locate(copy.location) is None
    assert [name async for name, _, _ in rig.blobs.sessions()] == []
    assert await rig.rows(EVERYWHERE) == []


async def test_a_push_of_minutes_ago_is_no_leftover_however_old_its_bytes(rig: Rig) -> None:
    copy = await stray(rig)
    path = Path(rig.config.data, "store", "blobs", copy.location)
    os.utime(path, (1, 1))  # what linking does not change
    now = time.time_ns() // 1000 + HOUR
    assert (await fsck(rig.catalog, rig.blobs, Checks(now, DAY, DAY, repair=True))).clean


# ---- uploads that are cancelled


@pytest.mark.parametrize("patched", [False, True])
async def test_an_upload_that_is_cancelled_makes_no_repository(rig: Rig, patched: bool) -> None:
    location = await rig.begin()
    if patched:
        await rig.call("PATCH", location, LARGE)
    assert (await rig.call("DELETE", location)).status == 204
    assert (await rig.call("GET", location)).status == 404
    assert await rig.rows("select name from repository") == []
    assert (await rig.call("GET", f"/v2/{NAME}/tags/list")).status == 404


class Interrupting(Calls):
    """Cancels an upload before its n-th call, once."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._loop = asyncio.get_running_loop()
        self.left = 0
        self.location = ""
        self.answer: Answer | None = None

    def aim(self, location: str, number: int) -> None:
        self.location, self.left, self.answer = location, number, None

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            cancel = self._rig.call("DELETE", self.location)
            self.answer = asyncio.run_coroutine_threadsafe(cancel, self._loop).result(60)

    def open(self, name: str, flags: int, mode: int, folder: int | None) -> int:
        self._count()
        return super().open(name, flags, mode, folder)

    def lock(self, fd: int) -> None:
        self._count()
        super().lock(fd)

    def sync(self, fd: int) -> None:
        self._count()
        super().sync(fd)

    def link(self, source: str, source_folder: int, target: str, target_folder: int) -> None:
        self._count()
        super().link(source, source_folder, target, target_folder)


@pytest.mark.parametrize("patched", [False, True])
async def test_of_an_end_and_a_cancellation_one_wins(rig: Rig, patched: bool) -> None:
    calls = Interrupting(rig)
    store = rig.config.data / "store"
    rig.blobs = FileBlobStore(store, durable=True, threads=2, calls=calls)
    rig.restart()
    met = set()
    for number in count(1):
        data = LARGE + str(number).encode()
        location = await rig.begin()
        if patched:
            await rig.call("PATCH", location, data)
        calls.aim(location, number)
        ended = await rig.call("PUT", ending(location, data), b"" if patched else data)
        calls.left = 0
        statuses = ended.status, calls.answer.status if calls.answer else None
        assert statuses in {(201, 404), (404, 204), (201, None)}
        assert (await get(rig, data)).status == ended.status - (ended.status == 201)
        met.add(statuses)
        if calls.answer is None:
            break
    assert (404, 204) in met
    await rig.blobs.close()


async def test_an_upload_that_is_under_way_makes_no_repository_but_its_end_does(rig: Rig) -> None:
    location, _ = await begun(rig)
    assert await rig.rows("select name from repository") == []
    assert (await rig.call("PUT", ending(location, LARGE))).status == 201
    assert await rig.rows("select name from repository") == [(NAME,)]
    assert UPLOADS.startswith(f"/v2/{NAME}/")
