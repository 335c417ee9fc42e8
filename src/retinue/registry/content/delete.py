"""Deleting manifests and blobs (storage rule 12). Tags: see tags.py."""

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel
from retinue.oci.tags import ImpliedTag, implied
from retinue.registry.catalog import candidates, collect, links, locks, manifests, objects, tags
from retinue.registry.catalog import repositories as repos
from retinue.registry.catalog.db import Change
from retinue.registry.catalog.papers import Pair
from retinue.registry.content.errors import BlobUnknown, Locked, ManifestUnknown, StillLinked
from retinue.registry.content.tags import forget_papers
from retinue.registry.content.times import Times


class Family(Struct, frozen=True):
    """A manifest and all its present papers, and theirs.

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


def delete_manifest(name: str, digest: Digest, times: Times) -> Change[None]:
    """The manifest, its tags and papers go at once.

    Raises ManifestUnknown, Locked, StillLinked.
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
    family = yield from _family(repository, digest)
    doomed = family.doomed()
    if others := family.parents.get(digest, frozenset()) - doomed:
        raise StillLinked(digest, min(others))
    yield from _drop(repository, doomed, times)


def _family(repository: int, digest: Digest) -> Change[Family]:
    members = yield from manifests.retinue(repository, digest)
    states = yield from manifests.present(repository, members)
    named = yield from tags.of(repository, members)
    incoming = yield from links.to(repository, members)
    said = yield from links.subjects_of(repository, members)
    carried = [(member, _implies(name, member)) for name, member in named]
    about = said | (yield from _implied(repository, carried))
    pinned = {member for member, tag in carried if tag is None}
    pinned |= {member for member, locked in states.items() if locked}
    return Family(
        digest,
        frozenset(pinned),
        _grouped((e.target, e.source) for e in incoming if e.rel is not Rel.SUBJECT),
        _grouped(about),
        _grouped((subject, paper) for paper, subject in about),
    )


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


def _drop(repository: int, doomed: Collection[Digest], times: Times) -> Change[None]:
    names = yield from tags.drop_of(repository, doomed)
    gone = yield from links.drop_witnesses(repository, [*doomed, *names])
    gone += yield from collect.drop_sources(repository, doomed)
    orphans = yield from links.to(repository, doomed)
    yield from manifests.drop(repository, doomed)
    yield from forget_papers(repository, gone)
    yield from _release(repository, gone, doomed, orphans, times)
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
