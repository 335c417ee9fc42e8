"""Whether anything was committed since: a counter that all processes of one catalog share."""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = 8


def _file(database: Path) -> Path:
    return database.with_name(f"{database.name}.generation")


def prepare(database: Path) -> None:
    """Make the counter's file, or leave it as it is. Called by who holds the turn at writing."""
    descriptor = os.open(_file(database), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size < SIZE:
            os.pwrite(descriptor, bytes(SIZE), 0)  # a hole would kill who finds the disk full
    finally:
        os.close(descriptor)


class Generation:
    """One number in a file mapped to memory. It only grows; while it is odd, somebody commits.

    A commit is visible to others at an unknown moment between its begin and its end, and the
    number is odd all that time. So what was read while it was one even number is what the catalog
    says for as long as it is that number. A writer that is killed leaves it odd, and nobody
    relies on it until the next commit has ended.

    An aligned store of 8 bytes is one store of the processor, in the order of the program
    on x86; elsewhere SQLite's own barriers lie between it and what others may see of a commit.
    """

    def __init__(self, database: Path) -> None:
        """Raises OSError, ValueError (it is too short) unless the file was prepared."""
        descriptor = os.open(_file(database), os.O_RDWR | os.O_CLOEXEC)
        try:
            self._cells = memoryview(mmap.mmap(descriptor, SIZE)).cast("Q")
        finally:
            os.close(descriptor)

    def now(self) -> int | None:
        """The number; None while somebody commits."""
        value = self._cells[0]
        return None if value & 1 else value

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around a COMMIT, by who holds the turn. After one that failed, nobody knows what
        became of it: it stays odd until one succeeds."""
        self._cells[0] |= 1
        yield
        self._cells[0] += 1
