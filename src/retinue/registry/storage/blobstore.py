"""Bytes of blobs, by location. A location is used once and never again (storage rule 1)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager as Opened
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from retinue.errors import RetinueError
from retinue.oci.digest import Digest


class LocalFile(Struct, frozen=True):
    """A file that the HTTP server may send by itself. `size` in bytes."""

    path: Path
    size: int


class Redirect(Struct, frozen=True):
    """Where the client finds the bytes itself."""

    url: str


class Kept(Struct, frozen=True):
    """A durable copy: its location, and its size in bytes."""

    location: str
    size: int


class UploadLost(RetinueError):
    """The bytes of an upload session are not there any more, or fewer than acknowledged."""

    def __init__(self, session: str, offset: int, found: int | None) -> None:
        super().__init__(f"upload {session}: {offset} bytes were received, {found} are left")
        self.session = session
        self.offset = offset
        self.found = found


class StorageFailed(RetinueError):
    """The store could not write or read (full disk, I/O error). Nothing was acknowledged."""

    def __init__(self, action: str, reason: str) -> None:
        super().__init__(f"{action}: {reason}")
        self.action = action
        self.reason = reason


class StorageFull(StorageFailed):
    """There is no room left, or none that this user may take."""


class UploadBusy(StorageFailed):
    """Another writer still has the session open. Trying again later helps."""

    def __init__(self, session: str) -> None:
        super().__init__(f"open upload {session}", "another request is still writing it")
        self.session = session


class CopyLost(StorageFailed):
    """The copy is not there any more, or has fewer bytes than it should."""

    def __init__(self, location: str, offset: int) -> None:
        super().__init__(f"read {location}", f"there is nothing at offset {offset}")
        self.location = location
        self.offset = offset


class Upload(Protocol):
    """The bytes of one session, appended in order by one writer.

    The caller collects about 1 MB of parts for each `append`, and keeps one append in flight while
    it receives the next parts: so receiving, hashing and writing overlap. After any error or
    cancellation only `close` is left.
    """

    @property
    def offset(self) -> int:
        """Bytes written so far."""
        ...

    async def append(self, parts: Sequence[bytes]) -> tuple[int, Digest | None]:
        """Write and hash. Plural: one hop to a thread and one writev per MB.

        Returns the new offset, and the digest of all bytes so far (None when the session was
        resumed and its running hash is not at hand): both may be recorded at once, the bytes
        outlive this process. Raises UploadBusy, StorageFailed.
        """
        ...

    async def keep(self, expected: Digest, *, last: Sequence[bytes] = ()) -> Kept:
        """Make the bytes a durable copy under a fresh location: fsync, link, fsync the folder.

        `last`: bytes to append before, which saves a hop.

        The running hash decides, or the digest that was recorded for exactly these bytes, or
        they are read again. Idempotent, also in a session that is resumed at its
        end after it was kept. Raises DigestMismatch (the bytes stay for another try),
        UploadLost, StorageFailed.
        """
        ...

    async def close(self) -> None:
        """Let go of the file; the bytes stay, and a later `upload` resumes them."""
        ...


class BlobStore(Protocol):
    async def require(self) -> None:
        """Raises StorageFailed when the store is not where it was opened: what is not found then
        is not gone, and what is kept may be."""
        ...

    async def locate(self, location: str) -> LocalFile | Redirect | None:
        """How to send this copy; None when its bytes are gone."""
        ...

    def read(
        self, location: str, start: int = 0, end: int | None = None
    ) -> Opened[AsyncIterator[bytes]]:
        """Stream bytes `start` to `end` (exclusive; the copy's end without it).

        Raises CopyLost (on entering, or when the copy turns out too short), StorageFailed.
        """
        ...

    async def upload(
        self,
        session: str,
        offset: int = 0,
        *,
        reached: Digest | None = None,
        algorithm: str = "sha256",
        size: int | None = None,
    ) -> Upload:
        """Open the bytes of a session, truncated to `offset`.

        `reached`: the digest that was recorded for exactly these bytes, in this boot; `size`: what
        is to come, if known.

        Raises UploadLost when fewer bytes than `offset` are there, UploadBusy, StorageFailed.
        A store may put off opening at offset 0 to the first append or keep.
        """
        ...

    async def received(self, session: str) -> int | None:
        """How many bytes of a session there are, also when it was kept; None: there are none."""
        ...

    async def discard(self, session: str) -> None:
        """Drop the bytes of a session; absent is fine."""
        ...

    async def remove(self, location: str) -> None:
        """Delete a copy, or the bytes of a session, whose place is in the trash; absent is fine."""
        ...

    def stored(self) -> AsyncIterator[tuple[str, int, datetime]]:
        """Every copy: location, size in bytes, and when its name or bytes changed last. For fsck.

        What the store cannot have made (other names) is passed over.
        """
        ...

    def sessions(self) -> AsyncIterator[tuple[str, int, datetime]]:
        """Every session with bytes: id, size in bytes, and when those changed last."""
        ...
