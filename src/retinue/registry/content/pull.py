"""Pulling: what a tag or digest names, and its bytes, verified before anybody is given them."""

import logging

from msgspec import Struct

from retinue.errors import RetinueError
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.reference import valid_name
from retinue.registry.catalog import manifests, objects, reads, repositories
from retinue.registry.catalog.db import Change, Freeing
from retinue.registry.catalog.locks import shared
from retinue.registry.catalog.reads import Found
from retinue.registry.content.cache import Entry
from retinue.registry.content.errors import (
    BlobUnknown,
    ManifestUnknown,
    NameInvalid,
    RepositoryUnknown,
)
from retinue.registry.content.services import Services
from retinue.registry.metrics import CORRUPT
from retinue.registry.storage.blobstore import CopyLost, LocalFile, Redirect, StorageFailed

IN_MEMORY = 1 << 20
"""Files up to this size are sent from memory when they are asked for again: that takes half of
the work, and while one is sent not much more memory than the server's buffers for a file."""

SANDBOX = ("content-security-policy", "sandbox")
"""A browser that shows a blob runs nothing of it, and takes it for no page of this registry."""

_log = logging.getLogger("retinue.content")


class Corrupt(RetinueError):
    """Stored bytes are not what their digest says, or are gone. They were not sent."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(f"the stored copy of {digest} is damaged; push it again")
        self.digest = digest


class Replaced(StorageFailed):
    """A damaged copy was met that is replaced by now, or deleted: asking again helps."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(f"read {digest}", "its copy was damaged, and was replaced meanwhile")
        self.digest = digest


class Large(Struct, frozen=True):
    """A blob that is not kept in memory. `at` is None where the bytes were not looked for."""

    digest: Digest
    size: int
    at: LocalFile | Redirect | None


async def find_manifest(services: Services, name: str, reference: str) -> Found:
    """By tag or digest. Raises ManifestUnknown, RepositoryUnknown, NameInvalid, InvalidDigest."""
    if ":" in reference:
        found = await reads.manifest_by_digest(services.catalog, name, digests.parse(reference))
    else:
        found = await reads.manifest_by_tag(services.catalog, name, reference)
    if found is None:
        await require_repository(services, name)
        raise ManifestUnknown(reference)
    return found


async def find_blob(services: Services, name: str, digest: Digest) -> Found:
    """A blob, or a manifest of this repository (storage rule 11).

    Raises BlobUnknown, RepositoryUnknown, NameInvalid.
    """
    found = await reads.blob(services.catalog, name, digest)
    if found is None:
        manifest = await reads.manifest_by_digest(services.catalog, name, digest)
        if manifest is None:
            await require_repository(services, name)
            raise BlobUnknown(digest)
        return manifest
    return found


async def require_repository(services: Services, name: str) -> int:
    """Its id; raises RepositoryUnknown, NameInvalid."""
    if not valid_name(name):
        raise NameInvalid(name)
    known = await repositories.lookup(services.catalog, name)
    if known is None:
        raise RepositoryUnknown(name)
    return known


async def entry(services: Services, found: Found, *, as_blob: bool = False) -> Entry:
    """The bytes, from memory or verified now; raises Corrupt."""
    media_type = "" if as_blob else found.media_type
    key = (found.digest, media_type)
    known = services.cache.get(key)
    if known is None:
        known = await _load(services, found, media_type)
        services.cache.put(key, known)
    return known


async def _load(services: Services, found: Found, media_type: str) -> Entry:
    digest = digests.from_bytes(found.digest)
    body = await _bytes(services, found)
    if body is None or digests.of(body, digests.algorithm(digest)) != digest:
        raise await refused(services, found, body)
    return Entry(body, described(digest, media_type))


def described(digest: Digest, media_type: str) -> tuple[tuple[str, str], ...]:
    """The headers that go with content; a blob, which may be a page, has no media type."""
    described = (
        ("content-type", media_type or names.OCTET_STREAM),
        (names.HEADER_DIGEST, digest),
        ("etag", f'"{digest}"'),
        ("accept-ranges", "bytes"),
    )
    return described if media_type else (*described, SANDBOX)


async def _bytes(services: Services, found: Found) -> bytes | None:
    if found.location is None:
        return await reads.body(services.catalog, found.object)
    try:
        async with services.blobs.read(found.location) as chunks:
            return b"".join([chunk async for chunk in chunks])
    except CopyLost:
        return None


async def refused(services: Services, found: Found, seen: bytes | None) -> Corrupt | Replaced:
    """What to raise for a damaged copy: it is quarantined, so that clients push it again.

    `seen`: the bytes, where they are a row. A copy that came meanwhile is served on.
    """
    digest = digests.from_bytes(found.digest)
    now = services.clock()
    if not services.config.read_only and not await services.catalog.commit(
        lambda: objects.quarantine(found.object, found.location, seen, now)
    ):
        return Replaced(digest)
    services.metrics.add(CORRUPT)
    _log.error("the stored copy of %s is damaged, and is not served", digest)
    return Corrupt(digest)


async def is_sound(services: Services, found: Found) -> bool:
    """Whether a copy is there, as far as one look tells: its bytes if they are a row, else its
    size. Raises StorageFailed."""
    if found.location is not None:
        at = await services.blobs.locate(found.location)
        return at is not None and (not isinstance(at, LocalFile) or at.size == found.size)
    digest = digests.from_bytes(found.digest)
    body = await reads.body(services.catalog, found.object)
    return body is not None and digests.of(body, digests.algorithm(digest)) == digest


def in_memory(services: Services, found: Found) -> bool:
    """Whether the bytes are sent from memory (and verified) rather than from a file."""
    if found.location is None or found.size <= services.config.inline_blob:
        return True
    return found.size <= IN_MEMORY and services.cache.often(found.digest, found.size)


async def large(services: Services, found: Found, *, look: bool) -> Large:
    """Where a large blob is; `look`: only if its bytes are wanted. Raises Corrupt."""
    assert found.location is not None
    at = await services.blobs.locate(found.location) if look else None
    if look and (at is None or (isinstance(at, LocalFile) and at.size != found.size)):
        raise await refused(services, found, None)
    return Large(digests.from_bytes(found.digest), found.size, at)


async def keep_alive(services: Services, found: Found, *, manifest: bool) -> None:
    """A client asked whether it is here, and may build on the answer: its grace starts anew.

    Written only when less than half of the grace is left ("Collection" 2). Raises ManifestUnknown
    or BlobUnknown when it is gone by now.
    """
    now = services.clock()
    if services.config.read_only or now < fresh_until(services, found):
        return
    digest = digests.from_bytes(found.digest)
    touch = Freeing(_touch, found, digest, now, manifest=manifest)  # who deletes asks first
    if not await services.catalog.commit(touch):
        raise ManifestUnknown(digest) if manifest else BlobUnknown(digest)


def fresh_until(services: Services, found: Found) -> int:
    """When half of its grace is over (microseconds since 1970)."""
    return found.touched + int(services.config.grace * 500_000)


def _touch(found: Found, digest: Digest, now: int, *, manifest: bool) -> Change[bool]:
    yield from shared(found.repository)
    if manifest:
        if not (yield from manifests.present(found.repository, [digest])):
            return False
        yield from manifests.touch(found.repository, [digest], now)
        return True
    if (yield from objects.held_object(found.repository, digest)) is None:
        return False
    yield from objects.touch_blobs(found.repository, [digest], now)
    return True


def record(services: Services, found: Found) -> None:
    """A manifest was pulled."""
    if services.config.read_only:
        return  # nobody would write it down
    services.pulls.record(found.repository, found.digest, services.clock())
