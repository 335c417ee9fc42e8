"""Deleting manifests and blobs (storage rule 12). Tags: see tags.py."""

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel
from retinue.oci.tags import ImpliedTag, fallback_tag, implied
from retinue.registry.catalog import (
    candidates,
    collect,
    deletions,
    links,
    locks,
    manifests,
    objects,
    tags,
)
from retinue.registry.catalog import repositories as repos
from retinue.registry.catalog.db import Catalog, Change, Freeing
from retinue.registry.catalog.deletions import Deletion
from retinue.registry.catalog.papers import Pair
from retinue.registry.content.errors import BlobUnknown, Locked, ManifestUnknown, StillLinked
from retinue.registry.content.tags import forget_papers
from retinue.registry.content.times import Times

AT_ONCE = 200
"""Papers that one transaction deletes with their subject, while pushes wait."""
STEP = 100
"""Papers that one transaction of a longer deletion looks at."""


class Family(Struct, frozen=True):
    """A manifest and its present papers, and theirs.

    `pinned` have a tag of their own or are locked. `parents` refer to a member, `subjects` are
    the present manifests that a member is about, `papers` are about a member.
    """

    root: Digest
    pinned: frozenset[Digest]
    parents: Mapping[Digest, frozenset[Digest]]
    subjects: Mapping[Digest, frozenset[Digest]]
    papers: Mapping[Digest, frozenset[Digest]]

    def doomed(self) -> set[Digest]:
        """What goes with the root: papers that nothing else keeps."""
        spared = set(self.pinned - {self.root})
        while True:  # each round spares another member, so it ends
            going = self._reached(spared)
            kept = {d for d in going - {self.root} if self._keepers(d) - going}
            if not kept:
                return going
            spared |= kept

    def _keepers(self, digest: Digest) -> frozenset[Digest]:
        nobody: frozenset[Digest] = frozenset()
        return self.parents.get(digest, nobody) | self.subjects.get(digest, nobody)

    def _reached(self, spared: Collection[Digest]) -> set[Digest]:
        going = {self.root}
        todo = [self.root]
        while todo:
            for paper in self.papers.get(todo.pop(), ()):
                if paper not in going and paper not in spared:
                    going.add(paper)
                    todo.append(paper)
        return going


def delete_manifest(name: str, digest: Digest, times: Times) -> Change[int | None]:
    """The manifest, its tags and papers go at once; of very many papers their lists.

    Returns the repository where papers are left that `finish` has to delete (ADR 19). Raises
    ManifestUnknown, Locked, StillLinked.
    """
    repository = yield from repos.find(name)
    if repository is None:
        raise ManifestUnknown(digest)
    yield from locks.exclusive(repository)
    state = yield from manifests.present(repository, [digest])
    if digest not in state:
        raise ManifestUnknown(digest)
    if state[digest]:
        raise Locked(digest)
    members = yield from manifests.retinue(repository, digest, AT_ONCE + 1)
    many = len(members) > AT_ONCE
    if many:
        members = {digest, *(yield from _carriers(repository, digest))}
    family = yield from _family(repository, digest, members)
    doomed = family.doomed()
    if others := family.parents.get(digest, frozenset()) - doomed:
        raise StillLinked(digest, min(others))
    if not many:
        yield from _drop(repository, doomed, times)
        return None
    yield from _drop(repository, doomed, times, orphans=False)
    yield from deletions.begin(repository, doomed)
    yield from repos.papers_changed(repository)
    return repository


def _carriers(repository: int, digest: Digest) -> Change[set[Digest]]:
    """What the fallback tag of a manifest names: it may be what keeps that manifest."""
    tag = fallback_tag(digest)
    return set((yield from collect.current(repository, [tag])).values())


def _family(repository: int, root: Digest, members: Collection[Digest]) -> Change[Family]:
    states = yield from manifests.present(repository, members)
    named = yield from tags.of(repository, members)
    parents = yield from collect.parents(repository, members)
    said = yield from links.subjects_of(repository, members)
    carried = [(member, _implies(name, member)) for name, member in named]
    about = said | (yield from _implied(repository, carried))
    pinned = {member for member, tag in carried if tag is None}
    pinned |= {member for member, locked in states.items() if locked}
    return Family(
        root,
        frozenset(pinned),
        _grouped(parents),
        _grouped(about),
        _grouped((subject, paper) for paper, subject in about),
    )


# ---- papers that go in steps


class Place(Struct, frozen=True):
    """Where a step ended: in which deletion, and after which paper of its subject.

    `gone` and `spared` papers of this pass: what was kept by others may go once these have gone.
    """

    deletion: Deletion | None = None
    after: bytes = b""
    gone: int = 0
    spared: int = 0


async def finish(catalog: Catalog, repository: int, times: Times) -> None:
    """Delete the papers of all subjects whose deletion is under way in a repository.

    Any number may do it at once, and after a crash anybody: what a deletion has left to do is in
    the catalog. It ends, for each step leaves fewer papers, or fewer of them to look at.
    """
    place: Place | None = Place()
    while place is not None:
        place = await catalog.commit(Freeing(step, repository, place, times))


