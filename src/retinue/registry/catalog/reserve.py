"""Room on the disk that only changes which give space back may use (storage rule 23)."""

import logging
import os
from pathlib import Path
from time import monotonic

MOST = 32 << 20
"""Bytes of a reserve. The WAL takes no more room once it can be moved into the database, which may
have to grow by as much for that: so the WAL is held to half of this."""
SHARE = 16
"""On a small disk, one part in so many."""
SLICES = 8
"""In so many parts it is spent."""
PAUSE = 5.0
"""Seconds between two looks whether there is room again."""

log = logging.getLogger(__name__)


class Reserve:
    """A file beside the database. It is cut when the disk is full; until there is room to make it
    whole again, all that would take space is refused. Changed by who holds the turn at writing.

    Where `prepare` never ran there is none, and nothing is refused.
    """

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.reserve")
        self._size = 0
        self._looked = -PAUSE
        self._reason = f"the disk of {database} is full: only what gives space back is written"

    def prepare(self) -> None:
        """Make it, or make it whole, if there is room."""
        try:
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            log.warning("%s cannot be made: %s", self._path, error)
        else:
            self._fill()

    def half(self) -> int | None:
        """Bytes that the WAL may have; None: there is no reserve that it could exceed."""
        return self._whole() // 2 if self._path.exists() else None

    def full(self) -> str | None:
        """Why only what gives space back may be written; None: there is room."""
        return None if self._missing() <= 0 else self._reason

    def replenish(self) -> None:
        """Make it whole if there is room by now; looks every few seconds at most."""
        if self._missing() > 0 and monotonic() - self._looked >= PAUSE:
            self._fill()

    def spend(self) -> bool:
        """Give some of it to the disk, if that is full. False: it is not, or nothing is left."""
        try:
            left = self._path.stat().st_size
            if left <= 0 or self._room() >= self._slice():
                return False
            left = max(0, left - self._slice())
            os.truncate(self._path, left)
        except OSError as error:
            log.warning("%s cannot be used: %s", self._path, error)
            return False
        log.error("%s; %d bytes of the reserve are left", self._reason, left)
        return True

    def _fill(self) -> None:
        self._looked = monotonic()
        missing = self._missing()
        if missing <= 0 or self._room() < missing + self._slice():
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            before = os.fstat(descriptor).st_size
            try:
                os.posix_fallocate(descriptor, 0, before + missing)
            except OSError as error:  # somebody else took the room
                os.truncate(descriptor, before)
                log.warning("%s cannot be made whole: %s", self._path, error)
                return
        finally:
            os.close(descriptor)
        if before:
            log.warning("%s is whole again: there is room on the disk", self._path)

    def _missing(self) -> int:
        try:
            return self._whole() - self._path.stat().st_size
        except OSError:
            return 0

    def _whole(self) -> int:
        if not self._size:
            disk = os.statvfs(self._path.parent)
            self._size = min(MOST, disk.f_blocks * disk.f_frsize // SHARE)
        return self._size

    def _slice(self) -> int:
        return max(1, self._whole() // SLICES)

    def _room(self) -> int:
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize
