"""Blobs as files of one folder. Layout and names: `places`; durability: `incoming`."""

import asyncio
import errno
import os
import stat
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeAlias, TypeVar

from retinue.files import CALLS, Calls, Root, UnsafePath, make_folders
from retinue.oci.digest import Digest
from retinue.registry.storage import places
from retinue.registry.storage.blobstore import CopyLost, Kept, LocalFile, StorageFailed, StorageFull
from retinue.registry.storage.hashes import RunningHashes
from retinue.registry.storage.identity import Home
from retinue.registry.storage.incoming import Incoming
from retinue.registry.storage.places import InvalidPlace

T = TypeVar("T")
Found: TypeAlias = tuple[str, int, datetime]

CHUNK = 1 << 20
"""Bytes per chunk of a read; a reader holds two."""
PAGE = 1000
"""Names listed per hop to a thread."""


class FileBlobStore:
    """A blob store in `root`, whose folder says `identity`; without one the folder is made if need
    be. Raises ForeignStore, and OSError when folders cannot be made.

    `durable`: what `keep` returned survives a power loss; without, only the end of the process.
    `threads` bounds the calls that block at one time, and the memory for writing: 1 MiB each.
    Several processes may share the folder. `looking`: it is left as it is, whatever it lacks.
    """

    def __init__(
        self,
        root: Path,
        *,
        identity: str = "",
        durable: bool = True,
        threads: int = 16,
        looking: bool = False,
        calls: Calls = CALLS,
    ) -> None:
        if not identity and not looking:
            make_folders(root, calls=calls)
        self._root = Home(root, identity, calls)
        self._durable = durable
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="blobs")
        self._hashes = RunningHashes()
        self._writing = 0
        if not looking:
            _make_places(self._root)

    async def close(self) -> None:
        """Wait for calls under way and let go of the folder."""
        await asyncio.to_thread(self._pool.shutdown)
        self._root.close()

    async def require(self) -> None:
        with _Failing("look for", "blobs"):
            self._root.require()

    def require_in_place(self) -> None:
        """Before a copy is kept. Raises OSError."""
        self._root.require_in_place()

    async def locate(self, location: str) -> LocalFile | None:
        # On the loop: a look into a cached folder costs 2 us, a hop to a thread 100. One call is
        # enough: the name was checked, and the folders on the way are the store's own.
        if not places.is_location(location):
            return None
        path = self._root.path / places.blob_name(location)
        with _Failing("locate", location):
            try:
                status = path.lstat()
            except FileNotFoundError:
                self._root.require()
                return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return LocalFile(path, status.st_size)

    @asynccontextmanager
    async def read(
        self, location: str, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        reader = _Reader(self._root, location, start, end)
        try:
            await self.run("read", location, reader.open)
            yield self._chunks(reader)
        finally:
            await asyncio.shield(self.run("close", location, reader.close))

    async def _chunks(self, reader: "_Reader") -> AsyncGenerator[bytes]:
        """One chunk is read while the one before it is sent."""
        ahead = self._read_next(reader)
        try:
            while data := await ahead:
                ahead = self._read_next(reader)
                yield data
        finally:
            ahead.cancel()

    def _read_next(self, reader: "_Reader") -> "asyncio.Task[bytes]":
        return asyncio.ensure_future(self.run("read", reader.location, reader.next))

    async def upload(
        self,
        session: str,
        offset: int = 0,
        *,
        reached: Digest | None = None,
        algorithm: str = "sha256",
        size: int | None = None,
    ) -> "FileUpload":
        incoming = Incoming(
            self._root, self._hashes, session, algorithm, size, durable=self._durable
        )
        upload = FileUpload(self, incoming, offset)
        if offset:
            await upload.resume(reached)
        return upload

    async def received(self, session: str) -> int | None:
        if not places.is_session(session):
            return None
        return await self.run("look for upload", session, lambda: _received(self._root, session))

    async def discard(self, session: str) -> None:
        if not places.is_session(session):
            return  # nothing of this store is called so
        name = places.upload_name(session)
        await self.run("discard upload", session, lambda: self._root.unlink(name))

    async def remove(self, location: str) -> None:
        # The folder is not synced: a copy that comes back after a power loss is in no row of
        # the catalog, and fsck removes it.
        if places.is_session(location):
            name = places.upload_name(location)
        elif places.is_location(location):
            name = places.blob_name(location)
        else:
            return  # nothing of this store is called so
        await self.run("remove", location, lambda: self._root.unlink(name))

    def stored(self) -> AsyncIterator[Found]:
        return self._pages(self._copies())

    def sessions(self) -> AsyncIterator[Found]:
        return self._pages(self._sessions())

    def _copies(self) -> Iterator[Found]:
        for folder in places.FANOUT:
            for name, status in _entries(self._root, f"{places.BLOBS}/{folder}"):
                if places.is_location(f"{folder}/{name}"):
                    yield _found(f"{folder}/{name}", status)

    def _sessions(self) -> Iterator[Found]:
        for name, status in _entries(self._root, places.UPLOADS):
            if places.is_session(name):
                yield _found(name, status)

    async def _pages(self, names: Iterator[Found]) -> AsyncGenerator[Found]:
        while page := await self.run("list", "", lambda: list(islice(names, PAGE))):
            for found in page:
                yield found

    async def run(self, action: str, what: str, call: Callable[[], T]) -> T:
        """Run a blocking call in a thread of this store; OSError becomes StorageFailed."""
        with _Failing(action, what):
            return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    async def write(self, incoming: Incoming, parts: Sequence[bytes]) -> Digest | None:
        """Hash and write. While nobody else writes, two threads do it at the same time."""
        session = incoming.session
        self._writing += 1
        try:
            if self._writing > 1:
                return await self.run("write upload", session, lambda: _both(incoming, parts))
            digest, _ = await asyncio.gather(
                self.run("hash upload", session, lambda: incoming.update(parts)),
                self.run("write upload", session, lambda: incoming.write(parts)),
            )
            return digest
        finally:
            self._writing -= 1


class FileUpload:
    """An upload into a file. At offset 0 the file is opened by the first append or keep."""

    def __init__(self, store: FileBlobStore, incoming: Incoming, offset: int) -> None:
        self.offset = offset
        self._store = store
        self._incoming = incoming
        self._used = False

    async def resume(self, reached: Digest | None) -> None:
        """Open the bytes that are there. Raises UploadLost, UploadBusy, StorageFailed."""
        try:
            await self._run("resume upload", lambda: self._incoming.resume(self.offset, reached))
        except BaseException:
            await self.close()
            raise

    async def append(self, parts: Sequence[bytes]) -> tuple[int, Digest | None]:
        try:
            self._used = True
            digest = await self._store.write(self._incoming, parts)
        except BaseException:
            # Cancelled, say: a thread may still be writing, so the offset is not known.
            self._incoming.fail("an earlier append did not end; resume the upload")
            raise
        self.offset += sum(map(len, parts))
        return self.offset, digest

    async def _run(self, action: str, call: Callable[[], T]) -> T:
        self._used = True
        return await self._store.run(action, self._incoming.session, call)

    async def keep(self, expected: Digest, *, last: Sequence[bytes] = ()) -> Kept:
        def call() -> Kept:
            self._store.require_in_place()
            return self._incoming.keep(expected, last)

        kept = await self._run("keep upload", call)
        self.offset = kept.size
        return kept

    async def close(self) -> None:
        if self._used and not self._incoming.closed:
            await asyncio.shield(self._run("close upload", self._incoming.close))


_FULL = (errno.ENOSPC, errno.EDQUOT)


class _Failing:
    """Says what failed: OSError becomes StorageFailed."""

    def __init__(self, action: str, what: str) -> None:
        self._action = f"{action} {what}".rstrip()

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            failed = StorageFull if error.errno in _FULL else StorageFailed
            raise failed(self._action, error.strerror or str(error)) from error


class _Reader:
    """An open copy, read in chunks from threads."""

    def __init__(self, root: Home, location: str, start: int, end: int | None) -> None:
        self.location = location
        self._root = root
        self._at = start
        self._end = end
        self._lock = threading.Lock()  # a cancelled call may still run when close comes
        self._fd: int | None = None
        self._closed = False

    def open(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._fd = fd = _open_copy(self._root, self.location)
            size = os.fstat(fd).st_size
            if max(self._at, self._end or 0) > size:
                raise CopyLost(self.location, size)
            self._end = size if self._end is None else self._end
            os.posix_fadvise(fd, self._at, self._end - self._at, os.POSIX_FADV_SEQUENTIAL)

    def next(self) -> bytes:
        """The next chunk; empty at the end."""
        with self._lock:
            if self._fd is None or self._end is None or self._at >= self._end:
                return b""
            wanted = min(CHUNK, self._end - self._at)
            data = self._root.calls.read(self._fd, wanted, self._at)
            if not data:
                raise CopyLost(self.location, self._at)
            self._at += len(data)
            return data

    def close(self) -> None:
        with self._lock:
            self._closed = True
            fd, self._fd = self._fd, None
            if fd is not None:
                self._root.calls.close(fd)


def _received(root: Home, session: str) -> int | None:
    status = root.status(places.upload_name(session))
    if status is not None:
        return status.st_size
    for location in places.copies_of(root, session):
        kept = root.status(places.blob_name(location))
        if kept is not None:
            return kept.st_size
    return None


def _open_copy(root: Home, location: str) -> int:
    try:
        return root.open(places.blob_name(location), os.O_RDONLY)
    except (FileNotFoundError, UnsafePath, InvalidPlace) as error:  # no file of ours is there
        root.require()
        raise CopyLost(location, 0) from error


def _both(incoming: Incoming, parts: Sequence[bytes]) -> Digest | None:
    digest = incoming.update(parts)
    incoming.write(parts)
    return digest


def _entries(root: Root, folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """None where there is no such folder: a store that is only looked at makes none."""
    with suppress(FileNotFoundError):
        yield from root.entries(folder)


def _found(name: str, status: os.stat_result) -> Found:
    # ctime: a link renews it, and nothing can set it.
    return name, status.st_size, datetime.fromtimestamp(status.st_ctime, UTC)


def _make_places(root: Root) -> None:
    """All folders from the start, so that a push never has to sync a parent's entry."""
    for folder in (places.UPLOADS, places.BLOBS):
        root.make_folder(folder)
        root.hold(folder)
    made = [root.make_folder(f"{places.BLOBS}/{folder}") for folder in places.FANOUT]
    if any(made):
        root.sync_folder(places.BLOBS)
        root.sync_folder()
