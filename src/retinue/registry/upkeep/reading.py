"""From stored bytes to what the catalog should say of them; shared by fsck and upgrades."""

import json

from msgspec import Struct

from retinue import strictjson
from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.readers import table
from retinue.oci.referrers import referrer_entry
from retinue.registry.catalog.papers import MAX_ENTRY
from retinue.registry.storage.blobstore import BlobStore
from retinue.strictjson import InvalidJson


class Damaged(Struct, frozen=True):
    """Bytes that are not what their digest says."""

    digest: Digest
    actual: Digest


def read_stored(digest: Digest, media_type: str, body: bytes) -> Manifest | Damaged | Unreadable:
    """A manifest as its row should be derived from its bytes."""
    algorithm = digests.algorithm(digest)
    actual = digests.of(body, algorithm)
    if actual != digest:
        return Damaged(digest, actual)
    try:
        return table.read(body, media_type, algorithm)
    except Unreadable as error:
        return error


def read_by_its_word(digest: Digest, body: bytes) -> Manifest | None:
    """The same by the media type that the bytes state; None when they state none, or wrongly."""
    try:
        value = strictjson.loads(body)
        stated = value.get("mediaType") if isinstance(value, dict) else None
        if not isinstance(stated, str):
            return None
        return table.read(body, stated, digests.algorithm(digest))
    except (InvalidJson, Unreadable):
        return None


def same_entry(entry: str | None, true: str | None) -> bool:
    """Whether a list may show `entry`; None is made anew whenever it is asked for."""
    if entry is None or entry == true:
        return True
    try:
        return true is not None and bool(
            strictjson.loads(entry.encode()) == strictjson.loads(true.encode())
        )
    except InvalidJson:
        return False


def entry_of(manifest: Manifest) -> str | None:
    """What lists of papers show of it; None when that is large, and made when asked for."""
    entry = json.dumps(referrer_entry(manifest), ensure_ascii=False, separators=(",", ":"))
    return entry if len(entry) <= MAX_ENTRY else None


async def hash_stored(blobs: BlobStore, digest: Digest, location: str) -> tuple[Digest, int]:
    """Digest and size of a copy, by the algorithm of `digest`. Raises CopyLost, StorageFailed."""
    algorithm = digests.algorithm(digest)
    hasher = digests.hasher(algorithm)
    size = 0
    async with blobs.read(location) as chunks:
        async for chunk in chunks:
            hasher.update(chunk)
            size += len(chunk)
    return digests.parse(f"{algorithm}:{hasher.hexdigest()}"), size
