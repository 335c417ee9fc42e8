"""Failed logins: buckets that leak."""

from collections import OrderedDict
from collections.abc import Callable

from retinue.errors import RetinueError

MAX_KEYS = 10_000


class TooManyFailures(RetinueError):
    """Too many wrong passwords came from here. `wait` in seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"too many failed logins; try again in {wait} seconds")
        self.wait = wait


class Failures:
    """Each bucket leaks `limit` per minute. `now`: seconds, monotonic."""

    def __init__(self, limit: int, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def refuse(self, key: str) -> None:
        """Raises TooManyFailures."""
        level = self.level(key)
        if level > self._limit - 1:
            raise TooManyFailures(int((level - self._limit + 1) * 60 / self._limit) + 1)

    def count(self, key: str) -> None:
        self._levels[key] = self.level(key) + 1, self._now()
        self._levels.move_to_end(key)
        while len(self._levels) > MAX_KEYS:
            self._levels.popitem(last=False)

    def level(self, key: str) -> float:
        level, since = self._levels.get(key, (0.0, 0.0))
        return max(0.0, level - (self._now() - since) * self._limit / 60)
