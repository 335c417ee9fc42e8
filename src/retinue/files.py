"""Confined paths, and the only place that syncs, renames, links and unlinks.

A `Root` is an open folder. Names under it are relative, and every folder on the way is opened
without following symbolic links, so that no name and no planted link leads outside. Every system
call that changes or syncs something goes through one `Calls` object, which tests replace to let
the n-th call fail or to lose power there.
"""

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeAlias

from retinue.errors import RetinueError

Bytes: TypeAlias = bytes | memoryview

MAX_NAME = 4096
"""Longest relative name, in characters."""
MAX_VECTOR = 1024
"""Most parts in one vectored write (IOV_MAX on Linux)."""

_READ = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CAREFULLY = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""For regular files O_NONBLOCK means nothing; a pipe without a writer would be waited for."""
_WRONG_KIND = {
    errno.ELOOP: "is a symbolic link",
    errno.EISDIR: "is no regular file",
    errno.ENXIO: "is no regular file",  # a socket, or a pipe to write to
}


class UnsafePath(RetinueError):
    """A name that could lead out of the folder it is meant for."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"path {name[:160]!r} {reason}")
        self.name = name
        self.reason = reason


class Calls:
    """The system calls used here, one method each. All raise OSError."""

    def open(self, name: str, flags: int, mode: int, folder: int | None) -> int:
        return os.open(name, flags, mode, dir_fd=folder)

    def close(self, fd: int) -> None:
        os.close(fd)

    def read(self, fd: int, size: int, offset: int) -> bytes:
        return os.pread(fd, size, offset)

    def read_into(self, fd: int, buffer: memoryview, offset: int) -> int:
        """Fills the buffer, or less of it; returns how many bytes."""
        return os.preadv(fd, [buffer], offset)

    def write(self, fd: int, parts: Sequence[Bytes], offset: int) -> int:
        return os.pwritev(fd, parts, offset)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        os.fsync(fd)

    def link(self, source: str, source_folder: int, target: str, target_folder: int) -> None:
        os.link(
            source,
            target,
            src_dir_fd=source_folder,
            dst_dir_fd=target_folder,
            follow_symlinks=False,
        )

    def rename(self, source: str, target: str, folder: int) -> None:
        os.rename(source, target, src_dir_fd=folder, dst_dir_fd=folder)

    def unlink(self, name: str, folder: int) -> None:
        os.unlink(name, dir_fd=folder)

    def make_folder(self, name: str, mode: int, folder: int | None) -> None:
        os.mkdir(name, mode, dir_fd=folder)

    def set_direct(self, fd: int, direct: bool) -> None:
        """Switch O_DIRECT of an open file; EINVAL where the file system refuses.

        Of the flags that can be switched (fcntl(2)) our files have no other one.
        """
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_DIRECT if direct else 0)

    def lock(self, fd: int) -> None:
        """Lock an open file for this descriptor alone; BlockingIOError when another has it."""
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


CALLS = Calls()


def write_all(calls: Calls, fd: int, parts: Sequence[Bytes], offset: int) -> None:
    """Write all parts one after another from `offset` on; short writes are continued."""
    left = [memoryview(part) for part in parts if len(part)]
    while left:
        written = calls.write(fd, left[:MAX_VECTOR], offset)
        if written <= 0:
            raise OSError(errno.EIO, "the file system accepts no more bytes")
        offset += written
        left = _without(left, written)


def _without(parts: list[memoryview], size: int) -> list[memoryview]:
    for position, part in enumerate(parts):
        if size < len(part):
            return [part[size:], *parts[position + 1 :]]
        size -= len(part)
    return []


def read_all(calls: Calls, fd: int, size: int, offset: int = 0) -> bytes:
    """Up to `size` bytes from `offset` on: fewer only when the file ends."""
    parts: list[bytes] = []
    while size and (part := calls.read(fd, min(size, _READ), offset)):
        parts.append(part)
        size, offset = size - len(part), offset + len(part)
    return b"".join(parts)


