"""Pushing a manifest: one transaction, whatever it brings along."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from retinue.oci.descriptor import Descriptor, may_be_absent
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel, Way
from retinue.oci.manifest import Manifest
from retinue.oci.tags import fallback_tag, implied
from retinue.registry.catalog import candidates, links, locks, manifests, objects, papers, tags
from retinue.registry.catalog import repositories as repos
from retinue.registry.catalog.db import Change
from retinue.registry.catalog.manifests import Held, Known
from retinue.registry.catalog.papers import Pair
from retinue.registry.content.errors import ManifestBlobUnknown, ManifestInvalid, SizeInvalid
from retinue.registry.content.tags import Expectation, put_tags
from retinue.registry.content.times import Times


class Push(Struct, frozen=True):
    """What is pushed where, by whom. `entry`: what lists of papers show, None when it is large.

    `sparse`: children may be missing.
    """

    name: str
    manifest: Manifest
    entry: str | None
    by: str
    times: Times
    tags: tuple[str, ...] = ()
    expected: Expectation | None = None
    sparse: bool = False


def push(order: Push) -> Change[None]:
    """Store a manifest with its links, papers and tags; idempotent.

    Raises ManifestBlobUnknown, ManifestInvalid, SizeInvalid, TagPrecondition.
    """
    manifest, times = order.manifest, order.times
    repository = yield from repos.ensure(order.name)
    yield from locks.shared(repository)
    yield from _require(repository, order)
    trash = objects.Trash(times.now, times.trash_delay)
    object_id = yield from objects.put_inline(manifest.digest, manifest.raw, trash)
    known = yield from manifests.put(repository, manifest, object_id, order.by, times.now)
    pairs = yield from _link(repository, manifest, known)
    pairs |= yield from put_tags(repository, order.tags, manifest, order.expected, order.by, times)
    if all(map(implied, order.tags)):
        waits = (repository, candidates.MANIFEST, manifest.digest, times.due)
        yield from candidates.enqueue([waits])
    described = False
    if known is None or pairs:
        described = yield from papers.describe(
            repository, manifest.digest, manifest.artifact_type, order.entry
        )
    if pairs or described:
        yield from repos.papers_changed(repository)


def _link(repository: int, manifest: Manifest, known: Known | None) -> Change[set[Pair]]:
    """Write what the manifest states; returns pairs of paper and subject that this touched.

    Raises ManifestInvalid when it is here under another media type (storage rule 15).
    """
    if known is None:
        yield from links.insert(repository, manifest.links)
        pairs = _pairs(manifest.links)
        yield from _list_fallback(repository, manifest)
        yield from papers.derive(repository, pairs)
        return pairs
    if known.media_type != manifest.media_type:
        raise ManifestInvalid(f"{manifest.digest} is already here as {known.media_type!r}")
    if known.links_version == links.VERSION:
        return set()
    before = yield from links.drop_witnesses(repository, [manifest.digest])
    yield from links.insert(repository, manifest.links)
    pairs = _pairs([*before, *manifest.links])
    yield from papers.withdraw(repository, pairs)
    return pairs


def _pairs(stated: Iterable[Link]) -> set[Pair]:
    return {(link.source, link.target) for link in stated if link.rel is Rel.SUBJECT}


def _list_fallback(repository: int, manifest: Manifest) -> Change[None]:
    """An index at the fallback tag may have named this paper before it came."""
    if manifest.subject is None:
        return
    subject = manifest.subject.digest
    tag = fallback_tag(subject)
    if (yield from tags.lists(repository, tag, manifest.digest)):
        link = Link(manifest.digest, subject, Rel.SUBJECT, tag, Way.FALLBACK)
        yield from links.insert(repository, [link])


def _require(repository: int, order: Push) -> Change[None]:
    """Visibility: what a manifest refers to is held by its repository (storage rules 11 and 15)."""
    manifest = order.manifest
    parts = (*manifest.blobs, *manifest.children)
    held = yield from manifests.held(repository, {each.digest for each in parts})
    if missing := _missing(order, held):
        raise ManifestBlobUnknown(missing)
    for child in manifest.children:
        if child.digest in held and not held[child.digest].is_manifest:
            raise ManifestInvalid(f"{child.digest} is here, but not as a manifest")
    for each in parts:
        has = held.get(each.digest)
        if has is not None and has.size != each.size:
            raise SizeInvalid(each.size, has.size, f"the descriptor of {each.digest}")


def _missing(order: Push, held: Mapping[Digest, Held]) -> list[Digest]:
    required = [each for each in order.manifest.blobs if not _elsewhere(each)]
    if not order.sparse:
        required += order.manifest.children
    return list(dict.fromkeys(each.digest for each in required if each.digest not in held))


def _elsewhere(blob: Descriptor) -> bool:
    """Layers that registries need not hold (image-spec layer.md, "Non-Distributable Layers")."""
    return bool(blob.urls) or may_be_absent(blob)
