"""Copies: everything comes along, byte for byte, or nothing is tagged."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

import pytest

import builders
from loopback import Registry, Switches, client, fill, serving
from retinue.client.closure import (
    NotWhole,
    PapersInTheWay,
    PapersStay,
    PapersUnseen,
    PlatformUnknown,
    ReferenceUnknown,
)
from retinue.client.connection import Broken
from retinue.client.copy import IN_MEMORY, CopyReport, Wanted, copy
from retinue.client.transfer import Advanced, Done, Event, How, Planned, Tagged
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.links import Way
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.memory import MemoryStore
from retinue.oci.platform import parse as parse_platform
from retinue.oci.stores import BlobMissing, DigestMismatch, Search
from retinue.oci.tags import cosign_tag, fallback_tag

V1 = [Wanted("v1", ("v1",))]
AMD = {"os": "linux", "architecture": "amd64"}
ARM = {"os": "linux", "architecture": "arm64"}


class Odd(MemoryStore):
    """A store that is told what goes wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.blind: dict[Way, str] = {}
        self.unreadable: set[Digest] = set()
        self.refuses: set[Digest] = set()
        self.loses: list[Digest] = []
        self.breaks = 0

    async def papers(self, subjects: Collection[Digest]) -> Mapping[Digest, Search]:
        found = await super().papers(subjects)
        return {s: Search(search.links, self.blind) for s, search in found.items()}

    async def manifests(
        self, digests: Collection[Digest]
    ) -> Mapping[Digest, Manifest | Unreadable | None]:
        found = dict(await super().manifests(digests))
        for digest in self.unreadable & found.keys():
            found[digest] = Unreadable(digest, "body", "is damaged")
        return found

    async def put_manifest(self, manifest: Manifest) -> None:
        if manifest.digest in self.refuses:
            raise DigestMismatch(manifest.digest, manifest.digest)
        if manifest.digest in self.loses:
            self.loses.remove(manifest.digest)
            return
        await super().put_manifest(manifest)

    async def put_blob(self, digest: Digest, size: int, chunks: AsyncIterator[bytes]) -> None:
        if self.breaks:
            self.breaks -= 1
            await anext(chunks)
            raise Broken("sink.example", "it broke", unanswered=False)
        await super().put_blob(digest, size, chunks)


async def image_with_papers(store: MemoryStore) -> tuple[Manifest, list[Manifest]]:
    image = builders.image(b"layer")
    papers = [*builders.with_papers(image, 3)]
    papers.append(builders.artifact(papers[0], payload=b"about a paper"))
    blobs = [*builders.blobs_of(b"layer").values(), b"about a paper"]
    await fill(store, [image, *papers], blobs)
    await store.put_tag("v1", image.digest)
    return image, papers


async def test_a_retinue_is_copied_whole_with_its_tag_last() -> None:
    source, sink = MemoryStore(), MemoryStore()
    image, papers = await image_with_papers(source)
    events: list[Event] = []
    report = await copy(source, sink, V1, progress=events.append)
    assert sink.content == source.content
    assert sink.blobs == source.blobs
    assert sink.names == {"v1": image.digest}
    assert set(report.papers) == {paper.digest for paper in papers}
    assert report.manifests[0] == image.digest
    assert events[0] == Planned(4, sum(map(len, source.blobs.values())), 5)
    assert events[-1] == Tagged("v1", image.digest)
    assert sum(e.count for e in events if isinstance(e, Advanced)) == report.bytes_sent
    assert len([e for e in events if isinstance(e, Done)]) == 4 + 5


async def test_what_is_there_is_not_sent_again() -> None:
    source, sink = MemoryStore(), MemoryStore()
    await image_with_papers(source)
    await copy(source, sink, V1)
    report = await copy(source, sink, V1)
    assert set(report.blobs.values()) == {How.PRESENT}
    assert report.bytes_sent == 0


async def test_within_a_registry_blobs_are_mounted() -> None:
    source = MemoryStore()
    sink = MemoryStore({"here": source})
    await image_with_papers(source)
    report = await copy(source, sink, V1, mount_from="here")
    assert set(report.blobs.values()) == {How.MOUNTED}
    report = await copy(source, MemoryStore(), V1, mount_from="elsewhere")
    assert set(report.blobs.values()) == {How.SENT}


async def test_papers_can_be_left_behind() -> None:
    source, sink = Odd(), MemoryStore()
    image, _ = await image_with_papers(source)
    source.blind = {Way.REFERRERS: "broken"}
    report = await copy(source, sink, V1, papers=False)
    assert set(sink.content) == {image.digest}
    assert report.papers == []


async def test_by_digest_no_tag_is_put() -> None:
    source, sink = MemoryStore(), MemoryStore()
    image, _ = await image_with_papers(source)
    await copy(source, sink, [Wanted(image.digest)])
    assert sink.content == source.content
    assert sink.names == {}


