"""Moving tags, and what a tag says about other manifests (storage rules 12 to 14)."""

from collections.abc import Collection

from msgspec import Struct

from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel
from retinue.oci.manifest import Manifest
from retinue.oci.tags import ImpliedTag, implied, supersedes, tag_links
from retinue.registry.catalog import candidates, collect, deletions, links, locks, manifests, papers
from retinue.registry.catalog import repositories as repos
from retinue.registry.catalog import tags as rows
from retinue.registry.catalog.db import Change
from retinue.registry.catalog.manifests import BeingDeleted
from retinue.registry.catalog.papers import Pair
from retinue.registry.content.errors import ManifestUnknown, TagPrecondition
from retinue.registry.content.times import Times

SIGNATURES = "sig"
"""The one suffix whose replaced manifests stay papers; elsewhere the current tag decides."""

MOST_COMPARED = 50
"""Replaced manifests whose bodies one push reads; what it does not look at stays."""


class Expectation(Struct, frozen=True):
    """If-Match and If-None-Match. `match`: the tag must be at one of these, or exist when empty;
    `none_match`: it must be at none of these, or be new when empty."""

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None

    def holds(self, actual: Digest | None) -> bool:
        return _matches(self.match, actual, default=True) and not _matches(
            self.none_match, actual, default=False
        )


def _matches(wanted: frozenset[str] | None, actual: Digest | None, *, default: bool) -> bool:
    if wanted is None:
        return default
    return actual is not None and (not wanted or actual in wanted)


def put_tags(
    repository: int,
    names: Collection[str],
    manifest: Manifest,
    expected: Expectation | None,
    by: str,
    times: Times,
) -> Change[set[Pair]]:
    """Point tags at a stored manifest; returns the pairs of paper and subject that this touched.

    Raises TagPrecondition, BeingDeleted.
    """
    before = yield from rows.put(repository, names, manifest.digest, by, times.now)
    for name, actual in before.items():
        if expected is not None and not expected.holds(actual):
            raise TagPrecondition(name, actual)
    lost = {old for old in before.values() if old is not None and old != manifest.digest}
    yield from untagged(repository, lost, times)
    pairs: set[Pair] = set()
    for name in sorted(names):  # few: at most as many as one push may set
        if (tag := implied(name)) is not None:
            pairs |= yield from _state(repository, name, tag, manifest, times)
    return pairs


def untagged(repository: int, lost: Collection[Digest], times: Times) -> Change[None]:
    """A tag left these: their grace counts from now."""
    yield from manifests.touch(repository, lost, times.now)
    yield from candidates.enqueue((repository, candidates.MANIFEST, d, times.due) for d in lost)


def _state(
    repository: int, name: str, tag: ImpliedTag, manifest: Manifest, times: Times
) -> Change[set[Pair]]:
    """What an implied tag says now, and no longer says."""
    said = tag_links(name, manifest)
    if (yield from deletions.under_way(repository, {link.target for link in said})):
        raise BeingDeleted(repository)
    others = {(link.source, link.target) for link in said if link.source != manifest.digest}
    agreed = yield from links.self_stated(repository, others)
    # A fallback index adds nothing that a listed child's subject has not said (rule 14).
    now_said = [
        link
        for link in said
        if link.source == manifest.digest or (link.source, link.target) in agreed
    ]
    still = {(link.source, link.target) for link in now_said}
    before = yield from links.of_witness(repository, name)
    gone = {link.source for link in before if (link.source, link.target) not in still}
    if tag.suffix == SIGNATURES:
        gone = yield from _superseded(repository, gone, manifest)
    dropped = yield from links.drop_stated(repository, name, gone)
    yield from untagged(repository, {link.source for link in dropped}, times)
    yield from links.insert(repository, now_said)
    pairs = still | {(link.source, link.target) for link in dropped}
    yield from papers.withdraw(repository, pairs)
    return pairs


def _superseded(
    repository: int, replaced: Collection[Digest], successor: Manifest
) -> Change[set[Digest]]:
    """Those whose layers are all in the successor; not what cannot be read.

    Links do not tell layers from the config, nor do they know the annotations in which cosign
    keeps signatures: so bodies are read, of those alone that can be meant.
    """
    theirs = yield from links.blobs_of(repository, replaced)
    here = {blob.digest for blob in successor.blobs}
    near = sorted(each for each, blobs in theirs.items() if len(blobs - here) <= 1)
    found = yield from collect.readable(repository, near[:MOST_COMPARED])
    return {digest for digest, old in found.items() if supersedes(successor, old)}


def delete_tag(
    name: str, tag: str, times: Times, expected: Expectation | None = None
) -> Change[None]:
    """The name goes, and all that it ever said; the manifest stays (storage rules 12 and 14).

    Raises ManifestUnknown, TagPrecondition.
    """
    repository = yield from repos.find(name)
    if repository is None:
        raise ManifestUnknown(tag)
    yield from locks.exclusive(repository)
    actual = yield from rows.drop(repository, tag)
    if actual is None:
        raise ManifestUnknown(tag)
    if expected is not None and not expected.holds(actual):
        raise TagPrecondition(tag, actual)
    gone = yield from links.drop_witnesses(repository, [tag])
    yield from forget_papers(repository, gone)
    yield from untagged(repository, {actual} | {link.source for link in gone}, times)
    if gone:
        yield from repos.papers_changed(repository)


def forget_papers(repository: int, gone: Collection[Link]) -> Change[None]:
    """Bring lists of papers in line with links that were removed."""
    pairs = {(link.source, link.target) for link in gone if link.rel is Rel.SUBJECT}
    yield from papers.withdraw(repository, pairs)
