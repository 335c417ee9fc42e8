"""The part of fsck that compares rows with rows, and asks the database about itself."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from msgspec import Struct

from retinue.registry.catalog import check, consistency, snapshot
from retinue.registry.catalog.consistency import Pointer
from retinue.registry.catalog.db import Catalog, CatalogUnavailable, Change, Row
from retinue.registry.catalog.look import look
from retinue.registry.storage import places
from retinue.registry.storage.blobstore import BlobStore
from retinue.registry.upkeep.findings import Finding, FsckReport, Kind

FUTURE = 3600 * 1_000_000
"""How far a clock may have gone ahead of another one, in microseconds."""


class Rows(Struct, frozen=True):
    """Where to look, and whether to repair; `now` in microseconds."""

    catalog: Catalog
    report: FsckReport
    now: int
    repair: bool

    def found(
        self, kind: Kind, what: str, why: str, *, repository: str = "", safe: bool = True
    ) -> None:
        """`safe`: it is one of those that are repaired where that is asked for."""
        self.report.add(Finding(kind, repository, what, why, self.repair and safe))

    async def real(self, still: Change[bool], mend: Callable[[], Change[bool]]) -> bool:
        """Mend it, or look again; False when it is right by now."""
        if self.repair:
            still.close()
            return await self.catalog.commit(mend)
        return await look(self.catalog, still)


async def check_database(work: Rows) -> bool:
    """What the database finds itself; False when it cannot even be asked for all of it."""
    try:
        told = await work.catalog.scan(consistency.INTEGRITY, consistency.MOST)
    except CatalogUnavailable as problem:
        work.found(Kind.CATALOG, "", f"restore a backup: {problem}", safe=False)
        return False
    wrong = [str(row[0]) for row in told if row[0] != "ok"]
    indexes = [text for text in wrong if " index " in text]
    if indexes and work.repair:
        await work.catalog.commit(consistency.reindex)
    for text in wrong:
        work.found(Kind.CATALOG, "", text, safe=text in indexes)
    return not wrong


async def check_rows(work: Rows, blobs: BlobStore) -> None:
    """After the objects were checked: the others follow them."""
    await _manifests(work)
    async for number, name in _repositories(work.catalog):
        await _blobs(work, number, name)
    await _surplus(work)
    await _times(work)
    await _trash(work)
    await _uploads(work, blobs)


async def check_shapes(work: Rows) -> None:
    """Rows that no reader understands, or that belong to no repository."""
    for table in consistency.MALFORMED[:-1]:
        await _shapes(work, table)
    for table in consistency.OWNED:
        count = await look(work.catalog, consistency.nowhere(table))
        safe = table in consistency.DERIVED
        if count and safe and work.repair:
            await work.catalog.commit(partial(consistency.drop_nowhere, table))
        if count:
            work.found(Kind.NO_REPOSITORY, table, f"{count} of its rows", safe=safe)


async def check_objects_shapes(work: Rows) -> None:
    """Objects come last: manifests and blobs point at them."""
    await _shapes(work, consistency.MALFORMED[-1])


async def _shapes(work: Rows, table: str) -> None:
    count = await look(work.catalog, consistency.malformed(table))
    if count and work.repair:
        await work.catalog.commit(partial(consistency.drop_malformed, table))
    if count:
        work.found(Kind.MALFORMED, table, f"{count} of its rows name nothing")


async def _repositories(catalog: Catalog) -> AsyncIterator[tuple[int, str]]:
    async for page in catalog.pages(check.ALL_REPOSITORIES, 0):
        for row in page:
            yield check.repository(row)


async def _manifests(work: Rows) -> None:
    async for page in work.catalog.pages(consistency.MANIFESTS, 0):
        for row in page:
            known = consistency.manifest(row)
            if known is not None and known[1].stray:
                await _manifest(work, *known)


async def _manifest(work: Rows, repository: int, pointer: Pointer) -> None:
    digest = pointer.digest
    mend = partial(consistency.point_manifest, repository, digest, work.now)
    if await work.real(consistency.stray_manifest(repository, digest), mend):
        work.found(Kind.WRONG_OBJECT, digest, _where(pointer))


def _where(pointer: Pointer) -> str:
    if pointer.actual is None:
        return "its row names bytes that are not there"
    if pointer.stray:
        return f"its row names the bytes of {pointer.actual}"
    return f"has {pointer.known} bytes, and {pointer.size} in this repository"


async def _blobs(work: Rows, repository: int, name: str) -> None:
    async for page in work.catalog.pages(consistency.BLOBS, repository, b""):
        for pointer in map(consistency.blob, page):
            if pointer is not None and pointer.wrong:
                await _blob(work, repository, name, pointer)


async def _blob(work: Rows, repository: int, name: str, pointer: Pointer) -> None:
    mend = partial(consistency.point_blob, repository, pointer, work.now)
    if await work.real(consistency.stray_blob(repository, pointer.digest), mend):
        kind = Kind.WRONG_OBJECT if pointer.stray else Kind.WRONG_SIZE
        work.found(kind, pointer.digest, _where(pointer), repository=name)


async def _surplus(work: Rows) -> None:
    async for page in work.catalog.pages(consistency.BYTES, 0):
        for number, unread in map(consistency.surplus, page):
            if not unread:
                continue
            if not work.repair or await work.catalog.commit(
                partial(consistency.drop_bytes, number)
            ):
                why = "a row of bytes that nothing reads"
                work.found(Kind.SURPLUS_BYTES, f"object {number}", why)


async def _times(work: Rows) -> None:
    until = work.now + FUTURE
    async for page in work.catalog.pages(consistency.TIMES, 0):
        for number, digest, when in map(consistency.scrubbed, page):
            if when <= until:
                continue
            if work.repair:
                await work.catalog.commit(partial(consistency.scrub_again, number, until))
            why = "was read again in the future, and would not be until then"
            work.found(Kind.WRONG_TIME, digest or f"object {number}", why)


async def _trash(work: Rows) -> None:
    async for page in work.catalog.pages(snapshot.TRASHED, ""):
        await _some_trash(work, page)


async def _some_trash(work: Rows, page: Sequence[Row]) -> None:
    locations = [snapshot.trashed(row) for row in page]
    copies = {each: places.digest_of(each) for each in locations if places.is_location(each)}
    strange = [each for each in locations if each not in copies and not places.is_session(each)]
    if work.repair:
        live = await work.catalog.commit(partial(consistency.save, copies))
        await work.catalog.commit(partial(consistency.take_out, strange))
    else:
        live = await look(work.catalog, consistency.live(copies))
    for each in sorted(live):
        work.found(Kind.LIVE_TRASH, each, "is in the trash, and an object has it")
    for each in strange:
        work.found(Kind.MALFORMED, "trash", f"{each[:200]!r} is no place of this store")


async def _uploads(work: Rows, blobs: BlobStore) -> None:
    async for page in work.catalog.pages(consistency.UPLOADS, ""):
        for one in map(consistency.upload, page):
            received = await blobs.received(one.location)
            if one.size and (received is None or received < one.size):
                left = one.location if places.is_session(one.location) else ""
                mend = partial(consistency.end, one, left)
                if await work.real(consistency.still_open(one), mend):
                    why = f"{one.size} bytes were acknowledged, and {received or 0} are there"
                    work.found(Kind.LOST_UPLOAD, one.session, why)
