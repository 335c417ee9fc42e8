"""Verified bytes, in memory, by what identifies them. Never presence, never permission.

Presence is known for as long as nobody commits: `http/hot.py`.
"""

from collections import OrderedDict
from collections.abc import Hashable

from msgspec import Struct

from retinue.registry.metrics import CACHE_BYTES, CACHE_HITS, CACHE_MISSES, Metrics

OVERHEAD = 512
"""What one entry costs besides its bytes: keys, headers, links of the table."""


class Entry(Struct, frozen=True):
    """`headers` are those that always go with the bytes."""

    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


MAX_ASKED = 4096
"""Keys that were asked for once, and are remembered."""


class ByteCache:
    """Least recently used entries up to `limit` bytes. One event loop uses it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._asked: dict[Hashable, None] = {}

    def often(self, key: Hashable, size: int) -> bool:
        """Whether `size` bytes that may as well come from elsewhere are worth to be kept here:
        somebody asks for them again."""
        if size + OVERHEAD > self.limit // 4:
            return False
        if key in self._asked:
            return True
        self._asked[key] = None
        if len(self._asked) > MAX_ASKED:
            del self._asked[next(iter(self._asked))]
        return False

    def get(self, key: Hashable) -> Entry | None:
        found = self._entries.get(key)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return found

    def put(self, key: Hashable, value: Entry) -> None:
        """Keep a value; one that is larger than a quarter of the cache is not kept."""
        cost = len(value.body) + OVERHEAD
        if cost > self.limit // 4:
            return
        self.drop(key)
        self._entries[key] = value
        self.used += cost
        while self.used > self.limit:
            _, old = self._entries.popitem(last=False)
            self.used -= len(old.body) + OVERHEAD

    def drop(self, key: Hashable) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            self.used -= len(old.body) + OVERHEAD

    def __len__(self) -> int:
        return len(self._entries)

    def publish(self, metrics: Metrics) -> None:
        """Tell what happened since the last time."""
        metrics.add(CACHE_HITS, self.hits)
        metrics.add(CACHE_MISSES, self.misses)
        metrics.set(CACHE_BYTES, self.used)
        self.hits = self.misses = 0
