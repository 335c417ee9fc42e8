"""Files of this machine as a source, so that making content is copying it."""

import os
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from retinue.oci import digest as digests
from retinue.oci.descriptor import Descriptor
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.stores import BlobMissing, DigestMismatch, Search, Source

PART = 1024 * 1024


class LocalSource:
    """Manifests and blobs that were just made; a blob is bytes, or a file that is read when sent.

    Blobs that were not made here come from `behind`, where there is one.
    """

    def __init__(self, behind: Source | None = None) -> None:
        self._behind = behind
        self._manifests: dict[Digest, Manifest] = {}
        self._blobs: dict[Digest, bytes | Path] = {}

    def add_manifest(self, manifest: Manifest) -> None:
        self._manifests[manifest.digest] = manifest

    def add_blob(self, digest: Digest, content: bytes | Path) -> None:
        self._blobs[digest] = content

    def add_file(
        self, path: Path, media_type: str, annotations: Mapping[str, str] | None = None
    ) -> Descriptor:
        """Hash a file and hold it as a blob; raises OSError."""
        hasher = digests.hasher("sha256")
        size = 0
        with path.open("rb") as file:
            while part := file.read(PART):
                hasher.update(part)
                size += len(part)
        digest = digests.parse(f"sha256:{hasher.hexdigest()}")
        self.add_blob(digest, path)
        return Descriptor(media_type, digest, size, annotations=annotations or {})

    async def resolve(self, tag: str) -> Digest | None:  # noqa: ARG002 -- of the protocol
        """Nothing has a tag before it is sent."""
        return None

    async def manifests(
        self, digests: Collection[Digest]
    ) -> Mapping[Digest, Manifest | Unreadable | None]:
        return {digest: self._manifests.get(digest) for digest in digests}

    async def papers(self, subjects: Collection[Digest]) -> Mapping[Digest, Search]:
        """What was just made has none."""
        return {subject: Search((), {}) for subject in subjects}

    async def tags(self) -> AsyncIterator[str]:
        nothing: tuple[str, ...] = ()
        for tag in nothing:
            yield tag

    @asynccontextmanager
    async def blob(self, digest: Digest, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        content = self._blobs.get(digest)
        if content is not None:
            yield _parts(content, start, digest)
        elif self._behind is not None:
            async with self._behind.blob(digest, start) as chunks:
                yield chunks
        else:
            raise BlobMissing(digest)


async def _parts(content: bytes | Path, start: int, digest: Digest) -> AsyncIterator[bytes]:
    if isinstance(content, bytes):
        yield content[start:]
        return
    hasher = digests.hasher(digests.algorithm(digest))
    with content.open("rb") as file:
        file.seek(start)
        while part := os.read(file.fileno(), PART):
            hasher.update(part)
            yield part
    actual = digests.parse(f"{digests.algorithm(digest)}:{hasher.hexdigest()}")
    if start == 0 and actual != digest:  # the file has changed since it was hashed
        raise DigestMismatch(digest, actual)
