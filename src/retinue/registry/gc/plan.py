"""What is dead: a pure function of who keeps whom, and of the roots.

Liveness is a walk upward with a visited set, never a count: an index may contain A and carry the
tag `sha256-<A>`, so that each keeps the other (storage rule 13). What no root is reached from is
dead, and dead manifests that keep one another go together: a client that pushes an image again
between two of them would have some of its papers back, and others not. What is too much for one
transaction goes in several, and the catalog says meanwhile that it is going (ADR 19).
"""

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel
from retinue.oci.walk import Walk, keepers

SECOND = 1_000_000
"""Times are in microseconds."""

BATCH = 64
"""Manifests that one transaction deletes, while pushes wait, of many groups or of a part of one."""

WHOLE = 200
"""Manifests of one group that go in one transaction. Of more, what keeps others goes first."""

MOST = 100_000
"""Manifests that one walk visits before it gives up, and spares what it was asked about. So no
group is larger."""


Cycle: TypeAlias = tuple[Digest, ...]
"""Manifests that keep each other in a circle, or one alone."""


class Terms(Struct, frozen=True):
    """How long what nothing keeps is kept, in microseconds.

    `grace` counts from the last upload, mount, HEAD or unlink; `paper_grace` is that of a paper
    without its subject; `untagged` is that of untagged manifests from push, pull and untagging, or
    None to keep them (storage rule 13).
    """

    grace: int = 24 * 3600 * SECOND
    paper_grace: int = 7 * 24 * 3600 * SECOND
    untagged: int | None = None


class Standing(Struct, frozen=True):
    """All that the liveness of one present manifest rests on.

    `parents` refer to it; `subjects` are what it is about, as far as that counts (a tag that was
    moved on says nothing any more). Both may name manifests that are not there. `paper`: it lives
    by its subjects alone; `elsewhere`: another repository has one of them, as where papers are kept
    apart from images. `going`: the deletion of a subject has begun, and takes this along. `waits` is
    when its candidate falls due, 0 without one.
    """

    digest: Digest
    tagged: bool = False
    locked: bool = False
    paper: bool = False
    touched: int = 0
    pushed: int = 0
    pulled: int = 0
    waits: int = 0
    parents: tuple[Digest, ...] = ()
    subjects: tuple[Digest, ...] = ()
    elsewhere: bool = False
    going: bool = False

    def keepers(self) -> tuple[Digest, ...]:
        return (*self.parents, *self.subjects)


class Root(Struct, frozen=True):
    """Why a manifest is a root, and until when (None: until somebody changes that)."""

    why: str
    until: int | None = None


class Plan(Struct, frozen=True):
    """What to delete, in order, and what becomes of the other candidates.

    `batches` are transactions. `later` are candidates to look at again, and when; `settled` are
    those that something keeps: whoever unlinks them makes them candidates again.
    """

    batches: tuple[tuple[Digest, ...], ...]
    later: Mapping[Digest, int]
    settled: tuple[Digest, ...]

    def kept(self, most: int) -> Iterator["Plan"]:
        """What becomes of those that stay, in parts for one transaction each."""
        later = tuple(self.later.items())
        for start in range(0, max(len(later), len(self.settled)), most):
            end = start + most
            yield Plan((), dict(later[start:end]), self.settled[start:end])


def ascend(
    digests: Collection[Digest], terms: Terms, now: int
) -> Generator[Sequence[Digest], Sequence[Standing], Mapping[Digest, Standing]]:
    """Walk upward from `digests`, no further than roots; yields frontiers, is sent who is there.

    Raises TooMany.
    """
    walk = Walk(digests, keepers, MOST)
    standings: dict[Digest, Standing] = {}
    while asked := walk.frontier():
        found = yield asked
        standings.update((one.digest, one) for one in found)
        ahead = [one for one in found if lasting_root(one, terms, now) is None]
        links = [link for one in ahead for link in _upward(one)]
        walk.learn(links, set(asked) - {one.digest for one in found})
    return standings


def _upward(standing: Standing) -> Iterable[Link]:
    for parent in standing.parents:
        yield Link(parent, standing.digest, Rel.REFERENCE, parent)
    for subject in standing.subjects:
        yield Link(standing.digest, subject, Rel.SUBJECT, standing.digest)


def lasting_root(standing: Standing, terms: Terms, now: int) -> Root | None:
    """Whether this is a root whatever its keepers are."""
    if standing.tagged:
        return Root("tagged")
    if standing.locked:
        return Root("locked")
    if not standing.paper and terms.untagged is None:
        return Root("untagged manifests are kept")
    until = max(_ends(standing, terms), standing.waits)
    return Root("young", until) if until > now else None


def _ends(standing: Standing, terms: Terms) -> int:
    ends = standing.touched + terms.grace
    if standing.paper or terms.untagged is None:
        return ends
    last = max(standing.touched, standing.pushed, standing.pulled)
    return max(ends, last + terms.untagged)


def root(
    standing: Standing, standings: Mapping[Digest, Standing], terms: Terms, now: int
) -> Root | None:
    """Whether this is a root, once it is known which of its subjects are present."""
    found = lasting_root(standing, terms, now)
    if found or not standing.paper or standing.going:
        return found
    if any(subject in standings for subject in standing.subjects):
        return None
    if standing.elsewhere:  # nobody tells us here when it goes: we look again
        return Root("paper whose subject is in another repository", now + terms.paper_grace)
    until = standing.touched + terms.paper_grace
    return Root("paper without its subject", until) if until > now else None