def split(name: str) -> tuple[list[str], str]:
    """Folders and last component of a relative name; raises UnsafePath."""
    if not name or len(name) > MAX_NAME:
        raise UnsafePath(name, "is empty or too long")
    if "\0" in name:
        raise UnsafePath(name, "contains a NUL character")
    if name.startswith("/"):
        raise UnsafePath(name, "is absolute; a relative path is needed")
    *folders, last = name.split("/")
    if any(part in {"", ".", ".."} for part in (*folders, last)):
        raise UnsafePath(name, "has an empty, '.' or '..' component")
    return folders, last


class Root:
    """An open folder to which every name is confined.

    The path itself may lead through symbolic links (the operator chose it); nothing below may.
    Methods raise UnsafePath for names that lead out, and OSError for what the system says.
    Safe to use from several threads until `close`.
    """

    def __init__(self, path: Path, calls: Calls = CALLS) -> None:
        self.path = path.resolve()
        self.calls = calls
        self._fd = calls.open(str(self.path), _FOLDER, 0, None)
        self._held: dict[str, int] = {}
        self._opened = {str(self.path): os.fstat(self._fd)}

    def hold(self, folder: str) -> None:
        """Keep a folder directly below open until `close`: names in it cost fewer calls."""
        self._held[folder] = fd = self._enter(self._fd, folder, folder)
        self._opened[f"{self.path}/{folder}"] = os.fstat(fd)

    def in_place(self) -> bool:
        """Whether path and held folders are still those that were opened; they may have been
        moved or deleted since, and their descriptors would not tell."""
        try:
            return all(
                os.path.samestat(os.stat(path), opened)  # noqa: PTH116 -- before each copy is kept
                for path, opened in self._opened.items()
            )
        except (FileNotFoundError, NotADirectoryError):
            return False

    def close(self) -> None:
        for fd in (*self._held.values(), self._fd):
            self.calls.close(fd)
        self._held.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def within(self, name: str) -> Generator[tuple[int, str]]:
        """The open folder that holds `name`, and its last component."""
        folders, last = split(name)
        base = folder = self._held.get(folders[0], self._fd) if folders else self._fd
        try:
            for part in folders if base == self._fd else folders[1:]:
                outer, folder = folder, self._enter(folder, part, name)
                if outer != base:
                    self.calls.close(outer)
            yield folder, last
        finally:
            if folder != base:
                self.calls.close(folder)

    def _enter(self, folder: int, part: str, name: str) -> int:
        try:
            return self.calls.open(part, _FOLDER | os.O_NOFOLLOW, 0, folder)
        except OSError as error:
            # O_DIRECTORY with O_NOFOLLOW answers ENOTDIR for a link to a folder.
            if error.errno in {errno.ELOOP, errno.ENOTDIR} and _is_link(part, folder):
                raise UnsafePath(name, f"leads through the symbolic link {part!r}") from error
            raise

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        """Open a regular file, never through a symbolic link. The caller closes the descriptor.

        Whatever else has the name (a pipe, a device, a folder) is UnsafePath, and is not waited
        for.
        """
        with self.within(name) as (folder, last):
            try:
                fd = self.calls.open(last, flags | _CAREFULLY, mode, folder)
            except OSError as error:
                if error.errno in _WRONG_KIND:
                    raise UnsafePath(name, _WRONG_KIND[error.errno]) from error
                raise
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            self.calls.close(fd)
            raise UnsafePath(name, "is no regular file")
        return fd

    def status(self, name: str) -> os.stat_result | None:
        """What `lstat` says; None when there is nothing of that name."""
        try:
            with self.within(name) as (folder, last):
                return os.stat(last, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a file; raises OSError (EFBIG) when they are more than `limit`."""
        fd = self.open(name, os.O_RDONLY)
        try:
            data = read_all(self.calls, fd, limit + 1)
        finally:
            self.calls.close(fd)
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"the file has more than {limit} bytes", name)
        return data

    def entries(self, name: str) -> Iterator[tuple[str, os.stat_result]]:
        """The regular files of a folder in no order, read while iterating.

        What vanishes meanwhile is left out.
        """
        with self._folder(name) as folder, os.scandir(folder) as found:
            for entry in found:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # removed since the folder was read: it is not there
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield entry.name, status

    @contextmanager
    def _folder(self, name: str) -> Generator[int]:
        with self.within(name) as (outer, last):
            fd = self._enter(outer, last, name)
        try:
            yield fd
        finally:
            self.calls.close(fd)

    def make_folder(self, name: str, mode: int = 0o700) -> bool:
        """Make one folder; False when it exists. Not durable before `sync_folder` of its parent."""
        with self.within(name) as (folder, last):
            try:
                self.calls.make_folder(last, mode, folder)
            except FileExistsError:
                return False
        return True

    def sync_folder(self, name: str = "") -> None:
        """Make the entries of a folder durable; "" is the root itself."""
        if not name:
            self.calls.sync(self._fd)
            return
        with self._folder(name) as folder:
            self.calls.sync(folder)

    def link(self, source: str, target: str) -> os.stat_result:
        """A second name for a file; raises FileExistsError, and never replaces anything.

        Returns what the new name is: whoever may write the folder could have changed the old one.
        """
        with self.within(source) as (from_folder, old), self.within(target) as (to_folder, new):
            self.calls.link(old, from_folder, new, to_folder)
            return os.stat(new, dir_fd=to_folder, follow_symlinks=False)

    def link_into(self, target: "Root", name: str) -> None:
        """The same name for a file in another folder; raises FileExistsError, OSError (EXDEV)."""
        with self.within(name) as (here, old), target.within(name) as (there, new):
            self.calls.link(old, here, new, there)

    def unlink(self, name: str) -> bool:
        """Remove a name; False when there is none."""
        try:
            with self.within(name) as (folder, last):
                self.calls.unlink(last, folder)
        except FileNotFoundError:
            return False
        return True

    def write_atomically(self, name: str, data: Bytes, mode: int = 0o600) -> None:
        """Replace or make a file: whoever reads, or loses power, has all of the old or the new."""
        with self.within(name) as (folder, last):
            passing = f".{secrets.token_hex(8)}.tmp"
            try:
                self._write_new(folder, passing, data, mode)
                self.calls.rename(passing, last, folder)
            except OSError:
                self._drop(folder, passing)
                raise
            self.calls.sync(folder)

    def _write_new(self, folder: int, name: str, data: Bytes, mode: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = self.calls.open(name, flags, mode, folder)
        try:
            write_all(self.calls, fd, [data], 0)
            self.calls.sync(fd)
        finally:
            self.calls.close(fd)

    def _drop(self, folder: int, name: str) -> None:
        try:
            self.calls.unlink(name, folder)
        except FileNotFoundError:  # it was never made
            return


def _is_link(name: str, folder: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def write_atomically(path: Path, data: Bytes, mode: int = 0o600, *, calls: Calls = CALLS) -> None:
    """`Root.write_atomically` for a path that the user named."""
    with Root(path.parent, calls) as root:
        root.write_atomically(path.name, data, mode)


def fsync_folder(path: Path, *, calls: Calls = CALLS) -> None:
    """Make the entries of a folder durable."""
    with Root(path, calls) as root:
        root.sync_folder()


def make_folders(path: Path, mode: int = 0o700, *, calls: Calls = CALLS) -> None:
    """Make a folder and those above it, durably; existing ones are left as they are."""
    for folder in (*reversed(path.absolute().parents), path.absolute()):
        if folder.is_dir():
            continue
        with Root(folder.parent, calls) as root:
            if root.make_folder(folder.name, mode):
                root.sync_folder()
