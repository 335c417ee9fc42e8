"""Every metric of the registry, declared once, counted in memory that its processes share.

Each thread that counts owns a slot: a row of 64-bit cells that nobody else writes. `/metrics` adds
up the slots. A process that starts in the place of another one goes on counting in its slots.
"""

import mmap
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager as Held
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

Labels: TypeAlias = tuple[str, ...]
Places: TypeAlias = tuple[int, int, int]
"""Cells of one kind of request: its number, its durations, its bytes."""

METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "other")
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
RESOURCES = (
    "manifests",
    "blobs",
    "uploads",
    "tags",
    "referrers",
    "catalog",
    "extensions",
    "operations",
    "other",
)
SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)


@dataclass(frozen=True, slots=True)
class Counter:
    """Only goes up. `labels`: each label's name and all its values. `scale` divides the cells."""

    name: str
    help: str
    labels: tuple[tuple[str, Labels], ...] = ()
    scale: int = 1
    kind: str = "counter"


@dataclass(frozen=True, slots=True)
class Gauge(Counter):
    """Goes up and down; starts at zero with its process."""

    kind: str = "gauge"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Seconds, in buckets."""

    name: str
    help: str
    labels: tuple[tuple[str, Labels], ...] = ()
    buckets: tuple[float, ...] = SECONDS


REQUESTS = Counter(
    "retinue_requests_total",
    "Requests answered.",
    (("resource", RESOURCES), ("method", METHODS), ("status", CLASSES)),
)
DURATION = Histogram(
    "retinue_request_seconds",
    "Time from a request's headers to the end of its answer.",
    (("resource", RESOURCES),),
)
SENT = Counter("retinue_sent_bytes_total", "Bytes of bodies sent.", (("resource", RESOURCES),))
IN_FLIGHT = Gauge("retinue_requests_in_flight", "Requests being answered.")
CACHE_HITS = Counter("retinue_cache_hits_total", "Reads answered with bytes from memory.")
CACHE_MISSES = Counter("retinue_cache_misses_total", "Reads that had to fetch their bytes.")
CACHE_BYTES = Gauge("retinue_cache_bytes", "Memory in use for verified bytes.")
CORRUPT = Counter("retinue_corrupt_total", "Reads refused because the bytes were not their digest.")
LOGINS = Counter("retinue_logins_total", "Credentials checked.", (("result", ("right", "wrong")),))
PULLS = Counter("retinue_pulls_total", "Manifest pulls recorded.")
PULLS_LOST = Counter("retinue_pulls_lost_total", "Manifest pulls that could not be recorded.")
UPKEEP_RUNS = Counter(
    "retinue_upkeep_runs_total",
    "Runs of background work.",
    (("task", ("gc", "scrub")), ("result", ("done", "failed"))),
)
UPKEEP_SECONDS = Counter(
    "retinue_upkeep_seconds_total",
    "Time spent in background work.",
    (("task", ("gc", "scrub")),),
    scale=1_000_000,
)

ALL: tuple[Counter | Histogram, ...] = (
    REQUESTS,
    DURATION,
    SENT,
    IN_FLIGHT,
    CACHE_HITS,
    CACHE_MISSES,
    CACHE_BYTES,
    CORRUPT,
    LOGINS,
    PULLS,
    PULLS_LOST,
    UPKEEP_RUNS,
    UPKEEP_SECONDS,
)


def _combinations(labels: Sequence[tuple[str, Labels]]) -> list[Labels]:
    return list(product(*(values for _, values in labels)))


def _layout() -> tuple[dict[str, dict[Labels, int]], int]:
    """Where each metric's cells are, and how many there are in all."""
    cells: dict[str, dict[Labels, int]] = {}
    at = 1  # cell 0 is the process that owns the slot
    for metric in ALL:
        width = len(metric.buckets) + 2 if isinstance(metric, Histogram) else 1
        cells[metric.name] = {}
        for combination in _combinations(metric.labels):
            cells[metric.name][combination] = at
            at += width
    return cells, at


CELLS, WIDTH = _layout()
_SUM = len(SECONDS) + 1


