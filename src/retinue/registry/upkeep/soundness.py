"""Whether stored bytes are what their rows say. A file that cannot be read is that file's damage;
a store that is not in its place is no file's."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.registry.catalog import check
from retinue.registry.catalog.check import StoredObject
from retinue.registry.catalog.db import Catalog
from retinue.registry.catalog.look import look
from retinue.registry.storage import places
from retinue.registry.storage.blobstore import BlobStore, CopyLost, LocalFile, StorageFailed
from retinue.registry.storage.places import InvalidPlace
from retinue.registry.upkeep.findings import Kind
from retinue.registry.upkeep.reading import hash_stored

INLINE_PAGE = 100
"""Rows of bytes that are in memory at a time; most have at most 64 KiB."""


class Problem(Struct, frozen=True):
    """What is wrong with an object. `size`: what its row should say, where only that is wrong.
    `seen`: the bytes, where they are a row that is there."""

    kind: Kind
    what: str
    size: int | None = None
    seen: bytes | None = None


def row_problem(one: StoredObject, body: bytes | None) -> Problem | None:
    """Of bytes that are a row."""
    if body is None:
        return Problem(Kind.MISSING_BYTES, "has neither a file nor a row of bytes")
    actual = digests.of(body, digests.algorithm(one.digest))
    if actual != one.digest:
        return Problem(Kind.DAMAGED_BYTES, f"its {len(body)} bytes hash to {actual}", seen=body)
    return _size_problem(one, len(body), body)


async def file_problem(
    one: StoredObject, location: str, blobs: BlobStore, *, hashing: bool
) -> Problem | None:
    """Of bytes that are a file; read only if `hashing`, or if its size is not the row's.

    Raises StorageFailed when the whole store is away.
    """
    if not places.is_location(location) or places.digest_of(location) != one.digest:
        return Problem(Kind.WRONG_LOCATION, f"{location[:200]!r} is no location of it")
    try:
        found = await blobs.locate(location)
        if found is None:
            return Problem(Kind.MISSING_BYTES, f"its file {location} is not there")
        right = not isinstance(found, LocalFile) or found.size == one.size
        return None if right and not hashing else await _hash_problem(one, location, blobs)
    except CopyLost as error:
        return Problem(Kind.MISSING_BYTES, str(error))
    except (StorageFailed, InvalidPlace) as error:
        await blobs.require()
        return Problem(Kind.DAMAGED_BYTES, f"its file cannot be read: {error}")


async def _hash_problem(one: StoredObject, location: str, blobs: BlobStore) -> Problem | None:
    actual, size = await hash_stored(blobs, one.digest, location)
    if actual != one.digest:
        return Problem(Kind.DAMAGED_BYTES, f"its {size} bytes hash to {actual}")
    return _size_problem(one, size)


def _size_problem(one: StoredObject, size: int, seen: bytes | None = None) -> Problem | None:
    if size == one.size:
        return None
    what = f"has {size} bytes, and {one.size} in the catalog"
    return Problem(Kind.WRONG_SIZE, what, size, seen)


async def unsound_rows(
    catalog: Catalog, objects: Iterable[StoredObject]
) -> AsyncIterator[tuple[StoredObject, Problem]]:
    """Those of `objects` whose bytes are rows, and are not what they should be."""
    async for one, problem in judged_rows(catalog, objects):
        if problem is not None:
            yield one, problem


async def judged_rows(
    catalog: Catalog, objects: Iterable[StoredObject]
) -> AsyncIterator[tuple[StoredObject, Problem | None]]:
    """Those of `objects` whose bytes are rows, and what is wrong with them."""
    inline = [one for one in objects if one.location is None]
    for start in range(0, len(inline), INLINE_PAGE):
        some: Sequence[StoredObject] = inline[start : start + INLINE_PAGE]
        bodies: Mapping[int, bytes] = await look(catalog, check.inline([one.id for one in some]))
        for one in some:
            yield one, row_problem(one, bodies.get(one.id))
