"""What is kept in memory: verified bytes, and pulls that wait to be written."""

from retinue.registry.content import pulls
from retinue.registry.content.cache import MAX_ASKED, OVERHEAD, ByteCache, Entry
from retinue.registry.content.pulls import Pulled, Pulls
from retinue.registry.metrics import CACHE_BYTES, CACHE_HITS, CACHE_MISSES, CELLS, Metrics


def test_the_least_recently_used_goes_first() -> None:
    cache = ByteCache(4 * (100 + OVERHEAD))
    for name in "abcd":
        cache.put(name, Entry(bytes(100)))
    cache.get("a")
    cache.put("e", Entry(bytes(100)))
    assert [name for name in "abcde" if cache.get(name)] == ["a", "c", "d", "e"]


def test_memory_is_bounded_and_counted_exactly() -> None:
    cache = ByteCache(10_000)
    for number in range(1000):
        cache.put(number, Entry(bytes(number % 500)))
        assert cache.used <= cache.limit
    for number in range(1000):
        cache.drop(number)
    assert (cache.used, len(cache)) == (0, 0)


def test_replacing_an_entry_counts_it_once() -> None:
    cache = ByteCache(10_000)
    cache.put("a", Entry(bytes(1000)))
    cache.put("a", Entry(bytes(10)))
    assert cache.used == 10 + OVERHEAD


def test_what_may_come_from_elsewhere_is_kept_when_it_is_asked_for_again() -> None:
    cache = ByteCache(10_000)
    assert [cache.often("a", 100) for _ in range(3)] == [False, True, True]
    assert [cache.often("large", 5_000) for _ in range(3)] == [False, False, False]
    for number in range(MAX_ASKED):
        cache.often(number, 100)
    assert not cache.often("a", 100)


def test_one_large_entry_does_not_push_out_all_others() -> None:
    cache = ByteCache(10_000)
    cache.put("a", Entry(b"x"))
    cache.put("large", Entry(bytes(5_000)))
    assert cache.get("large") is None
    assert cache.get("a") is not None


def test_hits_and_misses_are_counted() -> None:
    cache = ByteCache(10_000)
    cache.put("a", Entry(b"x"))
    cache.get("a")
    cache.get("b")
    assert (cache.hits, cache.misses) == (1, 1)


def test_what_happened_is_told_once() -> None:
    cache, metrics = ByteCache(10_000), Metrics()
    cache.put("a", Entry(b"x"))
    for name in "aab":
        cache.get(name)
    for _ in range(2):
        cache.publish(metrics)
    told = [metrics.cells[CELLS[each.name][()]] for each in (CACHE_HITS, CACHE_MISSES, CACHE_BYTES)]
    assert told == [2, 1, cache.used]


def test_pulls_add_up_until_they_are_taken() -> None:
    some = Pulls()
    for now in (5, 7, 6):
        some.record(1, b"d", now)
    some.record(2, b"d", 1)
    assert some.take() == [Pulled(1, b"d", 3, 7), Pulled(2, b"d", 1, 1)]
    assert some.take() == []


def test_pulls_that_could_not_be_written_wait() -> None:
    some = Pulls()
    some.record(1, b"d", 5)
    taken = some.take()
    some.record(1, b"d", 4)
    some.give_back(taken)
    assert some.take() == [Pulled(1, b"d", 2, 5)]


def test_pulls_beyond_the_bound_are_counted_as_lost(monkeypatch: object) -> None:
    some = Pulls()
    for number in range(pulls.MAX_KEPT + 3):
        some.record(number, b"d", 1)
    some.record(0, b"d", 2)
    assert (len(some), some.lost) == (pulls.MAX_KEPT, 3)
