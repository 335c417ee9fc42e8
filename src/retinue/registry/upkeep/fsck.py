"""Checking a registry while it serves: rows against bytes, both ways, in bounded memory.

Every doubt is looked at again in the transaction that repairs it, so that pushes and deletions
that go on meanwhile are no findings.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from msgspec import Struct

from retinue.registry.catalog import check, expiry, trash
from retinue.registry.catalog.check import StoredObject
from retinue.registry.catalog.db import Catalog, Change
from retinue.registry.catalog.look import look
from retinue.registry.storage import places
from retinue.registry.storage.blobstore import BlobStore
from retinue.registry.upkeep.checklinks import check_links
from retinue.registry.upkeep.findings import LINKS, Finding, FsckReport, Kind
from retinue.registry.upkeep.soundness import Problem, file_problem, unsound_rows

T = TypeVar("T")

STORAGE_PAGE = 500
"""Names that are looked up at a time."""


class Checks(Struct, frozen=True):
    """`repair` what is safe; `rebuild_links` repairs what is derived from bytes, and nothing else.

    `hash_files` reads every file; without, their presence and size are checked, while rows are
    always hashed. `sparse`: children of indexes may be missing. `now`, `grace` and `trash_delay`
    in microseconds: younger leftovers belong to pushes under way.
    """

    now: int
    grace: int
    trash_delay: int
    repair: bool = False
    rebuild_links: bool = False
    hash_files: bool = False
    sparse: bool = False

    def repairs(self, kind: Kind) -> bool:
        return self.repair or (self.rebuild_links and kind in LINKS)


async def fsck(catalog: Catalog, blobs: BlobStore, checks: Checks) -> FsckReport:
    """Look at everything once. Raises CatalogUnavailable, StorageFailed."""
    report = FsckReport()
    await _strays(catalog, blobs, checks, report)
    await _objects(catalog, blobs, checks, report)
    await check_links(catalog, checks, report)
    return report


# ---- storage first, then rows ("Collection" 12)


async def _strays(catalog: Catalog, blobs: BlobStore, checks: Checks, report: FsckReport) -> None:
    before = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=checks.now - checks.grace)
    async for page in _pages(blobs.stored()):
        report.files += len(page)
        old = [location for location, _, changed in page if changed < before]
        known = await look(
            catalog, check.known_locations((each, places.digest_of(each)) for each in old)
        )
        await _stray_files([each for each in old if each not in known], catalog, checks, report)
    async for page in _pages(blobs.sessions()):
        old = [place for place, _, changed in page if changed < before]
        known = await look(catalog, expiry.known(old))
        for place in old:
            if place not in known:
                if checks.repair:
                    await blobs.discard(place)
                what = "bytes of an upload that no row knows"
                report.add(Finding(Kind.STRAY_UPLOAD, "", place, what, checks.repair))


async def _stray_files(
    locations: Sequence[str], catalog: Catalog, checks: Checks, report: FsckReport
) -> None:
    if locations and checks.repair:
        due = checks.now + checks.trash_delay
        await catalog.commit(partial(trash.discard, locations, due))
    for location in locations:
        what = "a file that no row names"
        report.add(Finding(Kind.STRAY_FILE, "", location, what, checks.repair))


async def _pages(found: AsyncIterator[T]) -> AsyncIterator[list[T]]:
    page: list[T] = []
    async for one in found:
        page.append(one)
        if len(page) == STORAGE_PAGE:
            yield page
            page = []
    if page:
        yield page


# ---- rows against bytes


async def _objects(catalog: Catalog, blobs: BlobStore, checks: Checks, report: FsckReport) -> None:
    async for page in catalog.pages(check.ALL_OBJECTS, 0):
        objects = check.stored_objects(page)
        report.objects += len(objects)
        report.bytes += sum(one.size for one in objects)
        for one in objects:
            if one.quarantined:
                what = "damaged earlier, and not served; push it again"
                report.add(Finding(Kind.QUARANTINED, "", one.digest, what, repaired=False))
        sound = [one for one in objects if not one.quarantined]
        await _some_objects(sound, catalog, blobs, checks, report)


async def _some_objects(
    objects: Sequence[StoredObject],
    catalog: Catalog,
    blobs: BlobStore,
    checks: Checks,
    report: FsckReport,
) -> None:
    async for one, problem in unsound_rows(catalog, objects):
        await _damaged(one, problem, catalog, checks, report)
    for one in objects:
        if one.location is not None:
            found = await file_problem(one, one.location, blobs, hashing=checks.hash_files)
            if found is not None:
                await _damaged(one, found, catalog, checks, report)


async def _damaged(
    one: StoredObject, problem: Problem, catalog: Catalog, checks: Checks, report: FsckReport
) -> None:
    """Quarantined, so that clients push it again; it may also be gone by now."""
    if checks.repair:
        real = await catalog.commit(partial(_mend, one, problem, checks.now))
    else:
        real = await look(catalog, check.still(one))
    if real:
        report.add(Finding(problem.kind, "", one.digest, problem.what, repaired=checks.repair))


def _mend(one: StoredObject, problem: Problem, now: int) -> Change[bool]:
    if problem.size is not None:
        return (yield from check.resize(one, problem.size))
    if problem.kind is Kind.WRONG_LOCATION:
        return (yield from check.unplace(one, now))
    return (yield from check.quarantine(one, now))