def step(repository: int, place: Place, times: Times) -> Change[Place | None]:
    """Some papers; None when nothing is left to delete in this repository."""
    yield from locks.exclusive(repository)
    deletion = yield from _same(repository, place)
    if deletion is None:
        place, deletion = Place(), (yield from deletions.first(repository))
        if deletion is None:
            return None
    page = yield from deletions.papers(repository, deletion.subject, place.after, STEP)
    present = set((yield from manifests.present(repository, page)))
    ready = yield from deletions.idle(repository, deletion, present, times.now)
    doomed = yield from _without_subject(repository, deletion.subject, ready)
    if doomed:
        below = yield from deletions.with_papers(repository, doomed)
        yield from deletions.begin(repository, below, deletion.before)
        yield from _drop(repository, doomed, times, orphans=False)
    # What waits in the queue of collection already is looked at there.
    yield from _orphans(repository, present - (doomed if deletion.before is None else ready), times)
    gone, left = place.gone + len(doomed), place.spared + len(present - doomed)
    if len(page) == STEP:
        return Place(deletion, digests.to_bytes(page[-1]), gone, left)
    if gone and left:
        return Place(deletion)
    yield from deletions.end(deletion)
    yield from repos.papers_changed(repository)
    return Place()


def _orphans(repository: int, papers: Collection[Digest], times: Times) -> Change[None]:
    """They wait as papers without a subject from now on."""
    yield from manifests.touch(repository, papers, times.now)
    yield from candidates.enqueue(
        (repository, candidates.MANIFEST, each, times.paper_due) for each in papers
    )


def _same(repository: int, place: Place) -> Change[Deletion | None]:
    """The deletion of a place, while it is under way: somebody else may have ended it."""
    if place.deletion is None:
        return None
    found = yield from deletions.under_way(repository, [place.deletion.subject])
    return place.deletion if place.deletion in found else None


def _without_subject(
    repository: int, subject: Digest, papers: Collection[Digest]
) -> Change[set[Digest]]:
    """Those that nothing keeps but the subject; the others wait as papers without a subject."""
    if not papers:
        return set()
    family = yield from _family(repository, subject, papers)
    doomed = replace(family, papers={subject: frozenset(papers)}).doomed() - {subject}
    return doomed


def _implies(name: str, carrier: Digest) -> ImpliedTag | None:
    """None for a tag that keeps what it points at, also one that names an image after itself."""
    tag = implied(name)
    return None if tag is None or tag.names(carrier) else tag


def _implied(
    repository: int, carried: Collection[tuple[Digest, ImpliedTag | None]]
) -> Change[set[Pair]]:
    """Carriers of implied tags, and what is present of that which the tags are named after."""
    tagged = {(member, tag) for member, tag in carried if tag is not None}
    whole = {(member, tag.subject) for member, tag in tagged if tag.subject is not None}
    states = yield from manifests.present(repository, {subject for _, subject in whole})
    pairs = {(member, subject) for member, subject in whole if subject in states}
    cut = {(member, _beginning(tag)) for member, tag in tagged if tag.subject is None}
    found = yield from collect.beginning(repository, {prefix for _, prefix in cut})
    return pairs | {(member, subject) for member, prefix in cut for subject in found[prefix]}


def _beginning(tag: ImpliedTag) -> bytes:
    """How the rows of digests begin that were cut to make this tag's name (sha512)."""
    whole = digests.parse(f"sha256:{tag.prefix}")
    return b"\x02" + digests.to_bytes(whole)[1:]


def _grouped(pairs: Iterable[tuple[Digest, Digest]]) -> dict[Digest, frozenset[Digest]]:
    found: dict[Digest, set[Digest]] = {}
    for key, value in pairs:
        if key != value:
            found.setdefault(key, set()).add(value)
    return {key: frozenset(values) for key, values in found.items()}


def _drop(
    repository: int, doomed: Collection[Digest], times: Times, *, orphans: bool = True
) -> Change[None]:
    """`orphans`: papers of these that stay wait for their grace; else their deletion follows."""
    names = yield from tags.drop_of(repository, doomed)
    gone = yield from links.drop_witnesses(repository, [*doomed, *names])
    gone += yield from collect.drop_sources(repository, doomed)
    left = (yield from links.to(repository, doomed)) if orphans else []
    yield from manifests.drop(repository, doomed)
    yield from forget_papers(repository, gone)
    yield from _release(repository, gone, doomed, left, times)
    if any(link.rel is Rel.SUBJECT for link in gone):
        yield from repos.papers_changed(repository)


def _release(
    repository: int,
    gone: Collection[Link],
    doomed: Collection[Digest],
    orphans: Collection[Link],
    times: Times,
) -> Change[None]:
    """What lost its keeper waits for its grace from now on; what lost its holder is free."""
    kept = {e.source if e.rel is Rel.SUBJECT else e.target for e in gone} - set(doomed)
    papers = {e.source for e in orphans if e.rel is Rel.SUBJECT} - set(doomed)
    yield from manifests.touch(repository, kept | papers, times.now)
    yield from objects.touch_blobs(repository, kept, times.now)
    waiting = [(repository, candidates.MANIFEST, d, times.due) for d in kept]
    waiting += [(repository, candidates.BLOB, d, times.due) for d in kept]
    waiting += [(repository, candidates.MANIFEST, d, times.paper_due) for d in papers]
    free = [(candidates.NOWHERE, candidates.OBJECT, d, times.now) for d in doomed]
    yield from candidates.enqueue([*waiting, *free])


def delete_blob(name: str, digest: Digest, times: Times) -> Change[None]:
    """This repository holds the blob no longer; others may.

    Raises BlobUnknown, StillLinked.
    """
    repository = yield from repos.find(name)
    if repository is None:
        raise BlobUnknown(digest)
    yield from locks.exclusive(repository)
    held = yield from objects.drop_blob(repository, digest)
    if not held:
        raise BlobUnknown(digest)
    by = yield from links.holder_of(repository, digest)
    if by is not None:
        raise StillLinked(digest, by)
    free = (candidates.NOWHERE, candidates.OBJECT, digest, times.now)
    yield from candidates.enqueue([free])
