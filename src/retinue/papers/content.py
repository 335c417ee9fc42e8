"""The bytes of payloads: small ones in memory, large ones in a file without a name."""

import mmap
from collections.abc import AsyncIterator
from typing import BinaryIO, TypeAlias

from retinue.errors import RetinueError
from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.stores import DigestMismatch

IN_MEMORY = 1024 * 1024
"""Bytes of a payload that is kept in memory; a larger one lies in a file and is mapped."""

Content: TypeAlias = bytes | mmap.mmap


class TooLong(RetinueError):
    """A blob has more bytes than the descriptor says that led to it."""

    def __init__(self, digest: Digest, size: int) -> None:
        super().__init__(f"blob {digest} has more than the {size} bytes that were stated")
        self.digest = digest
        self.size = size


async def receive(digest: Digest, size: int, chunks: AsyncIterator[bytes]) -> Content:
    """All bytes, hashed; never more than `size`. Raises TooLong, DigestMismatch, OSError.

    Fewer bytes with the right digest are what they are; who stated more was wrong.
    """
    hasher = digests.hasher(digests.algorithm(digest))
    sink = _Sink()
    try:
        async for chunk in chunks:
            hasher.update(chunk)
            sink.add(chunk)
            if sink.size > size:
                raise TooLong(digest, size)
        actual = Digest(f"{digests.algorithm(digest)}:{hasher.hexdigest()}")
        if actual != digest:
            raise DigestMismatch(digest, actual)
        return sink.content()
    finally:
        sink.close()


class _Sink:
    """Takes bytes in memory until there are too many."""

    def __init__(self) -> None:
        self._parts = bytearray()
        self._file: BinaryIO | None = None
        self.size = 0

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self._file is None and self.size > IN_MEMORY:
            from tempfile import TemporaryFile  # few papers are so large, and it imports much

            self._file = TemporaryFile()  # noqa: SIM115 - closed in `close`
            self._file.write(self._parts)
            self._parts.clear()
        if self._file is None:
            self._parts += chunk
        else:
            self._file.write(chunk)

    def content(self) -> Content:
        """The map keeps the file alive after it is closed."""
        if self._file is None:
            return bytes(self._parts)
        self._file.flush()
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
