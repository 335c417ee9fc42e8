"""What is stored and what the catalog knows of it ("Collection" 12).

Storage is listed first, then rows are looked up. When a file changed decides only what a report is
silent about, because a push under way may still commit it; what goes to the trash is decided by
the catalog, in the transaction that puts it there, and the time that it waits there is the
catalog's (storage rule 19).
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from retinue.registry.catalog import strays
from retinue.registry.catalog.db import Catalog, Change, ConstraintViolated, Freeing
from retinue.registry.catalog.look import look
from retinue.registry.catalog.strays import Copy, Place
from retinue.registry.storage import places
from retinue.registry.storage.blobstore import BlobStore
from retinue.registry.upkeep.checks import Checks
from retinue.registry.upkeep.findings import Finding, FsckReport, Kind

T = TypeVar("T")

PAGE = 500
"""Names that are looked up at a time."""
TRIES = 5
"""How often pushes may commit one of a page while it is put into the trash."""


async def check_store(
    catalog: Catalog, blobs: BlobStore, checks: Checks, report: FsckReport
) -> None:
    """Raises CatalogUnavailable, StorageFailed."""
    before = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=checks.now - checks.grace)
    due = checks.now + checks.trash_delay
    async for page in _pages(blobs.stored()):
        report.files += len(page)
        copies = [_copy(location) for location, _, changed in page if changed < before]
        gone = (
            await _trash(catalog, Freeing(strays.trash_copies, copies, due))
            if checks.repair
            else await look(catalog, strays.stray_copies(copies))
        )
        _report(report, Kind.STRAY_FILE, gone, "a file that no row names", checks)
    async for page in _pages(blobs.sessions()):
        on_way = [_place(name) for name, _, changed in page if changed < before]
        gone = (
            await _trash(catalog, Freeing(strays.trash_places, on_way, due))
            if checks.repair
            else await look(catalog, strays.stray_places(on_way))
        )
        _report(report, Kind.STRAY_UPLOAD, gone, "bytes of an upload that no row knows", checks)


def _copy(location: str) -> Copy:
    place = places.place_of(location)
    return Copy(location, places.digest_of(location), place, places.session_of(place))


def _place(name: str) -> Place:
    return Place(name, places.session_of(name))


async def _trash(catalog: Catalog, change: Callable[[], Change[list[str]]]) -> list[str]:
    for _ in range(TRIES - 1):
        try:
            return await catalog.commit(change)
        except ConstraintViolated:  # one of them was committed just now: look again
            continue
    return await catalog.commit(change)


def _report(report: FsckReport, kind: Kind, gone: Sequence[str], what: str, checks: Checks) -> None:
    for location in gone:
        report.add(Finding(kind, "", location, what, checks.repair))


async def _pages(found: AsyncIterator[T]) -> AsyncIterator[list[T]]:
    page: list[T] = []
    async for one in found:
        page.append(one)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
