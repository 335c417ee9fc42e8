"""Which worker is started, kept, told to stop or killed: rules that are stepped, without any I/O.

Each worker has a place. One that is to follow it in its place starts beside it; the old one is
told to stop when the new one has said that it is ready, and never before.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

LONGEST_PAUSE = 30.0
"""Seconds between attempts to start a worker, at most."""
EARLY = 10.0
"""A worker that ends sooner than so many seconds after its start was no success."""
FIRST_TRIES = 5
"""How often the first worker of all is tried. A server that has served never gives up."""

_log = logging.getLogger("retinue.server")


class Child(Protocol):
    """A process that was started for a place."""

    @property
    def pid(self) -> int: ...
    def ready(self) -> bool:
        """Whether it has said that it serves."""
        ...

    def ended(self) -> bool: ...
    def terminate(self) -> None:
        """Ask it to end: what it has begun is finished first."""
        ...

    def kill(self) -> None: ...


C = TypeVar("C", bound=Child)


@dataclass(slots=True, eq=False)
class Life(Generic[C]):
    """A child and what is known of it. `version`: how often a renewal had been asked for when it
    was started; `deadline`: when it is killed, once it was told to stop."""

    child: C
    started: float
    version: int
    deadline: float | None = None


@dataclass(slots=True, eq=False)
class Place(Generic[C]):
    """Where one worker serves: it, the one that is to follow, and its predecessor, which still
    finishes what it began. `due`: no start before."""

    number: int
    serving: Life[C] | None = None
    starting: Life[C] | None = None
    leaving: Life[C] | None = None
    failures: int = 0
    due: float = 0.0

    def lives(self) -> Sequence[Life[C]]:
        return [life for life in (self.serving, self.starting, self.leaving) if life is not None]


def pause(failures: int) -> float:
    """Seconds until the next attempt, after so many failures in a row."""
    return min(LONGEST_PAUSE, 0.25 * 2.0**failures) if failures else 0.0


class Supervision(Generic[C]):
    """`start` makes a child for a place. `took_over` is told which child serves there from now on,
    `deserted` that none will, or none at once. `patience`: seconds that a child gets to
    end."""

    def __init__(
        self,
        count: int,
        start: Callable[[int], C],
        took_over: Callable[[int, C], None],
        deserted: Callable[[int], None],
        patience: float,
    ) -> None:
        self.places: list[Place[C]] = [Place(number) for number in range(count)]
        self._start = start
        self._took_over = took_over
        self._deserted = deserted
        self._patience = patience
        self._version = 0
        self._served = False
        self._end: float | None = None
        self._stopping = False

    def renew(self) -> None:
        """Every worker is to be followed by a new one, one place after the other."""
        self._version += 1

    def close(self, end: float) -> None:
        """No worker is started any more; all are told to stop when it is `end`, or was asked for
        before."""
        self._end = end if self._end is None else min(end, self._end)

    @property
    def failed(self) -> bool:
        """Whether there is no sense in going on: no worker could ever be started."""
        return not self._served and any(each.failures >= FIRST_TRIES for each in self.places)

    @property
    def over(self) -> bool:
        return self._end is not None and not self.lives()

    def lives(self) -> Sequence[Life[C]]:
        return [life for place in self.places for life in place.lives()]

    def step(self, now: float) -> float | None:
        """Do what has become due. Returns when to be called again, unless a child says or ends."""
        self._stopping = self._end is not None and self._end <= now
        for place in self.places:
            self._look(place, now)
            if self._stopping:
                self._deserted(place.number)
        for life in self.lives():
            if self._stopping or life.deadline is not None:
                self._dismiss(life, now)
        for place in self.places:
            if self._end is None and self._may_start(place, now):
                place.starting = Life(self._start(place.number), now, self._version)
        return min(self._times(now), default=None)

    def _look(self, place: Place[C], now: float) -> None:
        leaving, starting, serving = place.leaving, place.starting, place.serving
        if leaving is not None and leaving.child.ended():
            place.leaving = None
        if serving is not None and serving.child.ended():
            self._missed(place, serving, now)
        if starting is None:
            return
        if starting.child.ended():
            self._not_started(place, starting, now)
        elif starting.child.ready():
            self._follows(place, starting, now)

    def _missed(self, place: Place[C], life: Life[C], now: float) -> None:
        place.serving = None
        if self._end is not None:
            return
        place.failures = place.failures + 1 if now - life.started < EARLY else 0
        place.due = now + pause(place.failures)
        _log.error("worker %d ended unexpectedly; another one follows", life.child.pid)
        if place.failures:
            self._deserted(place.number)

    def _not_started(self, place: Place[C], life: Life[C], now: float) -> None:
        place.starting = None
        if place.serving is None:
            self._deserted(place.number)
        if self._end is not None:
            return
        place.failures += 1
        place.due = now + pause(place.failures)
        kept = "; the old one stays" if place.serving else ""
        _log.error(
            "worker %d could not start, the next attempt is in %g s%s",
            life.child.pid, pause(place.failures), kept,
        )  # fmt: skip

    def _follows(self, place: Place[C], life: Life[C], now: float) -> None:
        self._served = True
        old, place.serving, place.starting = place.serving, life, None
        self._took_over(place.number, life.child)
        if old is not None:
            place.leaving = old
            self._dismiss(old, now)

    def _dismiss(self, life: Life[C], now: float) -> None:
        if life.deadline is None:
            life.deadline = now + self._patience
            life.child.terminate()
        elif life.deadline <= now:
            _log.warning("worker %d did not end in time and is killed", life.child.pid)
            life.deadline = now + self._patience
            life.child.kill()

    def _may_start(self, place: Place[C], now: float) -> bool:
        if place.starting is not None or now < place.due:
            return False
        if place.serving is None:
            return True
        stale = place.serving.version < self._version
        return stale and place.leaving is None and not any(each.starting for each in self.places)

    def _times(self, now: float) -> Iterable[float]:
        yield from (life.deadline for life in self.lives() if life.deadline)
        if self._end is None:
            yield from (each.due for each in self.places if each.due > now)
        elif not self._stopping:
            yield self._end
