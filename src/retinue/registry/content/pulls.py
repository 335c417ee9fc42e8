"""Pulls, counted in memory and written in batches (storage rule 17: ten seconds may be lost)."""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_KEPT = 100_000
"""Manifests whose pulls wait to be written; more are dropped, and counted as lost."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """Pulls of one manifest since the last time. `digest` as the catalog keeps it."""

    repository: int
    digest: bytes
    count: int
    last: int


class Pulls:
    """One event loop records and takes."""

    def __init__(self) -> None:
        self._counts: dict[tuple[int, bytes], int] = {}
        self._last: dict[tuple[int, bytes], int] = {}
        self.lost = 0

    def record(self, repository: int, digest: bytes, now: int) -> None:
        key = (repository, digest)
        count = self._counts.get(key)
        if count is None and len(self._counts) >= MAX_KEPT:
            self.lost += 1
            return
        self._counts[key] = 1 if count is None else count + 1
        self._last[key] = now

    def take(self) -> Sequence[Pulled]:
        """Everything recorded so far, ordered by key; recording starts anew."""
        counts, last = self._counts, self._last
        self._counts, self._last = {}, {}
        return [Pulled(r, d, counts[r, d], last[r, d]) for r, d in sorted(counts)]

    def give_back(self, pulled: Sequence[Pulled]) -> None:
        """What could not be written waits for the next time."""
        for each in pulled:
            key = (each.repository, each.digest)
            self._counts[key] = self._counts.get(key, 0) + each.count
            self._last[key] = max(self._last.get(key, 0), each.last)

    def __len__(self) -> int:
        return len(self._counts)
