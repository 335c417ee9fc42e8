"""Pulls, counted in memory and written in batches (storage rule 17: ten seconds may be lost)."""

from collections.abc import Sequence
from threading import Lock

from msgspec import Struct

MAX_KEPT = 100_000
"""Manifests whose pulls wait to be written; more are dropped, and counted as lost."""


class Pulled(Struct, frozen=True):
    """Pulls of one manifest since the last time. `digest` as the catalog keeps it."""

    repository: int
    digest: bytes
    count: int
    last: int


class Pulls:
    """Any thread records and takes."""

    def __init__(self) -> None:
        self._pulled: dict[tuple[int, bytes], list[int]] = {}
        self.lost = 0
        self._lock = Lock()

    def record(self, repository: int, digest: bytes, now: int) -> None:
        with self._lock:
            known = self._pulled.get((repository, digest))
            if known is not None:
                known[0] += 1
                known[1] = max(known[1], now)
            elif len(self._pulled) < MAX_KEPT:
                self._pulled[repository, digest] = [1, now]
            else:
                self.lost += 1

    def take(self) -> Sequence[Pulled]:
        """Everything recorded so far, ordered by key; recording starts anew."""
        with self._lock:
            taken, self._pulled = self._pulled, {}
        return [Pulled(*key, *taken[key]) for key in sorted(taken)]

    def give_back(self, pulled: Sequence[Pulled]) -> None:
        """What could not be written waits for the next time."""
        with self._lock:
            for each in pulled:
                known = self._pulled.setdefault((each.repository, each.digest), [0, 0])
                known[0] += each.count
                known[1] = max(known[1], each.last)

    def forget_lost(self) -> int:
        """How many were lost since the last time."""
        with self._lock:
            lost, self.lost = self.lost, 0
        return lost

    def __len__(self) -> int:
        return len(self._pulled)
