"""A verified copy and the one that is stored already: the better one stays (storage rule 20).

Pushes of new content pay nothing for it; a push of what is here has the stored copy read again.
"""

from collections.abc import Callable
from functools import partial

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog.db import Change, Constraint, ConstraintViolated
from retinue.registry.catalog.objects import Judged, Rival
from retinue.registry.content.blobs import Known
from retinue.registry.content.services import Services
from retinue.registry.storage.blobstore import CopyLost, Kept, LocalFile, StorageFailed

TRIES = 5
"""How often the stored copy may be replaced while it is read."""


class Trashed(StorageFailed):
    """The copy was taken for a leftover before it was committed: upload it again."""

    def __init__(self, location: str) -> None:
        super().__init__(f"store {location}", "it is in the trash")
        self.location = location


async def settle(
    services: Services, digest: Digest, kept: Kept, store: Callable[[Known], Change[Rival | None]]
) -> None:
    """Commit what `store` makes of a copy that was just verified.

    Raises Trashed, StorageFailed, and what `store` does.
    """
    known: Known = None
    for _ in range(TRIES):
        rival = await _commit(services, kept, partial(store, known))
        if rival is None:
            return
        if rival.location is not None:
            known = Judged(rival.location, await _is_whole(services, digest, rival.location, kept))
        elif kept.size <= max(services.config.inline_blob, services.config.max_manifest):
            known = await _read(services, kept)
        else:  # no row was ever that large: its file was lost with its name
            known = Judged("", whole=False)
    raise StorageFailed(f"store {digest}", f"its copies changed {TRIES} times meanwhile")


async def _commit(
    services: Services, kept: Kept, store: Callable[[], Change[Rival | None]]
) -> Rival | None:
    try:
        return await services.catalog.commit(store)
    except ConstraintViolated as problem:
        if problem.kind is not Constraint.CHECK:
            raise
        raise Trashed(kept.location) from problem


async def _read(services: Services, kept: Kept) -> bytes:
    """All of it: content that is stored as a row is small."""
    async with services.blobs.read(kept.location) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def _is_whole(services: Services, digest: Digest, location: str, kept: Kept) -> bool:
    """Read a stored copy; `kept` is known to be whole. Raises StorageFailed when nothing can be
    said of it, because the store is away."""
    hasher = digests.hasher(digests.algorithm(digest))
    try:
        found = await services.blobs.locate(location)
        if found is None or (isinstance(found, LocalFile) and found.size != kept.size):
            return False
        async with services.blobs.read(location) as chunks:
            async for chunk in chunks:
                hasher.update(chunk)
    except CopyLost:
        return False
    except StorageFailed:
        await services.blobs.require()
        return False  # it cannot be read, and the other one could
    return hasher.hexdigest() == digests.encoded(digest)