class Metrics:
    """The slot of this process."""

    def __init__(self, cells: "memoryview[int] | None" = None) -> None:
        """`cells`: WIDTH unsigned 64-bit integers; by default memory of its own."""
        self.cells = cells if cells is not None else memoryview(bytearray(WIDTH * 8)).cast("Q")
        self._requests = {
            (resource, method, int(status[0])): at
            for (resource, method, status), at in CELLS[REQUESTS.name].items()
        }
        self._durations = {key[0]: at for key, at in CELLS[DURATION.name].items()}
        self._sent = {key[0]: at for key, at in CELLS[SENT.name].items()}
        self._flying = CELLS[IN_FLIGHT.name][()]
        self._hits = CELLS[CACHE_HITS.name][()]

    def add(self, metric: Counter, amount: float = 1, *labels: str) -> None:
        self.cells[CELLS[metric.name][labels]] += int(amount * metric.scale)

    def set(self, metric: Gauge, value: int, *labels: str) -> None:
        self.cells[CELLS[metric.name][labels]] = value

    def begin(self) -> None:
        """A request came."""
        self.cells[self._flying] += 1

    def in_flight(self) -> int:
        """Requests that came and were not answered yet."""
        return self.cells[self._flying]

    def end(self, resource: str, method: str, status: int, seconds: float, sent: int) -> None:
        """It was answered. `resource` as routes name it. On the hot path: five additions."""
        self.cells[self._flying] -= 1
        self.count(self.places(resource, method, status), seconds, sent)

    def places(self, resource: str, method: str, status: int) -> Places:
        if resource not in self._durations:
            resource = _group(resource)
        at = self._requests.get((resource, method, status // 100))
        if at is None:
            at = self._requests[resource, "other", status // 100]
        return at, self._durations[resource], self._sent[resource]

    def count(self, places: Places, seconds: float, sent: int) -> None:
        """A request that nobody saw in flight."""
        cells = self.cells
        at, base, bytes_sent = places
        cells[at] += 1
        if sent:
            cells[bytes_sent] += sent
        cells[base + (bisect_left(SECONDS, seconds) if seconds > SECONDS[0] else 0)] += 1
        cells[base + _SUM] += int(seconds * 1_000_000)

    def hit(self) -> None:
        """An answer from memory."""
        self.cells[self._hits] += 1


def _group(resource: str) -> str:
    if resource.startswith("/"):
        return "operations"
    return "extensions" if resource == "ping" else "other"


class Shared:
    """Slots in memory that is inherited by forked processes."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._memory = mmap.mmap(-1, (1 + slots * WIDTH) * 8)
        cells = memoryview(self._memory).cast("Q")
        self._flags, self._cells = cells[:1], cells[1:]

    @property
    def draining(self) -> bool:
        """Whether the server is about to stop; every process sees it."""
        return bool(self._flags[0])

    def drain(self) -> None:
        self._flags[0] = 1

    def claim(self, lock: Held[object], alive: Callable[[int], bool]) -> Metrics:
        """A slot for this process: a free one, or that of a process which is gone."""
        with lock:
            for number in range(self.slots):
                cells = self._slot(number)
                if not cells[0] or not alive(cells[0]):
                    cells[0] = os.getpid()
                    for gauge in (metric for metric in ALL if isinstance(metric, Gauge)):
                        for at in CELLS[gauge.name].values():
                            cells[at] = 0
                    return Metrics(cells)
        raise RuntimeError(f"all {self.slots} slots are taken by living processes")

    def totals(self) -> Mapping[int, int]:
        """The sum of every cell over all slots."""
        slots = [self._slot(number) for number in range(self.slots)]
        return {at: sum(slot[at] for slot in slots) for at in range(1, WIDTH)}

    def _slot(self, number: int) -> "memoryview[int]":
        return self._cells[number * WIDTH : (number + 1) * WIDTH]


def exposition(totals: Mapping[int, int]) -> str:
    """The Prometheus text format, version 0.0.4."""
    return "".join(f"{line}\n" for metric in ALL for line in _lines(metric, totals))


def _lines(metric: Counter | Histogram, totals: Mapping[int, int]) -> Iterator[str]:
    kind = "histogram" if isinstance(metric, Histogram) else metric.kind
    yield f"# HELP {metric.name} {metric.help}"
    yield f"# TYPE {metric.name} {kind}"
    names = [name for name, _ in metric.labels]
    for values, at in CELLS[metric.name].items():
        labels = list(zip(names, values, strict=True))
        if isinstance(metric, Histogram):
            yield from _buckets(metric, labels, at, totals)
        elif totals[at] or not labels:
            value = totals[at] / metric.scale if metric.scale > 1 else totals[at]
            yield f"{metric.name}{_braces(labels)} {value}"


def _buckets(
    metric: Histogram, labels: list[tuple[str, str]], at: int, totals: Mapping[int, int]
) -> Iterator[str]:
    count = 0
    for number, bound in enumerate((*metric.buckets, float("inf"))):
        count += totals[at + number]
        text = "+Inf" if bound == float("inf") else f"{bound:g}"
        yield f"{metric.name}_bucket{_braces([*labels, ('le', text)])} {count}"
    yield f"{metric.name}_sum{_braces(labels)} {totals[at + len(metric.buckets) + 1] / 1e6}"
    yield f"{metric.name}_count{_braces(labels)} {count}"


def _braces(labels: Iterable[tuple[str, str]]) -> str:
    inner = ",".join(f'{name}="{value}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""
