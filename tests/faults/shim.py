"""System calls that fail on purpose, and a disk that forgets what was not synced."""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import product
from pathlib import Path
from typing import TypeAlias

from retinue.files import Bytes, Calls


class Fault(Enum):
    FULL = errno.ENOSPC
    BROKEN = errno.EIO
    SHORT = "reads and writes take only a part"


class Names(Enum):
    """Which names a power loss leaves in a folder; a file system may do each of these."""

    SYNCED = "as of the last sync of the folder"
    CURRENT = "as the program saw them"
    NEITHER = "removed names are gone, new ones too"
    BOTH = "removed names come back, new ones stay"


class Data(Enum):
    """What a power loss leaves in a file that was not synced since it was written."""

    SYNCED = "as of the last sync, else empty"
    ZEROS = "as of the last sync, else zeros of the full length"
    CURRENT = "as the program saw it"


Remains: TypeAlias = tuple[str, int, bytes]
"""A file after a power loss: its path, its inode (two names may share one), its bytes."""
World: TypeAlias = frozenset[Remains]

WORLDS = tuple(product(Names, Data))


def build(world: World, root: Path) -> None:
    """Make the files of a world under a new folder."""
    root.mkdir()
    first: dict[int, Path] = {}
    for name, inode, data in sorted(world):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if inode in first:
            os.link(first[inode], path)
        else:
            path.write_bytes(data)
        first.setdefault(inode, path)


@dataclass
class Disk:
    """What has reached the disk: bytes per file and names per folder, by inode."""

    root: Path
    files: dict[int, bytes] = field(default_factory=dict)
    folders: dict[int, dict[str, int]] = field(default_factory=dict)
    held: dict[int, int] = field(default_factory=dict)
    torn: set[int] = field(default_factory=set)
    forgotten: dict[int, set[tuple[str, int]]] = field(default_factory=dict)

    def sync(self, fd: int) -> None:
        status = os.fstat(fd)
        self.hold(fd)
        if stat.S_ISDIR(status.st_mode):
            lost = self.forgotten.get(status.st_ino, set())
            self.folders[status.st_ino] = dict(self._entries(fd).items() - lost)
        elif status.st_ino not in self.torn:
            self.files[status.st_ino] = _bytes(fd)

    def fail_sync(self, fd: int) -> None:
        """What Linux does: the unsynced pages count as clean, and later syncs succeed."""
        status = os.fstat(fd)
        self.hold(fd)
        if stat.S_ISDIR(status.st_mode):
            fresh = self._entries(fd).items() - self.folders.get(status.st_ino, {}).items()
            self.forgotten.setdefault(status.st_ino, set()).update(fresh)
        else:
            self.torn.add(status.st_ino)

    def sync_all(self) -> None:
        """A quiet minute: everything there is reaches the disk."""
        for path in (self.root, *self.root.rglob("*")):
            fd = os.open(path, os.O_RDONLY)
            self.sync(fd)
            os.close(fd)

    def hold(self, fd: int) -> None:
        """Keep an inode from being used again for something else."""
        inode = os.fstat(fd).st_ino
        if inode not in self.held:
            self.held[inode] = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)

    def release(self) -> None:
        for fd in self.held.values():
            os.close(fd)
        self.held.clear()

    def world(self, names: Names, data: Data) -> "World":
        """Every file that the machine finds after a power loss."""
        return frozenset(self._walk(self.root.stat().st_ino, "", names, data))

    def _walk(self, folder: int, prefix: str, names: Names, data: Data) -> "Iterator[Remains]":
        for name, inode in self._names(folder, names).items():
            fd = self.held[inode]
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                yield from self._walk(inode, f"{prefix}{name}/", names, data)
            else:
                yield prefix + name, inode, self._data(fd, inode, data)

    def _names(self, folder: int, names: Names) -> dict[str, int]:
        synced = self.folders.get(folder, {})
        current = self._entries(self.held[folder])
        match names:
            case Names.SYNCED:
                return synced
            case Names.CURRENT:
                return current
            case Names.NEITHER:
                # A rename onto a name leaves the old or the new file, never none.
                return {name: inode for name, inode in synced.items() if name in current}
            case Names.BOTH:
                return synced | current

    def _entries(self, folder: int) -> dict[str, int]:
        with os.scandir(folder) as found:
            entries = {entry.name: entry.inode() for entry in found}
        for name, inode in entries.items():
            if inode not in self.held:
                self.held[inode] = os.open(name, os.O_RDONLY, dir_fd=folder)
        return entries

    def _data(self, fd: int, inode: int, data: Data) -> bytes:
        current = _bytes(fd)
        if data is Data.CURRENT:
            return current
        missing = b"" if data is Data.SYNCED else bytes(len(current))
        return self.files.get(inode, missing)


