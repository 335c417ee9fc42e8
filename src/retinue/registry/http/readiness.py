"""Whether a process can do its work: it reads, and it writes, which is tried now and then."""

import asyncio
import os
from collections.abc import Callable

from msgspec import Struct

from retinue.registry.catalog import meta, reads
from retinue.registry.catalog.db import CatalogUnavailable, Freeing
from retinue.registry.content.services import Services
from retinue.registry.storage.blobstore import StorageFailed, StorageFull

SECONDS = 5.0
"""A write that succeeded speaks for so long, however often somebody asks."""
PATIENCE = 10.0
"""Seconds after which a write that does not end has failed."""


class Verdict(Struct, frozen=True):
    ready: bool
    text: str


READY = Verdict(ready=True, text="ready")
LOOKING = Verdict(ready=True, text="ready, read-only")
FULL = Verdict(ready=True, text="ready, but the disk is full: pushes are refused, deleting works")
GONE = Verdict(ready=False, text="the catalog was moved or deleted")
SILENT = Verdict(ready=False, text="the catalog does not answer")
FOREIGN = Verdict(ready=False, text="the blobs were moved or deleted")
CATALOG = Verdict(ready=False, text="the catalog cannot be written")
BLOBS = Verdict(ready=False, text="blobs cannot be written")
SLOW = Verdict(ready=False, text="writes do not end")


class Readiness:
    """Of one process. `clock`: seconds, of any beginning."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._writing = asyncio.Lock()
        self._known = READY
        self._until = float("-inf")

    async def verdict(self, services: Services) -> Verdict:
        try:
            await reads.alive(services.catalog)
            await services.blobs.require()
        except CatalogUnavailable:
            return SILENT if services.catalog.gone() is None else GONE
        except StorageFailed:
            return FOREIGN
        if services.config.read_only:
            return LOOKING
        async with self._writing:
            if self._clock() >= self._until:
                self._known = await _written(services)
                self._until = self._clock() + (SECONDS if self._known.ready else 0)
            return self._known


async def _written(services: Services) -> Verdict:
    try:
        async with asyncio.timeout(PATIENCE):
            await services.catalog.commit(Freeing(meta.note_write, services.clock()))
            await _write_bytes(services)
    except TimeoutError:
        return SLOW
    except CatalogUnavailable:
        return CATALOG
    except StorageFull:
        return FULL
    except StorageFailed:
        return BLOBS
    return READY if services.catalog.full() is None else FULL


async def _write_bytes(services: Services) -> None:
    """Into the folder of uploads, where all bytes begin."""
    session = f"readiness-{os.getpid()}"
    upload = await services.blobs.upload(session)
    try:
        await upload.append([b"written"])
    finally:
        await upload.close()
        await services.blobs.discard(session)