async def test_an_unknown_tag() -> None:
    with pytest.raises(ReferenceUnknown, match="v1"):
        await copy(MemoryStore(), MemoryStore(), V1)


async def check_nothing_tagged(
    source: MemoryStore, kind: type[Exception], match: str = ".", sink: MemoryStore | None = None
) -> None:
    sink = sink or MemoryStore()
    with pytest.raises(kind, match=match):
        await copy(source, sink, V1)
    assert sink.names == {}


async def test_papers_that_could_not_be_looked_for_stop_the_copy() -> None:
    source = Odd()
    await image_with_papers(source)
    source.blind = {Way.COSIGN: "tags are not listed"}
    await check_nothing_tagged(source, PapersUnseen, "by cosign: tags are not listed")


async def test_an_unreadable_paper_stops_the_copy_and_is_named() -> None:
    source = Odd()
    _, papers = await image_with_papers(source)
    source.unreadable = {papers[1].digest}
    await check_nothing_tagged(source, PapersUnseen, papers[1].digest)


async def test_a_missing_child_stops_the_copy_and_is_named() -> None:
    source = MemoryStore()
    image, _ = await image_with_papers(source)
    index = builders.index(image)
    await fill(source, [index], [])
    await source.put_tag("v1", index.digest)
    del source.content[image.digest]
    await check_nothing_tagged(source, NotWhole, image.digest)


async def test_a_missing_blob_stops_the_copy() -> None:
    source = MemoryStore()
    await image_with_papers(source)
    del source.blobs[digests.of(b"layer")]
    await check_nothing_tagged(source, BlobMissing)


async def test_layers_from_elsewhere_may_be_missing() -> None:
    source, sink = MemoryStore(), MemoryStore()
    foreign = builders.describe(b"far", min(names.FOREIGN_LAYERS), urls=["https://far/"])
    image = builders.image(layers=[foreign])
    await fill(source, [image], [builders.CONFIG])
    await source.put_tag("v1", image.digest)
    await copy(source, sink, V1)
    assert sink.names == {"v1": image.digest}


async def test_a_paper_that_the_sink_refuses_stops_the_copy() -> None:
    source, sink = MemoryStore(), Odd()
    _, papers = await image_with_papers(source)
    sink.refuses = {papers[2].digest}
    await check_nothing_tagged(source, DigestMismatch, sink=sink)


async def test_a_paper_that_the_sink_loses_is_put_again() -> None:
    source, sink = MemoryStore(), Odd()
    _, papers = await image_with_papers(source)
    sink.loses = [papers[2].digest, papers[2].digest]
    await copy(source, sink, V1)
    assert sink.content == source.content


async def test_a_sink_that_keeps_losing_papers_is_told_of() -> None:
    source, sink = MemoryStore(), Odd()
    _, papers = await image_with_papers(source)
    sink.loses = [papers[2].digest] * 99
    await check_nothing_tagged(source, PapersStay, papers[2].digest, sink=sink)


async def test_blobs_are_sent_again_when_the_connection_breaks() -> None:
    source, sink = MemoryStore(), Odd()
    layer = b"x" * (IN_MEMORY + 1)
    await fill(source, [builders.image(layer)], builders.blobs_of(layer).values())
    await source.put_tag("v1", builders.image(layer).digest)
    sink.breaks = 2
    events: list[Event] = []
    report = await copy(source, sink, V1, progress=events.append)
    assert sink.blobs == {b: d for b, d in source.blobs.items() if b in report.blobs}
    assert sum(e.count for e in events if isinstance(e, Advanced)) == report.bytes_sent


async def test_cosigns_tags_come_along() -> None:
    source, sink = MemoryStore(), MemoryStore()
    image, _ = await image_with_papers(source)
    signature = builders.image(b"signature")
    tag = cosign_tag(image.digest, "sig")
    assert tag is not None
    await fill(source, [signature], [b"signature"])
    await source.put_tag(tag, signature.digest)
    report = await copy(source, sink, V1)
    assert sink.names == {"v1": image.digest, tag: signature.digest}
    assert report.tags == {"v1": image.digest}


async def signed(store: MemoryStore, image: Manifest, *layers: bytes) -> Manifest:
    signature = builders.image(*layers)
    tag = cosign_tag(image.digest, "sig")
    assert tag is not None
    await fill(store, [signature], builders.blobs_of(*layers).values())
    await store.put_tag(tag, signature.digest)
    return signature


async def test_signatures_of_the_sink_are_not_overwritten_by_fewer() -> None:
    source, sink = MemoryStore(), MemoryStore()
    image, _ = await image_with_papers(source)
    await signed(source, image, b"ours")
    await signed(sink, image, b"theirs")
    with pytest.raises(PapersInTheWay, match="sig"):
        await copy(source, sink, V1)
    assert "v1" not in sink.names
    both = await signed(source, image, b"ours", b"theirs")
    await copy(source, sink, V1)
    assert both.digest in sink.names.values()


# ---- platforms