def _bytes(fd: int) -> bytes:
    return Path(f"/proc/self/fd/{fd}").read_bytes()


class FaultyCalls(Calls):
    """Counts calls once armed, and lets the n-th fail. Syncs go to a `Disk` that remembers.

    `watch` is called before every call: what the disk holds then is what a power loss leaves.
    """

    def __init__(self, root: Path) -> None:
        self.disk = Disk(root)
        self.count = 0
        self.hit: str | None = None
        self.synced: list[int] = []
        self.opened: set[int] = set()
        """Descriptors that the program opened by these calls, and has not closed."""
        self._at: int | None = None
        self._fault = Fault.BROKEN
        self.watch: Callable[[], None] | None = None

    def arm(self, at: int, fault: Fault) -> None:
        """The call number `at` from now on, counted from 1, fails."""
        self.count, self.hit, self._at, self._fault = 0, None, at, fault

    def disarm(self) -> None:
        self._at = None

    def _due(self, call: str) -> bool:
        if self.watch is not None:
            self.watch()
        self.count += 1
        if self.count != self._at:
            return False
        self.hit = call
        return True

    def _step(self, call: str) -> None:
        if self._due(call) and self._fault is not Fault.SHORT:
            raise OSError(self._fault.value, os.strerror(self._fault.value))

    def open(self, name: str, flags: int, mode: int, folder: int | None) -> int:
        self._step("open")
        fd = super().open(name, flags, mode, folder)
        self.opened.add(fd)
        return fd

    def close(self, fd: int) -> None:
        """Fails for what was written to; the descriptor is gone all the same, as on Linux.

        To close what is not open would close what another thread opened meanwhile.
        """
        assert fd in self.opened, f"{fd} is not open"
        self.opened.remove(fd)
        written = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        super().close(fd)
        if written:
            self._step("close")

    def read(self, fd: int, size: int, offset: int) -> bytes:
        short = self._due("read")
        if short and self._fault is not Fault.SHORT:
            raise OSError(self._fault.value, os.strerror(self._fault.value))
        return super().read(fd, max(1, size // 2) if short and size else size, offset)

    def read_into(self, fd: int, buffer: memoryview, offset: int) -> int:
        short = self._due("read")
        if short and self._fault is not Fault.SHORT:
            raise OSError(self._fault.value, os.strerror(self._fault.value))
        return super().read_into(fd, buffer[: len(buffer) // 3] if short else buffer, offset)

    def write(self, fd: int, parts: Sequence[Bytes], offset: int) -> int:
        if not self._due("write"):
            return super().write(fd, parts, offset)
        if self._fault is not Fault.SHORT:
            raise OSError(self._fault.value, os.strerror(self._fault.value))
        return self._write_some(fd, b"".join(parts), offset)

    def _write_some(self, fd: int, data: bytes, offset: int) -> int:
        """Sectors are what O_DIRECT writes, and half a block is not what it takes next."""
        half = len(data) // 2 // 512 * 512 or len(data) // 2
        descriptor = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY)
        try:
            return os.pwrite(descriptor, data[: half or len(data)], offset)
        finally:
            os.close(descriptor)

    def truncate(self, fd: int, size: int) -> None:
        self._step("truncate")
        super().truncate(fd, size)

    def sync(self, fd: int) -> None:
        try:
            self._step("sync")
        except OSError:
            self.disk.fail_sync(fd)
            raise
        self.synced.append(os.fstat(fd).st_ino)
        self.disk.sync(fd)

    def link(self, source: str, source_folder: int, target: str, target_folder: int) -> None:
        self._step("link")
        super().link(source, source_folder, target, target_folder)

    def rename(self, source: str, target: str, folder: int) -> None:
        self._step("rename")
        super().rename(source, target, folder)

    def unlink(self, name: str, folder: int) -> None:
        self._step("unlink")
        super().unlink(name, folder)

    def make_folder(self, name: str, mode: int, folder: int | None) -> None:
        self._step("make_folder")
        super().make_folder(name, mode, folder)

    def set_direct(self, fd: int, direct: bool) -> None:
        self._step("set_direct")
        super().set_direct(fd, direct)

    def lock(self, fd: int) -> None:
        self._step("lock")
        super().lock(fd)