def make_plan(
    candidates: Collection[Digest], standings: Mapping[Digest, Standing], terms: Terms, now: int
) -> Plan:
    """Which of all that the walk met is dead, and what becomes of the candidates."""
    roots = {
        digest: found
        for digest, standing in standings.items()
        if (found := root(standing, standings, terms, now))
    }
    alive = _kept_by(roots, standings)
    dead = {digest: one for digest, one in standings.items() if digest not in alive}
    later = {
        digest: found.until
        for digest in candidates
        if (found := roots.get(digest)) and found.until is not None
    }
    settled = tuple(d for d in candidates if d not in dead and d not in later)
    return Plan(tuple(_batches(_groups(dead))), later, settled)


class HeldBlob(Struct, frozen=True):
    """A blob of a repository. `waits`: when its candidate falls due; `linked`: somebody has it."""

    digest: Digest
    touched: int
    waits: int
    linked: bool


def plan_blobs(
    candidates: Collection[Digest], held: Iterable[HeldBlob], terms: Terms, now: int
) -> Plan:
    """A blob goes when nothing links it and its grace has passed; one batch."""
    dead: list[Digest] = []
    later: dict[Digest, int] = {}
    for blob in held:
        until = max(blob.touched + terms.grace, blob.waits)
        if blob.linked:
            continue
        if until > now:
            later[blob.digest] = until
        else:
            dead.append(blob.digest)
    settled = tuple(d for d in candidates if d not in later and d not in dead)
    return Plan((tuple(dead),) if dead else (), later, settled)


def _kept_by(roots: Iterable[Digest], standings: Mapping[Digest, Standing]) -> set[Digest]:
    kept: dict[Digest, list[Digest]] = {}
    for digest, standing in standings.items():
        for keeper in standing.keepers():
            kept.setdefault(keeper, []).append(digest)
    alive = set(roots)
    todo = list(alive)
    while todo:
        for digest in kept.get(todo.pop(), ()):
            if digest not in alive:
                alive.add(digest)
                todo.append(digest)
    return alive


def _batches(groups: Iterable[Sequence[Cycle]]) -> Iterable[tuple[Digest, ...]]:
    """Small groups whole, as many as fit; of large ones as many cycles as fit."""
    small: list[Cycle] = []
    for group in groups:
        whole = tuple(digest for cycle in group for digest in cycle)
        if len(whole) > WHOLE:
            yield from _packed(group)
        else:
            small.append(whole)
    yield from _packed(small)


def _packed(parts: Iterable[Cycle]) -> Iterable[tuple[Digest, ...]]:
    batch: list[Digest] = []
    for part in parts:
        if batch and len(batch) + len(part) > BATCH:
            yield tuple(batch)
            batch = []
        batch.extend(part)
    if batch:
        yield tuple(batch)


def _groups(dead: Mapping[Digest, Standing]) -> Iterable[Sequence[Cycle]]:
    """Manifests that keep each other, however far apart, or that something absent kept; in each,
    keepers first, and last what keeps nothing."""
    above = {
        digest: [keeper for keeper in standing.keepers() if keeper in dead]
        for digest, standing in dead.items()
    }
    beside: dict[Digest, list[Digest]] = {digest: [] for digest in dead}
    for digest, standing in dead.items():
        for keeper in standing.keepers():
            beside[digest].append(keeper)
            beside.setdefault(keeper, []).append(digest)
    seen: set[Digest] = set()
    group = {
        digest: number
        for number, first in enumerate(dead)
        for digest in _finished(beside, first, seen)
    }
    keeping = {keeper for keepers in above.values() for keeper in keepers}
    groups: dict[int, list[Cycle]] = {}
    for cycle in sorted(_cycles(above), key=keeping.isdisjoint):
        groups.setdefault(group[cycle[0]], []).append(cycle)
    return groups.values()


def _cycles(above: Mapping[Digest, Sequence[Digest]]) -> Iterable[Cycle]:
    """Manifests that keep each other in a circle, together; keepers first (Kosaraju's algorithm)."""
    kept: dict[Digest, list[Digest]] = {digest: [] for digest in above}
    for digest, those in above.items():
        for keeper in those:
            kept[keeper].append(digest)
    seen: set[Digest] = set()
    cycles = [
        tuple(_finished(kept, digest, seen))
        for digest in reversed(_all_finished(above))
        if digest not in seen
    ]
    return reversed(cycles)


def _all_finished(graph: Mapping[Digest, Sequence[Digest]]) -> list[Digest]:
    seen: set[Digest] = set()
    found: list[Digest] = []
    for digest in graph:
        found.extend(_finished(graph, digest, seen))
    return found


def _finished(
    graph: Mapping[Digest, Sequence[Digest]], first: Digest, seen: set[Digest]
) -> Iterable[Digest]:
    """All that is reached from `first` and not `seen`, each after what it leads to."""
    if first in seen:
        return
    seen.add(first)
    path = [(first, iter(graph[first]))]
    while path:
        here, ahead = path[-1]
        for digest in ahead:
            if digest not in seen:
                seen.add(digest)
                path.append((digest, iter(graph[digest])))
                break
        else:
            path.pop()
            yield here
