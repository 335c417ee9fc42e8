"""Where manifests and blobs come from and go to. The scope is one repository, not one host.

`None` and empty mean an authoritative no; "could not look" raises, or is named in `Search.blind`.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager as Opened
from typing import Protocol

from msgspec import Struct

from retinue.errors import RetinueError
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Way
from retinue.oci.manifest import Manifest, Unreadable


class Search(Struct, frozen=True):
    """What was found, and which ways could not be looked at.

    "None exist" is `not links and not blind`; nobody can confuse it with "could not look".
    """

    links: tuple[Link, ...]
    blind: Mapping[Way, str]


class Source(Protocol):
    """One repository to read from: a remote, an OCI layout, an archive, memory."""

    async def resolve(self, tag: str) -> Digest | None:
        """None is an authoritative no; all else raises."""
        ...

    async def manifests(
        self, digests: Collection[Digest]
    ) -> Mapping[Digest, Manifest | Unreadable | None]: ...

    async def papers(self, subjects: Collection[Digest]) -> Mapping[Digest, Search]:
        """Plural, so that a store owns its own parallelism."""
        ...

    def tags(self) -> AsyncIterator[str]: ...

    def blob(self, digest: Digest, start: int = 0) -> Opened[AsyncIterator[bytes]]:
        """Raises DigestMismatch at the end, BlobMissing at once."""
        ...


class Sink(Protocol):
    """One repository to write to. Puts are idempotent; a tag is put last."""

    async def lacks(self, digests: Collection[Digest]) -> set[Digest]:
        """Which of these blobs are missing here. Plural: a copy asks once per level."""
        ...

    async def mount(self, digest: Digest, repository: str) -> bool: ...

    async def put_blob(self, digest: Digest, size: int, chunks: AsyncIterator[bytes]) -> None: ...

    async def put_manifest(self, manifest: Manifest) -> None: ...

    async def put_tag(
        self, tag: str, digest: Digest, *, expected: Digest | None = None, new: bool = False
    ) -> None:
        """Raises TagMoved when `expected` is given and the tag names something else, or when it
        should be `new` and is there."""
        ...


class BlobMissing(RetinueError):
    """The store says, with authority, that it does not hold this blob."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(f"blob {digest} is not in this repository")
        self.digest = digest


class DigestMismatch(RetinueError):
    """Bytes came whose digest is another one than asked for; they must not be used."""

    def __init__(self, expected: Digest, actual: Digest) -> None:
        super().__init__(f"expected {expected}, but the bytes hash to {actual}")
        self.expected = expected
        self.actual = actual


class ContentMissing(RetinueError):
    """A manifest came before its parts: the store does not hold all that it refers to."""

    def __init__(self, manifest: Digest, missing: tuple[Digest, ...]) -> None:
        some = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        super().__init__(
            f"manifest {manifest} refers to {len(missing)} missing: {some}; push first"
        )
        self.manifest = manifest
        self.missing = missing


class StillLinked(RetinueError):
    """What a manifest here refers to cannot be deleted before it."""

    def __init__(self, digest: Digest, by: Digest) -> None:
        super().__init__(f"{digest} is a part of {by}; delete that first")
        self.digest = digest
        self.by = by


class TagMoved(RetinueError):
    """Somebody else moved the tag since it was read."""

    def __init__(self, tag: str, expected: Digest | None, actual: Digest | None) -> None:
        wanted = f"at {expected}" if expected is not None else "to be new"
        super().__init__(f"tag {tag!r} was expected {wanted}, but is at {actual}")
        self.tag = tag
        self.expected = expected
        self.actual = actual
