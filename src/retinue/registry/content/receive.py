"""Bytes from a connection into an upload: collected, and written while the next ones arrive."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

from retinue.errors import RetinueError
from retinue.oci.digest import Digest
from retinue.registry.content.errors import UploadTooLarge
from retinue.registry.storage.blobstore import Kept, Upload

Written: TypeAlias = tuple[int, Digest | None]

BATCH = 1 << 20
"""Bytes per write. At most two batches of one upload are in memory."""


async def _no_guard() -> None:
    return


class Pump:
    """Fills one upload. `most`: bytes it may have in all, 0 for any number.

    `guard` is awaited before each write; what it raises ends the upload.
    """

    def __init__(
        self, upload: Upload, most: int, guard: Callable[[], Awaitable[None]] = _no_guard
    ) -> None:
        self.offset = upload.offset
        self.reached: Digest | None = None
        self._upload = upload
        self._most = most
        self._guard = guard
        self._batch: list[bytes] = []
        self._size = 0
        self._writing: asyncio.Task[Written] | None = None

    async def fill(self, chunks: AsyncIterable[bytes]) -> RetinueError | None:
        """Write all of them. Returns what cut the body short, None when it came whole.

        Whatever arrived before a cut is written, and counted in `offset`. Raises UploadTooLarge,
        StorageFailed, and what the guard does.
        """
        arriving = aiter(chunks)
        async with self._writing_ends():
            while (part := await _next(arriving)) is not None:
                if isinstance(part, RetinueError):
                    await self._drain()
                    return part
                await self._take(part)
            await self._drain()
            return None

    async def take(self, chunks: AsyncIterable[bytes]) -> int:
        """The same for who has no use for a part, up to the last batch, which waits for `keep`.

        Returns the bytes that the upload has then. Raises what cut the body short, too.
        """
        async with self._writing_ends():
            async for part in chunks:
                await self._take(part)
            await self._settle()
            return self.offset + self._size

    async def keep(self, digest: Digest) -> Kept:
        """Write what is left, and keep it all (see `Upload.keep`)."""
        await self._guard()
        return await self._upload.keep(digest, last=self._batch)

    @asynccontextmanager
    async def _writing_ends(self) -> AsyncIterator[None]:
        """Never let go of a file that is being written."""
        try:
            yield
        finally:
            if self._writing is not None:
                await asyncio.wait([self._writing])

    async def _take(self, part: bytes) -> None:
        if self._size >= BATCH:
            await self._write()
        self._batch.append(part)
        self._size += len(part)
        if self._most and self.offset + self._size > self._most:
            raise UploadTooLarge(self._most)

    async def _write(self) -> None:
        await self._settle()
        await self._guard()
        batch, self._batch = self._batch, []
        self.offset += self._size
        self._size = 0
        self._writing = asyncio.ensure_future(self._upload.append(batch))

    async def _settle(self) -> None:
        if self._writing is not None:
            task, self._writing = self._writing, None
            try:
                _, self.reached = await asyncio.shield(task)
            except asyncio.CancelledError:
                self._writing = task
                raise

    async def _drain(self) -> None:
        if self._batch:
            await self._write()
        await self._settle()


async def _next(arriving: AsyncIterator[bytes]) -> bytes | RetinueError | None:
    """The next part; None at the end; what went wrong on the connection."""
    try:
        return await anext(arriving)
    except StopAsyncIteration:
        return None
    except RetinueError as problem:
        return problem


async def small(chunks: AsyncIterable[bytes], most: int) -> tuple[list[bytes], bool]:
    """The first parts of a body, and whether they are all of it, `most` bytes or fewer.

    When they are not, the iterator goes on where this stopped.
    """
    parts: list[bytes] = []
    size = 0
    async for part in chunks:
        parts.append(part)
        size += len(part)
        if size > most:
            return parts, False
    return parts, True


async def chain(parts: Sequence[bytes], chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Parts that were read already, and then the rest."""
    for part in parts:
        yield part
    async for part in chunks:
        yield part
