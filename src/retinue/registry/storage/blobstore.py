"""Bytes of blobs, by location. A location is used once and never again (storage rule 1)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager as Opened
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from retinue.errors import RetinueError
from retinue.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that the HTTP server may send by itself. `size` in bytes."""

    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where the client finds the bytes itself."""

    url: str


@dataclass(frozen=True, slots=True)
class Kept:
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


class Upload(Protocol):
    """The bytes of one session, appended in order by one writer."""

    @property
    def offset(self) -> int:
        """Bytes written so far."""
        ...

    async def append(self, parts: Sequence[bytes]) -> tuple[int, Digest | None]:
        """Write and hash. Plural: one hop to a thread and one writev per MB.

        Returns the new offset, and the digest of all bytes so far (None when the session was
        resumed and the hash state is not at hand). Raises StorageFailed.
        """
        ...

    async def keep(self, expected: Digest, *, trusted: Digest | None = None) -> Kept:
        """Make the bytes a durable copy under a fresh location: fsync, rename, fsync the folder.

        The running hash decides, or `trusted` (a digest recorded for exactly these bytes in this
        boot), or the bytes are read again. Idempotent. Raises DigestMismatch (the bytes stay
        for another try), UploadLost, StorageFailed.
        """
        ...

    async def close(self) -> None:
        """Let go of the file; the bytes stay, and a later `upload` resumes them."""
        ...


class BlobStore(Protocol):
    async def locate(self, location: str) -> LocalFile | Redirect | None:
        """How to send this copy; None when its bytes are gone."""
        ...

    def read(self, location: str, start: int = 0, end: int | None = None) -> Opened[
        AsyncIterator[bytes]
    ]:
        """Stream bytes `start` to `end` (exclusive). Raises UploadLost or StorageFailed."""
        ...

    async def upload(
        self, session: str, offset: int = 0, *, algorithm: str = "sha256", size: int | None = None
    ) -> Upload:
        """Open the bytes of a session, truncated to `offset`. `size`: what is to come, if known.

        Raises UploadLost when fewer bytes than `offset` are there.
        """
        ...

    async def discard(self, session: str) -> None:
        """Drop the bytes of a session; absent is fine."""
        ...

    async def remove(self, location: str) -> None:
        """Delete a copy; absent is fine."""
        ...

    def stored(self) -> AsyncIterator[tuple[str, int, datetime]]:
        """Every copy: location, size in bytes, time of last change. For fsck."""
        ...

    def sessions(self) -> AsyncIterator[tuple[str, int, datetime]]:
        """Every session with bytes: id, size in bytes, time of last change."""
        ...
