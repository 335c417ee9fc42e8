"""Turns at writing, for threads and processes that share a folder: `flock` on files of their own."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileLock:
    """An exclusive lock between descriptors, so each thread needs an object of its own."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self) -> None:
        """Blocks."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def release(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    @contextmanager
    def tried(self) -> Iterator[bool]:
        """Whether it was free; it is held if so."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            self.release()

    def close(self) -> None:
        os.close(self._descriptor)


class Turn:
    """Who may write now, `<name>.lock`; who may next, `<name>.queue`.

    The kernel lets whoever releases a lock take it again before those who wait have woken. Waiting
    at the front of a queue stops that: a busy writer finds the front taken, and stands behind.
    """

    def __init__(self, database: Path) -> None:
        self._now = FileLock(database.with_name(f"{database.name}.lock"))
        self._next = FileLock(database.with_name(f"{database.name}.queue"))

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Blocks until it is the caller's turn."""
        self._next.acquire()
        try:
            self._now.acquire()
        finally:
            self._next.release()
        try:
            yield
        finally:
            self._now.release()

    def close(self) -> None:
        self._now.close()
        self._next.close()
