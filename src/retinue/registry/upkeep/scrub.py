"""Reading stored files again, slowly: what is damaged is served no longer (storage rule 7).

Rows need no scrubber: their bytes are verified whenever they are read.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.registry.catalog import check, objects
from retinue.registry.catalog.check import StoredObject
from retinue.registry.catalog.db import Catalog
from retinue.registry.catalog.look import look
from retinue.registry.storage.blobstore import BlobStore, CopyLost, StorageFailed
from retinue.registry.storage.places import InvalidPlace

PAGE = 20
"""Files that are picked at a time."""

_log = logging.getLogger("retinue.scrub")


class Pace(Struct, frozen=True):
    """`rate`: bytes per second. `before`: files checked since then are left alone (microseconds).
    `budget`: bytes after which a run ends (a file that was begun is read to its end)."""

    rate: int
    before: int
    budget: int


class ScrubReport(Struct):
    """`finished`: nothing is left to check for now."""

    files: int = 0
    bytes: int = 0
    damaged: int = 0
    finished: bool = False


async def scrub_once(
    catalog: Catalog,
    blobs: BlobStore,
    pace: Pace,
    *,
    clock: Callable[[], int],
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> ScrubReport:
    """Check the files that were checked longest ago. Raises CatalogUnavailable, StorageFailed."""
    report = ScrubReport()
    while report.bytes < pace.budget:
        found = await look(catalog, check.oldest(pace.before, PAGE))
        if not found:
            report.finished = True
            break
        for one in found:
            await _scrub(one, catalog, blobs, pace.rate, report, clock, pause)
            if report.bytes >= pace.budget:
                break
    return report


async def _scrub(
    one: StoredObject,
    catalog: Catalog,
    blobs: BlobStore,
    rate: int,
    report: ScrubReport,
    clock: Callable[[], int],
    pause: Callable[[float], Awaitable[None]],
) -> None:
    assert one.location is not None
    sound = await _is_sound(one, one.location, blobs, rate, report, pause)
    report.files += 1
    if not sound and await catalog.commit(
        partial(objects.quarantine, one.id, one.location, None, clock())
    ):
        report.damaged += 1
        _log.error("%s is damaged: it is served no longer, push it again", one.digest)
    await catalog.commit(partial(check.scrubbed, one, clock()))


async def _is_sound(
    one: StoredObject,
    location: str,
    blobs: BlobStore,
    rate: int,
    report: ScrubReport,
    pause: Callable[[float], Awaitable[None]],
) -> bool:
    hasher = digests.hasher(digests.algorithm(one.digest))
    try:
        async with blobs.read(location) as chunks:
            async for chunk in chunks:
                hasher.update(chunk)
                report.bytes += len(chunk)
                await pause(len(chunk) / rate)
    except (CopyLost, InvalidPlace):  # or deleted meanwhile: then no row is left to quarantine
        return False
    except StorageFailed as error:
        await blobs.require()  # a store that is away is no damage of this file
        _log.error("a stored file cannot be read: %s", error)
        return False
    return hasher.hexdigest() == digests.encoded(one.digest)
