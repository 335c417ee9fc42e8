"""The transactions of collection: each looks again before it deletes ("Collection" 6 to 10).

Generators, so that tests can step another change between any two statements.
"""

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel
from retinue.registry.catalog import (
    candidates,
    collect,
    deletions,
    links,
    locks,
    manifests,
    objects,
    papers,
    queue,
    tags,
    trash,
)
from retinue.registry.catalog import repositories as repos
from retinue.registry.catalog.db import Change
from retinue.registry.catalog.trash import Unheld
from retinue.registry.gc.plan import (
    HeldBlob,
    Plan,
    Standing,
    Terms,
    ascend,
    make_plan,
    plan_blobs,
)
from retinue.registry.gc.standing import stand

ORPHANS = 100
"""Papers whose grace starts in the transaction that deletes their subject."""


def plan_manifests(
    repository: int, wanted: Collection[Digest], terms: Terms, now: int
) -> Change[Plan]:
    """What is dead among `wanted`, all that keeps them, and all of that group whose time has come
    as well, for it goes whole. Raises TooMany."""
    asked = set(wanted)
    while True:  # each round asks about more, up to what one walk may visit
        standings = yield from climb(repository, sorted(asked), terms, now)
        plan = make_plan(sorted(asked), standings, terms, now)
        dead = {digest for batch in plan.batches for digest in batch}
        kept_by = {keeper for digest in dead for keeper in standings[digest].keepers()}
        more = (yield from queue.below(repository, dead | kept_by, now)) - standings.keys()
        if not more:
            return plan
        asked |= more


def climb(
    repository: int, wanted: Collection[Digest], terms: Terms, now: int
) -> Change[Mapping[Digest, Standing]]:
    walk = ascend(wanted, terms, now)
    try:
        asked = next(walk)
        while True:
            asked = walk.send((yield from stand(repository, asked)))
    except StopIteration as stop:
        found: Mapping[Digest, Standing] = stop.value
        return found


def blob_plan(repository: int, wanted: Collection[Digest], terms: Terms, now: int) -> Change[Plan]:
    found = yield from collect.blobs(repository, wanted)
    held = (HeldBlob(b.digest, b.touched, b.waits, b.linked) for b in found)
    return plan_blobs(wanted, held, terms, now)


def delete_manifests(
    repository: int, batch: Sequence[Digest], terms: Terms, now: int, spare: Collection[Digest] = ()
) -> Change[tuple[Digest, ...]]:
    """Delete what is still dead of a planned batch; returns it.

    Nothing goes when any of it is kept by something that the plan did not know. `spare`: members
    of later batches, whose grace does not start anew; until they are gone too, no list has them.
    """
    yield from locks.exclusive(repository)
    if (yield from collect.other_version(repository)) is not None:
        return ()
    standings = yield from climb(repository, batch, terms, now)
    again = make_plan(batch, standings, terms, now)
    dead = {digest for cycle in again.batches for digest in cycle}
    if not dead or not dead <= set(batch):
        return ()
    gone = tuple(digest for digest in batch if digest in dead)
    yield from _drop(repository, gone, set(spare) | dead, terms, now)
    return gone


def _drop(
    repository: int, gone: Sequence[Digest], spare: Collection[Digest], terms: Terms, now: int
) -> Change[None]:
    names = yield from tags.drop_of(repository, gone)
    stated = yield from links.drop_witnesses(repository, [*gone, *names])
    stated += yield from collect.drop_sources(repository, gone)
    yield from manifests.drop(repository, gone)
    pairs = {(link.source, link.target) for link in stated if link.rel is Rel.SUBJECT}
    yield from papers.withdraw(repository, pairs)
    about = {subject for _, subject in pairs}
    left = yield from _left(repository, set(gone), about, spare)
    yield from deletions.begin(repository, left.subjects & set(gone), now - terms.grace)
    yield from deletions.begin(repository, left.subjects - set(gone), now - terms.paper_grace)
    yield from _release(repository, stated, left.orphans, spare, terms, now)
    yield from candidates.enqueue(
        (candidates.NOWHERE, candidates.OBJECT, digest, now) for digest in gone
    )
    yield from queue.drop(repository, candidates.MANIFEST, gone, now)
    if pairs or left.subjects:
        yield from repos.papers_changed(repository)


class Left(Struct, frozen=True):
    """Papers of what went. `orphans` wait from now on; those of `subjects` go in steps (ADR 19):
    some are in later batches, or there are very many."""

    orphans: frozenset[Digest]
    subjects: frozenset[Digest]


def _left(
    repository: int, gone: set[Digest], about: Collection[Digest], spare: Collection[Digest]
) -> Change[Left]:
    """`about`: subjects of what went; of those that are not there all papers go, or none."""
    absent = set(about) - set((yield from manifests.present(repository, about)))
    left = yield from deletions.left(repository, gone | absent, ORPHANS + 1)
    cut = {subject for paper, subject in left if paper in spare}
    if len(left) > ORPHANS:
        cut = yield from deletions.with_papers(repository, gone | absent)
    orphans = (paper for paper, subject in left if subject in gone - cut)
    return Left(frozenset(orphans), frozenset(cut))


def _release(
    repository: int,
    stated: Sequence[Link],
    orphans: Collection[Digest],
    spare: Collection[Digest],
    terms: Terms,
    now: int,
) -> Change[None]:
    """The grace of what lost its keeper starts now (storage rule 13)."""
    parts = {link.target for link in stated if link.rel is not Rel.SUBJECT}
    kept = (parts | {link.source for link in stated if link.rel is Rel.SUBJECT}) - set(spare)
    yield from manifests.touch(repository, kept | set(orphans), now)
    yield from objects.touch_blobs(repository, parts, now)
    due = now + terms.grace
    yield from candidates.enqueue(
        [
            *((repository, candidates.MANIFEST, digest, due) for digest in kept),
            *((repository, candidates.BLOB, digest, due) for digest in parts),
            *(
                (repository, candidates.MANIFEST, digest, now + terms.paper_grace)
                for digest in orphans
            ),
        ]
    )


def delete_blobs(
    repository: int, wanted: Collection[Digest], terms: Terms, now: int
) -> Change[tuple[Digest, ...]]:
    """Let go of those blobs that nothing links and nobody used lately; returns them."""
    yield from locks.exclusive(repository)
    if (yield from collect.other_version(repository)) is not None:
        return ()
    plan = yield from blob_plan(repository, wanted, terms, now)
    gone = tuple(digest for batch in plan.batches for digest in batch)
    if gone:
        yield from collect.drop_blobs(repository, gone, now)
    yield from settle(repository, candidates.BLOB, plan, now)
    yield from queue.drop(repository, candidates.BLOB, gone, now)
    return gone


def settle(repository: int, kind: int, plan: Plan, now: int) -> Change[None]:
    """Candidates that live: the queue holds them until their time, or no longer."""
    yield from queue.drop(repository, kind, plan.settled, now)
    yield from queue.postpone(repository, kind, plan.later)


def delete_objects(wanted: Collection[Digest], now: int, delay: int) -> Change[list[Unheld]]:
    """Delete objects that nothing holds; their files are trash until `delay` has passed."""
    gone = yield from trash.drop_unheld(wanted, now + delay)
    yield from queue.drop(candidates.NOWHERE, candidates.OBJECT, wanted, now)
    return gone