async def multi(store: MemoryStore, *, attested: bool) -> tuple[Manifest, Manifest, Manifest]:
    """An index of two images under `v1`, each with a paper; BuildKit's attestation for the first."""
    amd, arm = builders.image(b"amd"), builders.image(b"arm")
    papers = [builders.artifact(amd, payload=b"of amd"), builders.artifact(arm, payload=b"of arm")]
    attestation = builders.image(b"attestation")
    note = {
        names.ANNOTATION_BUILDKIT_TYPE: names.BUILDKIT_ATTESTATION,
        names.ANNOTATION_BUILDKIT_DIGEST: amd.digest,
    }
    entries = [builders.pointer(amd, platform=AMD), builders.pointer(arm, platform=ARM)]
    entries += [builders.pointer(attestation, annotations=note)] if attested else []
    index = builders.index(*entries)
    blobs = [*builders.blobs_of(b"amd", b"arm").values(), b"of amd", b"of arm", b"attestation"]
    await fill(store, [amd, arm, attestation, *papers, index], blobs)
    await store.put_tag("v1", index.digest)
    return index, arm, papers[1]


async def test_an_index_comes_with_children_and_their_papers() -> None:
    source, sink = MemoryStore(), MemoryStore()
    index, _, _ = await multi(source, attested=True)
    report = await copy(source, sink, V1)
    assert sink.content == source.content
    assert len(report.papers) == 3
    assert sink.names == {"v1": index.digest}


async def test_one_platform_comes_with_its_papers() -> None:
    source, sink = MemoryStore(), MemoryStore()
    _, arm, paper = await multi(source, attested=True)
    await copy(source, sink, V1, platform=parse_platform("linux/arm64"))
    assert set(sink.content) == {arm.digest, paper.digest}
    assert sink.names == {"v1": arm.digest}


async def test_a_paper_that_only_the_index_states_is_not_lost_silently() -> None:
    source, sink = MemoryStore(), MemoryStore()
    await multi(source, attested=True)
    amd = parse_platform("linux/amd64")
    with pytest.raises(PapersStay, match="copy that whole"):
        await copy(source, sink, V1, platform=amd)
    await copy(source, sink, V1, platform=amd, papers=False)
    assert len(sink.content) == 1


async def test_a_platform_that_is_not_offered() -> None:
    source = MemoryStore()
    await multi(source, attested=False)
    with pytest.raises(PlatformUnknown, match="linux/amd64, linux/arm64"):
        await copy(source, MemoryStore(), V1, platform=parse_platform("linux/s390x"))


async def test_an_image_that_is_no_index_is_taken_as_it_is() -> None:
    source, sink = MemoryStore(), MemoryStore()
    image, _ = await image_with_papers(source)
    await copy(source, sink, V1, platform=parse_platform("linux/amd64"))
    assert sink.names == {"v1": image.digest}


# ---- registries


@asynccontextmanager
async def two(
    first: Switches, second: Switches
) -> AsyncIterator[tuple[Registry, Registry, CopyReport]]:
    """Two registries; a retinue in the first was copied to the second."""
    async with serving(first) as one, serving(second) as other, client() as made:
        source, sink = made.remote(one.host, "a"), made.remote(other.host, "b")
        local = MemoryStore()
        await image_with_papers(local)
        await copy(local, source, V1)
        one.calls.clear()
        yield one, other, await copy(source, sink, V1)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
async def test_papers_cross_between_registries_with_and_without_the_api(
    first: bool, second: bool
) -> None:
    async with two(Switches(referrers=first), Switches(referrers=second)) as (one, other, report):
        kept = {d for d, (_, raw) in other.repos["b"].manifests.items() if b'"subject"' in raw}
        assert kept == set(report.papers)
        assert len(kept) == 4
        [root] = report.roots
        assert (fallback_tag(root) in other.repos["b"].tags) is not second
        assert (fallback_tag(root) in one.repos["a"].tags) is not first


async def test_a_copy_between_registries_asks_for_nothing_twice() -> None:
    async with two(Switches(), Switches()) as (one, other, report):
        fetched = [c.path for c in one.calls if c.method == "GET" and "/v2/a/" in c.path]
        content = [path for path in fetched if "tags/list" not in path]
        assert len(content) == len(set(content))
        assert other.count("GET", "/blobs/") == 0
        assert other.count("HEAD", "/blobs/") == len(report.blobs)


async def test_a_mount_within_a_registry_costs_one_request_per_blob() -> None:
    async with serving() as registry, client() as made:
        source, sink = made.remote(registry.host, "a"), made.remote(registry.host, "b")
        local = MemoryStore()
        await image_with_papers(local)
        await copy(local, source, V1)
        registry.calls.clear()
        report = await copy(source, sink, V1, mount_from="a")
        assert set(report.blobs.values()) == {How.MOUNTED}
        assert registry.count("POST") == len(report.blobs)
        assert registry.count("HEAD") == 0
        assert registry.count("GET", "/blobs/") == 0
