"""When to believe that content is lost, and not that storage is away (storage rule 18)."""

from collections.abc import Sequence

from retinue.errors import RetinueError
from retinue.registry.catalog.check import StoredObject

MOST = 5
"""Unsound files in a row that are still believed to be each file's own damage, and one more."""


class TooManyMisses(RetinueError):
    """One file after another is not there, or is not what it should be: look at the storage."""

    def __init__(self, missed: Sequence[StoredObject]) -> None:
        super().__init__(
            f"{len(missed)} stored files in a row are missing or damaged, the first is that of "
            f"{missed[0].digest}: stopped, and quarantined none of them. Look at the storage, then "
            "run retinue admin fsck --repair"
        )
        self.digests = tuple(one.digest for one in missed)


class Misses:
    """Unsound files wait here until a sound one shows that the storage is there."""

    def __init__(self) -> None:
        self._held: list[StoredObject] = []

    def __contains__(self, one: StoredObject) -> bool:
        return any(held.id == one.id for held in self._held)

    def __len__(self) -> int:
        return len(self._held)

    def missed(self, one: StoredObject) -> None:
        """Raises TooManyMisses."""
        self._held.append(one)
        if len(self._held) >= MOST:
            raise TooManyMisses(self._held)

    def confirmed(self) -> Sequence[StoredObject]:
        """Those that waited: they are lost indeed."""
        held, self._held = self._held, []
        return held
