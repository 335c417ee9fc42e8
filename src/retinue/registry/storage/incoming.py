"""The file of one upload session, used from worker threads: written, synced, given its place.

Order of `keep`, and why each step may be the last one before the power goes:
1. cut the padding, fsync the file: the bytes are durable under the session's name;
2. link it under a fresh location: a link refuses to replace, a rename would not;
3. fsync the folder of the location: now both names are durable, and the caller may commit;
4. unlink the session's name. Nothing waits for this: if it comes back after a power loss, the
   file has two names, and `resume` tells that from a file that may be written to.
"""

import os
import threading
from collections.abc import Sequence

from retinue.files import Root
from retinue.oci import digest as digests
from retinue.oci.digest import Digest, Hash
from retinue.oci.stores import DigestMismatch
from retinue.registry.storage import direct, places
from retinue.registry.storage.blobstore import Kept, StorageFailed, UploadBusy, UploadLost
from retinue.registry.storage.direct import Writer
from retinue.registry.storage.hashes import RunningHashes


class Incoming:
    """One writer's view of a session. Every method holds the lock: a cancelled caller's call may
    still be running when the next one comes."""

    def __init__(
        self,
        root: Root,
        hashes: RunningHashes,
        session: str,
        algorithm: str,
        size: int | None,
        *,
        durable: bool,
    ) -> None:
        self.session = session
        self.algorithm = algorithm
        self._hash: Hash | None = digests.hasher(algorithm)
        self._hashes = hashes
        self._recorded: tuple[int, Digest | None] = 0, None
        self._size = size
        self._root = root
        self._name = places.upload_name(session)
        self._durable = durable
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._inode = 0
        self._writer: Writer | None = None
        self._kept: tuple[Digest, Kept] | None = None
        self._failed: str | None = None
        self.closed = False

    # -- opening

    def _begin(self) -> Writer:
        """Start with no bytes, whatever there was."""
        status = self._root.status(self._name)
        if status is not None and status.st_nlink > 1:
            self._root.unlink(self._name)  # a copy by now: never written to again
        return self._open(os.O_CREAT, 0)

    def resume(self, offset: int, reached: Digest | None) -> None:
        """Go on at `offset`, where the digest was `reached`, if that was recorded in this boot.

        Raises UploadLost when fewer bytes are there.
        """
        with self._lock:
            self._recorded = offset, reached
            self._hash = self._hashes.take(self.session, reached)
            status = self._root.status(self._name)
            if status is None or status.st_nlink > 1:
                self._find_copy(offset)
            elif status.st_size < offset:
                raise UploadLost(self.session, offset, status.st_size)
            else:
                self._open(0, offset)

    def _open(self, flags: int, offset: int) -> Writer:
        calls = self._root.calls
        try:
            fd = self._root.open(self._name, os.O_RDWR | flags)
        except FileNotFoundError as error:  # it was discarded meanwhile
            raise UploadLost(self.session, offset, None) from error
        try:
            status = self._claim(fd)
            if status.st_size != offset:
                calls.truncate(fd, offset)
        except BaseException:
            calls.close(fd)
            raise
        self._fd, self._inode = fd, status.st_ino
        self._writer = Writer(calls, fd, offset, size=self._size)
        return self._writer

    def _claim(self, fd: int) -> os.stat_result:
        try:
            self._root.calls.lock(fd)
        except BlockingIOError as error:
            raise UploadBusy(self.session) from error
        # Between opening and locking another writer may have kept the file: it is a copy now.
        opened, named = os.fstat(fd), self._root.status(self._name)
        if opened.st_nlink != 1 or named is None or named.st_ino != opened.st_ino:
            raise UploadBusy(self.session)
        return opened

    def _find_copy(self, offset: int) -> None:
        """The session was kept already, and whoever did it did not live to say so."""
        for location in places.copies_of(self._root, self.session):
            status = self._root.status(places.blob_name(location))
            if status is not None and status.st_size == offset:
                if self._durable:
                    self._root.sync_folder(places.folder_of(location))
                self._root.unlink(self._name)
                self._kept = places.digest_of(location), Kept(location, offset)
                return
        raise UploadLost(self.session, offset, None)

    # -- writing

    def update(self, parts: Sequence[bytes]) -> Digest | None:
        """Hash more bytes; the digest of all so far."""
        if self._hash is None:
            return None
        for part in parts:
            self._hash.update(part)
        return Digest(f"{self.algorithm}:{self._hash.hexdigest()}")

    def write(self, parts: Sequence[bytes]) -> None:
        with self._lock:
            self._append(self._usable(), parts)

    def _append(self, writer: Writer, parts: Sequence[bytes]) -> None:
        try:
            writer.append(parts)
        except OSError as error:
            self._failed = f"an earlier write failed ({error.strerror}); resume the upload"
            raise

    def _usable(self) -> Writer:
        if self._failed is not None:
            raise StorageFailed(f"write upload {self.session}", self._failed)
        if self._kept is not None:
            raise UploadLost(self.session, self._kept[1].size, None)
        if self.closed:
            raise StorageFailed(f"write upload {self.session}", "it is closed; resume the upload")
        return self._writer or self._begin()

    def fail(self, reason: str) -> None:
        """Nothing more may be written: the caller no longer knows how far it came."""
        self._failed = reason

    # -- keeping

    def keep(self, expected: Digest, last: Sequence[bytes] = ()) -> Kept:
        with self._lock:
            if self._kept is None or last:
                writer = self._usable()
                self.update(last)
                self._append(writer, last)
                actual = self._digest(writer, digests.algorithm(expected))
                if actual != expected:
                    raise DigestMismatch(expected, actual)
                self._sync(writer)
                self._kept = expected, self._place(expected, writer.offset)
                self._release()
            digest, kept = self._kept
        if digest != expected:
            raise DigestMismatch(expected, digest)
        return kept

    def _digest(self, writer: Writer, wanted: str) -> Digest:
        if self._hash is not None and self.algorithm == wanted:
            return Digest(f"{wanted}:{self._hash.hexdigest()}")
        offset, recorded = self._recorded
        if recorded and writer.offset == offset and digests.algorithm(recorded) == wanted:
            return recorded
        writer.finish()
        return self._read_again(wanted, writer.offset)

    def _read_again(self, algorithm: str, size: int) -> Digest:
        running = digests.hasher(algorithm)
        assert self._fd is not None
        at = 0
        for part in direct.read(self._root.calls, self._fd, size):
            running.update(part)
            at += len(part)
        if at < size:
            raise UploadLost(self.session, size, at)
        return Digest(f"{algorithm}:{running.hexdigest()}")

    def _sync(self, writer: Writer) -> None:
        assert self._fd is not None
        writer.finish()
        if not self._durable:
            return
        try:
            self._root.calls.sync(self._fd)
        except OSError:
            self._give_up()
            raise

    def _give_up(self) -> None:
        """After a failed fsync the kernel calls the lost pages clean, and the next fsync of this
        file would succeed: so neither this descriptor nor its bytes are used again."""
        self._failed = "an earlier fsync failed; start the upload again"
        self._root.unlink(self._name)

    def _place(self, digest: Digest, size: int) -> Kept:
        location = places.fresh(digest, self.session)
        name = places.blob_name(location)
        try:
            linked = self._root.link(self._name, name)
        except FileNotFoundError as error:
            raise UploadLost(self.session, size, None) from error
        if linked.st_ino != self._inode:
            # The session was discarded and begun anew while this file was open.
            self._root.unlink(name)
            raise UploadLost(self.session, size, None)
        if self._durable:
            self._sync_place(name, places.folder_of(location))
        self._root.unlink(self._name)
        return Kept(location, size)

    def _sync_place(self, name: str, folder: str) -> None:
        try:
            self._root.sync_folder(folder)
        except OSError:
            self._root.unlink(name)
            self._give_up()
            raise

    # -- letting go

    def close(self) -> None:
        """Who goes on with these bytes in this process goes on with their hash."""
        with self._lock:
            try:
                if self._writer is not None and self._failed is None:
                    self._writer.finish()
                    if self._hash is not None:
                        self._hashes.put(self.session, self._hash)
            finally:
                self._release()

    def _release(self) -> None:
        self.closed = True
        fd, self._fd, self._writer = self._fd, None, None
        if fd is not None:
            self._root.calls.close(fd)
