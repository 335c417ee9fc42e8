"""Any history of a repository in memory: nothing dangles, and a copy is the whole retinue."""

from collections.abc import AsyncIterator, Collection, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from builders import LAYER, artifact, blobs_of, image, index
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel
from retinue.oci.manifest import Manifest
from retinue.oci.memory import MemoryStore
from retinue.oci.stores import ContentMissing, StillLinked
from retinue.oci.tags import cosign_tag, fallback_tag, implied
from retinue.oci.walk import Walk, keepers, kept

T = TypeVar("T")
IMAGES = [image(LAYER, annotations={"n": str(n)}) for n in range(3)]
INDEXES = [index(*IMAGES[:2]), index(IMAGES[2], annotations={"n": "1"})]
SUBJECTS = [*IMAGES, *INDEXES]
PAPERS = [artifact(s, kind=f"a/{n}") for n in range(2) for s in SUBJECTS]
SECOND = [artifact(p) for p in PAPERS[:4]]
LISTS = [index(*papers) for papers in (PAPERS[:1], PAPERS[:2], [PAPERS[0], PAPERS[5], IMAGES[0]])]
EVERYTHING = [*SUBJECTS, *PAPERS, *SECOND, *LISTS]
MANIFESTS = st.sampled_from(EVERYTHING)
IMPLIED = [fallback_tag(IMAGES[0].digest), cosign_tag(IMAGES[0].digest, "sig") or ""]
TAGS = st.sampled_from(["latest", "v1", "v2", *IMPLIED])


def now(step: Coroutine[Any, Any, T]) -> T:
    """Nothing in memory ever waits."""
    try:
        step.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def walk(store: MemoryStore, *roots: Digest) -> Walk:
    found = Walk(roots, kept, 1000)
    while digests := found.frontier():
        manifests = await store.manifests(digests)
        searches = await store.papers(digests)
        links = [link for m in manifests.values() if isinstance(m, Manifest) for link in m.links]
        links += [link for search in searches.values() for link in search.links]
        found.learn(links, [digest for digest, m in manifests.items() if m is None])
    return found


async def copy(source: MemoryStore, sink: MemoryStore, tag: str) -> None:
    """In the walk's order nothing ever comes before its parts."""
    root = await source.resolve(tag)
    assert root is not None
    found = await walk(source, root)
    for digest in await sink.lacks(found.blobs):
        async with source.blob(digest) as parts:
            data = b"".join([part async for part in parts])
        await sink.put_blob(digest, len(data), chunks(data))
    for manifest in (await source.manifests(found.order())).values():
        assert isinstance(manifest, Manifest)
        await sink.put_manifest(manifest)
    await sink.put_tag(tag, root)


