import os
import threading

import pytest

from retinue.registry.metrics import (
    ALL,
    CACHE_BYTES,
    PULLS,
    REQUESTS,
    SECONDS,
    UPKEEP_SECONDS,
    Metrics,
    Shared,
    exposition,
)


def value(text: str, start: str) -> float:
    (line,) = [line for line in text.splitlines() if line.startswith(start + " ")]
    return float(line.rpartition(" ")[2])


def claim(shared: Shared, *, alive: bool = True) -> Metrics:
    return shared.claim(threading.Lock(), lambda _: alive)


def test_counts_of_all_processes_add_up() -> None:
    shared = Shared(2)
    for amount in (2, 3):
        claim(shared).add(PULLS, amount)
    assert value(exposition(shared.totals()), "retinue_pulls_total") == 5


def test_a_process_in_the_place_of_a_dead_one_goes_on_counting_but_gauges_start_anew() -> None:
    shared = Shared(1)
    first = claim(shared)
    first.add(PULLS, 2)
    first.set(CACHE_BYTES, 100)
    second = claim(shared, alive=False)
    second.add(PULLS, 1)
    text = exposition(shared.totals())
    assert value(text, "retinue_pulls_total") == 3
    assert value(text, "retinue_cache_bytes") == 0


def test_slots_of_living_processes_are_not_taken() -> None:
    shared = Shared(1)
    claim(shared)
    with pytest.raises(RuntimeError):
        claim(shared)


def test_slots_are_seen_by_processes_that_were_forked() -> None:
    shared = Shared(2)
    child = os.fork()
    if child == 0:
        claim(shared).add(PULLS, 7)
        os._exit(0)
    os.waitpid(child, 0)
    assert value(exposition(shared.totals()), "retinue_pulls_total") == 7


def test_a_request_is_counted_timed_and_weighed() -> None:
    shared = Shared(1)
    metrics = claim(shared)
    metrics.begin()
    metrics.begin()
    metrics.end("manifests", "GET", 200, 0.003, 10)
    metrics.end("manifests", "BREW", 405, 99.0, 0)
    text = exposition(shared.totals())
    requests = f'{REQUESTS.name}{{resource="manifests",method='
    assert value(text, requests + '"GET",status="2xx"}') == 1
    assert value(text, requests + '"other",status="4xx"}') == 1
    buckets = 'retinue_request_seconds_bucket{resource="manifests",le='
    assert value(text, buckets + '"0.001"}') == 0
    assert value(text, buckets + '"0.005"}') == 1
    assert value(text, buckets + '"60"}') == 1
    assert value(text, buckets + '"+Inf"}') == 2
    assert value(text, 'retinue_request_seconds_count{resource="manifests"}') == 2
    assert value(text, 'retinue_request_seconds_sum{resource="manifests"}') == 99.003
    assert value(text, 'retinue_sent_bytes_total{resource="manifests"}') == 10
    assert value(text, "retinue_requests_in_flight") == 0


def test_seconds_of_counters_keep_their_fractions() -> None:
    shared = Shared(1)
    claim(shared).add(UPKEEP_SECONDS, 0.25, "gc")
    assert value(exposition(shared.totals()), 'retinue_upkeep_seconds_total{task="gc"}') == 0.25


def test_every_metric_has_help_and_a_type() -> None:
    text = exposition(Shared(1).totals())
    for metric in ALL:
        assert f"# HELP {metric.name} {metric.help}" in text
        assert f"# TYPE {metric.name} " in text
    assert sorted(SECONDS) == list(SECONDS)


def test_draining_is_seen_by_all() -> None:
    shared = Shared(1)
    assert not shared.draining
    shared.drain()
    assert shared.draining
