"""Checking a registry while it serves: rows against bytes, both ways, in bounded memory.

Every doubt is looked at again in the transaction that repairs it, so that pushes and deletions
that go on meanwhile are no findings.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.registry.catalog import check, expiry, trash
from retinue.registry.catalog.check import StoredObject
from retinue.registry.catalog.db import Catalog
from retinue.registry.catalog.look import look
from retinue.registry.storage import places
from retinue.registry.storage.blobstore import BlobStore, CopyLost, LocalFile
from retinue.registry.upkeep.checklinks import check_links
from retinue.registry.upkeep.findings import LINKS, Finding, FsckReport, Kind
from retinue.registry.upkeep.reading import hash_stored

T = TypeVar("T")

STORAGE_PAGE = 500
"""Names that are looked up at a time."""
INLINE_PAGE = 100
"""Rows of bytes that are in memory at a time; most have at most 64 KiB."""


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
        objects = [check.stored_object(row) for row in page]
        report.objects += len(objects)
        report.bytes += sum(one.size for one in objects)
        for one in objects:
            if one.quarantined:
                what = "damaged earlier, and not served; push it again"
                report.add(Finding(Kind.QUARANTINED, "", one.digest, what, repaired=False))
        sound = [one for one in objects if not one.quarantined]
        for start in range(0, len(sound), INLINE_PAGE):
            await _some_objects(sound[start : start + INLINE_PAGE], catalog, blobs, checks, report)


async def _some_objects(
    objects: Sequence[StoredObject],
    catalog: Catalog,
    blobs: BlobStore,
    checks: Checks,
    report: FsckReport,
) -> None:
    bodies = await look(catalog, check.inline(_inline_ids(objects)))
    for one in objects:
        if one.location is None:
            problem = _inline_problem(one, bodies)
        else:
            problem = await _file_problem(one, one.location, blobs, hashing=checks.hash_files)
        if problem is not None:
            await _damaged(one, problem, catalog, checks, report)


def _inline_ids(objects: Iterable[StoredObject]) -> list[int]:
    return [one.id for one in objects if one.location is None]


Problem = tuple[Kind, str]


def _inline_problem(one: StoredObject, bodies: Mapping[int, bytes]) -> Problem | None:
    body = bodies.get(one.id)
    if body is None:
        return Kind.MISSING_BYTES, "has neither a file nor a row of bytes"
    actual = digests.of(body, digests.algorithm(one.digest))
    if actual != one.digest or len(body) != one.size:
        return Kind.DAMAGED_BYTES, f"its {len(body)} bytes hash to {actual}"
    return None


async def _file_problem(
    one: StoredObject, location: str, blobs: BlobStore, *, hashing: bool
) -> Problem | None:
    found = await blobs.locate(location)
    if found is None:
        return Kind.MISSING_BYTES, f"its file {location} is not there"
    if isinstance(found, LocalFile) and found.size != one.size:
        return Kind.DAMAGED_BYTES, f"its file has {found.size} bytes, not {one.size}"
    return await hash_problem(one, location, blobs) if hashing else None


async def hash_problem(one: StoredObject, location: str, blobs: BlobStore) -> Problem | None:
    """Read all of a file."""
    try:
        actual, size = await hash_stored(blobs, one.digest, location)
    except CopyLost as error:
        return Kind.MISSING_BYTES, str(error)
    if actual != one.digest:
        return Kind.DAMAGED_BYTES, f"its {size} bytes hash to {actual}"
    return None


async def _damaged(
    one: StoredObject, problem: Problem, catalog: Catalog, checks: Checks, report: FsckReport
) -> None:
    """Quarantined, so that clients push it again; it may also be gone by now."""
    kind, what = problem
    if checks.repair:
        real = await catalog.commit(partial(check.quarantine, one, checks.now))
    else:
        real = await look(catalog, check.still(one))
    if real:
        report.add(Finding(kind, "", one.digest, what, repaired=checks.repair))