class Repository(RuleBasedStateMachine):
    """Pushes and deletions in any order, with collection at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.push_blobs()

    @rule()
    def push_blobs(self) -> None:
        for digest, data in blobs_of(LAYER).items():
            now(self.store.put_blob(digest, len(data), chunks(data)))

    @rule(manifest=MANIFESTS)
    def push(self, manifest: Manifest) -> None:
        parts = {link.target for link in manifest.links if link.rel is not Rel.SUBJECT}
        present = self.store.content.keys() | self.store.blobs.keys()
        if parts <= present:
            now(self.store.put_manifest(manifest))
        else:
            with pytest.raises(ContentMissing) as caught:
                now(self.store.put_manifest(manifest))
            assert set(caught.value.missing) == parts - present

    @rule(tag=TAGS, manifest=MANIFESTS)
    def tag(self, tag: str, manifest: Manifest) -> None:
        if manifest.digest in self.store.content:
            now(self.store.put_tag(tag, manifest.digest))
            assert now(self.store.resolve(tag)) == manifest.digest

    @rule(tag=TAGS)
    def delete_tag(self, tag: str) -> None:
        assert self.store.delete_tag(tag) == (tag in self.tags_before)
        assert now(self.store.resolve(tag)) is None

    @rule(manifest=MANIFESTS)
    def delete_manifest(self, manifest: Manifest) -> None:
        digest = manifest.digest
        if any(link.target == digest for link in self.stated(Rel.REFERENCE)):
            with pytest.raises(StillLinked):
                self.store.delete_manifest(digest)
        else:
            assert self.store.delete_manifest(digest) == (digest in self.content_before)
            assert digest not in self.store.content

    @rule(digest=st.sampled_from(sorted(blobs_of(LAYER))))
    def delete_blob(self, digest: Digest) -> None:
        linked = any(link.target == digest for link in self.stated(Rel.BLOB))
        if linked:
            with pytest.raises(StillLinked):
                self.store.delete_blob(digest)
        else:
            self.store.delete_blob(digest)
            assert digest not in self.store.blobs

    @rule(untagged=st.booleans())
    def collect(self, untagged: bool) -> None:
        retinues = {tag: now(walk(self.store, d)).reached for tag, d in self.roots()}
        dead = self.store.collect(untagged=untagged)
        assert dead.isdisjoint(self.store.content.keys() | self.store.blobs.keys())
        for tag, digest in self.roots():
            assert now(walk(self.store, digest)).reached == retinues[tag]
        assert self.store.collect(untagged=untagged) == set()
        if untagged:
            assert all(self.has_root_above(digest) for digest in self.store.content)

    @rule()
    @precondition(lambda self: any(implied(tag) is None for tag in self.store.names))
    def copy_whole_retinues(self) -> None:
        sink = MemoryStore()
        for tag, digest in self.roots():
            now(copy(self.store, sink, tag))
            copied, original = now(walk(sink, digest)), now(walk(self.store, digest))
            assert set(copied.reached) >= self.by_manifests_alone(original)

    @invariant()
    def nothing_dangles(self) -> None:
        present = self.store.content.keys() | self.store.blobs.keys()
        for rel in (Rel.BLOB, Rel.REFERENCE):
            assert {link.target for link in self.stated(rel)} <= present
        assert set(self.store.names.values()) <= self.store.content.keys()

    @invariant()
    def papers_are_found_as_soon_as_they_are_there(self) -> None:
        for subject in SUBJECTS:
            stated = {
                link.source for link in self.stated(Rel.SUBJECT) if link.target == subject.digest
            }
            found = now(self.store.papers([subject.digest]))[subject.digest]
            assert stated <= {link.source for link in found.links} <= self.store.content.keys()

    @invariant()
    def remember(self) -> None:
        self.tags_before = dict(self.store.names)
        self.content_before = set(self.store.content)

    def stated(self, rel: Rel) -> Collection[Link]:
        """By manifests about themselves."""
        return [x for m in self.store.content.values() for x in m.links if x.rel is rel]

    def roots(self) -> list[tuple[str, Digest]]:
        return [(tag, d) for tag, d in self.store.names.items() if implied(tag) is None]

    def by_manifests_alone(self, whole: Walk) -> set[Digest]:
        """What needs no implied tag to be found: those tags were not copied."""
        tagged = {d for tag, d in self.store.names.items() if implied(tag) is not None}
        return set(whole.reached) if tagged.isdisjoint(whole.reached) else set()

    def has_root_above(self, digest: Digest) -> bool:
        """The definition of liveness the other way round: a walk upward ends at a root."""
        up = Walk([digest], keepers, 1000)
        while asked := up.frontier():
            links = [x for x in self.store.links() if x.target in asked or x.source in asked]
            up.learn(links, set(asked) - self.store.content.keys())
        above = set(up.reached) - set(up.absent)
        above |= {
            subject.digest
            for tag, named in self.store.names.items()
            if named in above and (name := implied(tag))
            for subject in EVERYTHING
            if name.names(subject.digest)
        }
        return not above.isdisjoint({d for _, d in self.roots()})


TestRepository = Repository.TestCase
