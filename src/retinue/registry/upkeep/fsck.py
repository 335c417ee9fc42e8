"""Checking a registry while it serves: rows against bytes, both ways, in bounded memory.

Every doubt is looked at again in the transaction that repairs it, so that pushes and deletions
that go on meanwhile are no findings.
"""

from collections.abc import Sequence
from functools import partial

from retinue.registry.catalog import check, objects
from retinue.registry.catalog.check import StoredObject
from retinue.registry.catalog.db import Catalog, CatalogUnavailable, Change
from retinue.registry.catalog.look import look
from retinue.registry.storage.blobstore import BlobStore
from retinue.registry.upkeep.checklinks import check_links
from retinue.registry.upkeep.checkrows import (
    Rows,
    check_database,
    check_objects_shapes,
    check_rows,
    check_shapes,
)
from retinue.registry.upkeep.checks import Checks
from retinue.registry.upkeep.checkstore import check_store
from retinue.registry.upkeep.findings import Finding, FsckReport, Kind
from retinue.registry.upkeep.soundness import Problem, file_problem, judged_rows


async def fsck(catalog: Catalog, blobs: BlobStore, checks: Checks) -> FsckReport:
    """Look at everything once. Raises CatalogUnavailable (unless that is what the database finds
    wrong with itself), StorageFailed."""
    report = FsckReport()
    rows = Rows(catalog, report, checks.now, checks.repair)
    sound = await check_database(rows)
    try:
        await _look(catalog, blobs, checks, rows)
    except CatalogUnavailable as problem:
        if sound:
            raise
        rows.found(Kind.CATALOG, "", f"nothing more could be looked at: {problem}", safe=False)
    return report


async def _look(catalog: Catalog, blobs: BlobStore, checks: Checks, rows: Rows) -> None:
    report = rows.report
    await check_shapes(rows)
    await check_store(catalog, blobs, checks, report)
    await _objects(catalog, blobs, checks, report)
    await check_rows(rows, blobs)
    await check_objects_shapes(rows)
    await check_links(catalog, checks, report)


async def _objects(catalog: Catalog, blobs: BlobStore, checks: Checks, report: FsckReport) -> None:
    async for page in catalog.pages(check.ALL_OBJECTS, 0):
        stored = check.stored_objects(page)
        report.objects += len(stored)
        report.bytes += sum(one.size for one in stored)
        await _some_objects(stored, catalog, blobs, checks, report)


async def _some_objects(
    stored: Sequence[StoredObject],
    catalog: Catalog,
    blobs: BlobStore,
    checks: Checks,
    report: FsckReport,
) -> None:
    async for one, problem in judged_rows(catalog, stored):
        await _judged(one, problem, catalog, checks, report)
    for one in stored:
        if one.location is not None:
            hashing = checks.hash_files or one.quarantined
            found = await file_problem(one, one.location, blobs, hashing=hashing)
            await _judged(one, found, catalog, checks, report)


async def _judged(
    one: StoredObject,
    problem: Problem | None,
    catalog: Catalog,
    checks: Checks,
    report: FsckReport,
) -> None:
    if one.quarantined:
        await _quarantined(one, problem, catalog, checks, report)
    elif problem is not None:
        await _damaged(one, problem, catalog, checks, report)


async def _quarantined(
    one: StoredObject,
    problem: Problem | None,
    catalog: Catalog,
    checks: Checks,
    report: FsckReport,
) -> None:
    """Storage that was away comes back, and content with it."""
    what = "damaged earlier, and not served; push it again"
    repaired = False
    if problem is None:
        what = "damaged earlier, but whole now"
        repaired = checks.repair and await catalog.commit(
            partial(objects.release, one.id, one.location, checks.now)
        )
    report.add(Finding(Kind.QUARANTINED, "", one.digest, what, repaired=repaired))


async def _damaged(
    one: StoredObject, problem: Problem, catalog: Catalog, checks: Checks, report: FsckReport
) -> None:
    """Quarantined, so that clients push it again; it may also be replaced or gone by now."""
    if checks.repair:
        real = await catalog.commit(partial(_mend, one, problem, checks.now))
    else:
        real = await look(catalog, check.still(one, problem.seen))
    if real:
        report.add(Finding(problem.kind, "", one.digest, problem.what, repaired=checks.repair))


def _mend(one: StoredObject, problem: Problem, now: int) -> Change[bool]:
    if problem.size is not None:
        return (yield from check.resize(one, problem.size))
    if problem.kind is Kind.WRONG_LOCATION:
        return (yield from check.unplace(one, now))
    return (yield from objects.quarantine(one.id, one.location, problem.seen, now))
