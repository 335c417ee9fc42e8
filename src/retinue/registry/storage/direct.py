"""Appending to a file past the page cache, and reading it again.

Pushes of a megabyte and more are bound by `write` into fresh page cache, not by the disk; with
O_DIRECT out of an aligned buffer the kernel copies nothing (storage rule 8). O_DIRECT wants
memory, offset and length aligned, so the last block is padded with zeros; it is written again
when more comes, and `finish` cuts the padding off. Figures: docs/design/blobs.md.
"""

import errno
import mmap
import threading
from collections.abc import Iterator, Sequence

from retinue.files import Calls, read_all, write_all

BLOCK = 4096
"""Alignment that every Linux file system with O_DIRECT accepts, in bytes."""
SPAN = 1 << 20
"""Size of a buffer, in bytes. One per thread: that bounds them, and nobody waits for one."""
DIRECT_FROM = 256 * 1024
"""Smaller files go through the page cache: they are read again soon, and cost one call."""

_local = threading.local()


def _buffer() -> memoryview:
    found: memoryview | None = getattr(_local, "buffer", None)
    if found is None:
        found = _local.buffer = memoryview(mmap.mmap(-1, SPAN))
    return found


_REFUSALS = {errno.EINVAL, errno.EOPNOTSUPP}
"""What a file system answers that knows no O_DIRECT, or wants other alignments."""


def read(calls: Calls, fd: int, size: int) -> Iterator[memoryview]:
    """The first `size` bytes of a file, each part valid until the next one; fewer where it ends.

    What was written past the page cache is not in it, and need not get there to be read once: fresh
    pages cost more than the hash of what they hold.
    """
    buffer, at = _buffer(), 0
    direct = size >= DIRECT_FROM and _switched(calls, fd)
    try:
        while at < size:
            try:
                got = calls.read_into(fd, buffer, at)
            except OSError as error:
                if not direct or error.errno not in _REFUSALS:
                    raise
                direct = False
                calls.set_direct(fd, False)
                continue
            if not got:
                return
            yield buffer[: min(got, size - at)]
            at += got
    finally:
        if direct:
            calls.set_direct(fd, False)


def _switched(calls: Calls, fd: int) -> bool:
    """Whether the file is read past the page cache from here on."""
    try:
        calls.set_direct(fd, True)
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        return False
    return True


class Writer:
    """Appends to one open file from `offset` on. One thread at a time.

    O_DIRECT is used once `size` (what is to come, if known) or what was appended reaches
    DIRECT_FROM. After an OSError the bytes past the last good `offset` are undefined.
    """

    def __init__(self, calls: Calls, fd: int, offset: int, *, size: int | None = None) -> None:
        self._calls = calls
        self._fd = fd
        self._wanted = True
        self._large = size is not None and size >= DIRECT_FROM
        self._direct = False
        self._tail = b""  # what the last block holds of the file
        self._padded = False
        self.offset = offset

    def append(self, parts: Sequence[bytes]) -> None:
        size = sum(map(len, parts))
        if not size:
            return
        if self._wanted and (self._large or self.offset + size >= DIRECT_FROM):
            self._start()
        if self._direct:
            self._append_direct(parts)
        else:
            write_all(self._calls, self._fd, parts, self.offset)
        self.offset += size

    def finish(self) -> None:
        """Cut the padding; from here on the file is read and written the usual way."""
        if self._direct:
            self._stop()
        if self._padded:
            self._calls.truncate(self._fd, self.offset)
            self._padded = False

    def _start(self) -> None:
        if self._direct:
            return
        begun = self.offset % BLOCK
        tail = read_all(self._calls, self._fd, begun, self.offset - begun)
        if len(tail) != begun:
            raise OSError(errno.EIO, "the end of the file could not be read back")
        try:
            self._calls.set_direct(self._fd, True)
        except OSError as error:
            self._refused(error)
        else:
            self._direct, self._tail = True, tail

    def _stop(self) -> None:
        self._calls.set_direct(self._fd, False)
        self._direct = False

    def _refused(self, error: OSError) -> None:
        """The file system knows no O_DIRECT (or other alignments): do without."""
        if error.errno not in _REFUSALS:
            raise error
        self._wanted = False

    def _append_direct(self, parts: Sequence[bytes]) -> None:
        buffer = _buffer()
        filled = len(self._tail)
        buffer[:filled] = self._tail
        at = self.offset - filled
        for part in parts:
            view, done = memoryview(part), 0
            while done < len(part):
                taken = min(len(part) - done, SPAN - filled)
                buffer[filled : filled + taken] = view[done : done + taken]
                done += taken
                filled += taken
                if filled == SPAN:
                    self._write(buffer, at)
                    at, filled = at + SPAN, 0
        self._write_last(buffer, filled, at)

    def _write_last(self, buffer: memoryview, filled: int, at: int) -> None:
        whole = filled // BLOCK * BLOCK
        padded = whole + BLOCK if filled > whole else whole
        buffer[filled:padded] = bytes(padded - filled)
        self._padded = padded > filled
        self._write(buffer[:padded], at)
        self._tail = bytes(buffer[whole:filled])

    def _write(self, data: memoryview, at: int) -> None:
        """Write aligned bytes; what O_DIRECT does not take goes through the page cache."""
        while data and self._direct:
            try:
                written = self._calls.write(self._fd, [data], at)
            except OSError as error:
                self._refused(error)
                written = 0
            taken = written // BLOCK * BLOCK
            if not taken:
                self._stop()
            data, at = data[taken:], at + taken
        write_all(self._calls, self._fd, [data], at)
