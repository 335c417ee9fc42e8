"""What was copied into a backup, or out of one; and what could not be, and why."""

from dataclasses import dataclass, field

MOST_NAMED = 1_000
"""Damages that a report names; all are counted."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Content that the copy lacks. `location` is empty for bytes that are a row."""

    digest: str
    location: str
    why: str


@dataclass(slots=True)
class DataReport:
    """`files` and `bytes` that were copied. `missing`: their files were gone before; `damaged`:
    what was there is not what its digest says, or cannot be read. Neither is in the copy."""

    files: int = 0
    bytes: int = 0
    missing: int = 0
    damaged: int = 0
    lost: list[Lost] = field(default_factory=list)

    def copied(self, size: int) -> None:
        self.files += 1
        self.bytes += size

    def lacks(self, digest: str, location: str) -> None:
        self.missing += 1
        self._name(Lost(digest, location, "its file is not there"))

    def spoilt(self, digest: str, location: str, why: str) -> None:
        self.damaged += 1
        self._name(Lost(digest, location, why))

    def _name(self, lost: Lost) -> None:
        if len(self.lost) < MOST_NAMED:
            self.lost.append(lost)

    @property
    def whole(self) -> bool:
        return not self.missing and not self.damaged
