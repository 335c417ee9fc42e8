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
from retinue.registry.upkeep.misses import Misses

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
    """Check the files that were checked longest ago.

    What is unsound is quarantined once a sound file after it, or the end of all files, shows that
    it is alone in that. Raises TooManyMisses, CatalogUnavailable, StorageFailed.
    """
    work = Scrubbing(catalog, blobs, pace.rate, clock, pause)
    while work.report.bytes < pace.budget or work.misses:
        page = await look(catalog, check.oldest(pace.before, PAGE))
        found = [one for one in page if one not in work.misses]
        if not found:
            await blobs.require()
            await work.quarantine()
            work.report.finished = True
            break
        for one in found:
            await work.scrub(one)
            if work.report.bytes >= pace.budget and not work.misses:
                break
    return work.report


class Scrubbing:
    """One run of the scrubber."""

    def __init__(
        self,
        catalog: Catalog,
        blobs: BlobStore,
        rate: int,
        clock: Callable[[], int],
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self.report = ScrubReport()
        self.misses = Misses()
        self._catalog = catalog
        self._blobs = blobs
        self._rate = rate
        self._clock = clock
        self._pause = pause

    async def scrub(self, one: StoredObject) -> None:
        """Raises TooManyMisses."""
        assert one.location is not None
        sound = await self._is_sound(one, one.location)
        self.report.files += 1
        if sound:
            await self.quarantine()
            await self._release(one)
        elif not one.quarantined:
            self.misses.missed(one)
            return
        await self._catalog.commit(partial(check.scrubbed, one, self._clock()))

    async def _release(self, one: StoredObject) -> None:
        """What was quarantined while storage was away, say."""
        if one.quarantined and await self._catalog.commit(
            partial(objects.release, one.id, one.location, self._clock())
        ):
            _log.warning("%s is whole, and is served again", one.digest)

    async def quarantine(self) -> None:
        """Those that were missed."""
        for one in self.misses.confirmed():
            now = self._clock()
            if await self._catalog.commit(
                partial(objects.quarantine, one.id, one.location, None, now)
            ):
                self.report.damaged += 1
                _log.error("%s is damaged: it is served no longer, push it again", one.digest)
            await self._catalog.commit(partial(check.scrubbed, one, now))

    async def _is_sound(self, one: StoredObject, location: str) -> bool:
        hasher = digests.hasher(digests.algorithm(one.digest))
        try:
            async with self._blobs.read(location) as chunks:
                async for chunk in chunks:
                    hasher.update(chunk)
                    self.report.bytes += len(chunk)
                    await self._pause(len(chunk) / self._rate)
        except (CopyLost, InvalidPlace):  # or deleted meanwhile: then no row is left to quarantine
            return False
        except StorageFailed as error:
            await self._blobs.require()  # a store that is away is no damage of this file
            _log.error("a stored file cannot be read: %s", error)
            return False
        return hasher.hexdigest() == digests.encoded(one.digest)
