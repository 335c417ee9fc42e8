"""What a repository means, by the store that says it in the fewest words."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from builders import (
    CONFIG,
    EMPTY,
    LAYER,
    artifact,
    blobs_of,
    describe,
    dump,
    image,
    index,
    pointer,
    with_papers,
)
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.links import Rel, Way
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.memory import CHUNK, MemoryStore
from retinue.oci.readers.table import read
from retinue.oci.stores import (
    BlobMissing,
    ContentMissing,
    DigestMismatch,
    Sink,
    Source,
    StillLinked,
    TagMoved,
)
from retinue.oci.tags import cosign_tag, fallback_tag

IMAGE = image()
PAPER = artifact(IMAGE)
ABSENT = digests.of(b"absent")


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def filled(*manifests: Manifest, **tags: Manifest) -> MemoryStore:
    store = MemoryStore()
    for digest, data in blobs_of().items():
        await store.put_blob(digest, len(data), chunks(data))
    for manifest in manifests:
        await store.put_manifest(manifest)
    for tag, manifest in tags.items():
        await store.put_tag(tag, manifest.digest)
    return store


async def content(store: Source, digest: Digest, start: int = 0) -> list[bytes]:
    async with store.blob(digest, start) as parts:
        return [part async for part in parts]


async def ways(store: Source, subject: Digest) -> list[tuple[Digest, Way]]:
    found = (await store.papers([subject]))[subject]
    assert not found.blind
    return [(link.source, link.way) for link in found.links]


async def test_every_method_of_both_protocols_is_there() -> None:
    methods = {name for p in (Source, Sink) for name in vars(p) if not name.startswith("_")}
    assert methods <= set(dir(MemoryStore))


async def test_blobs_come_back_in_chunks_from_any_offset() -> None:
    data = bytes(range(256)) * 1024
    store = MemoryStore()
    digest = digests.of(data, "sha512")
    await store.put_blob(digest, len(data), chunks(data[:5], data[5:]))
    parts = await content(store, digest)
    assert b"".join(parts) == data
    assert max(map(len, parts)) <= CHUNK
    assert b"".join(await content(store, digest, CHUNK + 1)) == data[CHUNK + 1 :]
    assert await content(store, digest, len(data)) == []


async def test_a_manifest_can_be_read_as_a_blob() -> None:
    store = await filled(IMAGE)
    assert await content(store, IMAGE.digest) == [IMAGE.raw]
    assert await store.lacks([IMAGE.digest, ABSENT]) == {ABSENT}


async def test_a_blob_that_is_not_there() -> None:
    with pytest.raises(BlobMissing) as caught:
        await content(MemoryStore(), ABSENT)
    assert caught.value.digest == ABSENT


@pytest.mark.parametrize("parts", [(b"x",), (b"absent", b"!"), (), (b"absent!", b"x" * 9)])
async def test_other_bytes_than_announced_are_refused(parts: tuple[bytes, ...]) -> None:
    store = MemoryStore()
    with pytest.raises(DigestMismatch) as caught:
        await store.put_blob(ABSENT, 6, chunks(*parts))
    assert caught.value.expected == ABSENT
    assert store.blobs == {}


async def test_other_sizes_than_announced_are_refused() -> None:
    for size in (5, 7):
        with pytest.raises(DigestMismatch):
            await MemoryStore().put_blob(ABSENT, size, chunks(b"absent"))


async def test_mounting_takes_from_a_sibling_what_it_has() -> None:
    other = await filled()
    store = MemoryStore({"other": other})
    layer = digests.of(LAYER)
    assert await store.mount(layer, "other")
    assert await content(store, layer) == [LAYER]
    assert not await store.mount(ABSENT, "other")
    assert not await store.mount(layer, "unknown")


async def test_parts_come_before_wholes() -> None:
    store = MemoryStore()
    with pytest.raises(ContentMissing) as caught:
        await store.put_manifest(IMAGE)
    assert (caught.value.manifest, caught.value.missing) == (
        IMAGE.digest,
        (digests.of(CONFIG), digests.of(LAYER)),
    )
    with pytest.raises(ContentMissing, match="1 missing"):
        await store.put_manifest(index(IMAGE))
    assert store.content == {}


async def test_the_message_names_a_few_of_many_missing() -> None:
    many = image(*(b"%d" % n for n in range(9)))
    with pytest.raises(ContentMissing, match=r"refers to 10 missing: .*, …; push first"):
        await MemoryStore().put_manifest(many)


async def test_foreign_layers_may_be_absent() -> None:
    layer = describe(b"far away", min(names.FOREIGN_LAYERS), urls=["https://example.com"])
    manifest = image(layers=[layer])
    store = await filled(manifest)
    assert store.content == {manifest.digest: manifest}


async def test_settlement_11_a_reference_to_what_is_no_manifest() -> None:
    store = await filled()
    blob = describe(LAYER, names.OCI_MANIFEST)
    with pytest.raises(Unreadable, match="is here, but not as a manifest"):
        await store.put_manifest(index(blob))


async def test_a_digest_has_one_media_type_in_a_repository() -> None:
    bare: dict[str, Any] = {"mediaType": None}
    as_index = index(media_type=names.OCI_INDEX, **bare)
    store = await filled(as_index)
    other = Manifest(as_index.raw, names.OCI_ARTIFACT, as_index.digest, None, {}, ())
    with pytest.raises(Unreadable, match="already here as"):
        await store.put_manifest(other)
    await store.put_manifest(as_index)


async def test_a_subject_may_come_later() -> None:
    store = await filled(PAPER)
    assert await ways(store, IMAGE.digest) == [(PAPER.digest, Way.REFERRERS)]
    await store.put_manifest(IMAGE)
    assert await store.manifests([IMAGE.digest, ABSENT]) == {IMAGE.digest: IMAGE, ABSENT: None}


async def test_tags() -> None:
    store = await filled(IMAGE, PAPER, b=IMAGE, a=PAPER)
    assert [tag async for tag in store.tags()] == ["a", "b"]
    assert (await store.resolve("a"), await store.resolve("c")) == (PAPER.digest, None)
    with pytest.raises(ContentMissing):
        await store.put_tag("c", ABSENT)
    await store.put_tag("a", IMAGE.digest, expected=PAPER.digest)
    with pytest.raises(TagMoved) as caught:
        await store.put_tag("a", PAPER.digest, expected=PAPER.digest)
    assert (caught.value.tag, caught.value.actual) == ("a", IMAGE.digest)
    with pytest.raises(TagMoved):
        await store.put_tag("new", IMAGE.digest, expected=IMAGE.digest)


async def test_papers_by_all_ways() -> None:
    stated = {
        names.ANNOTATION_BUILDKIT_TYPE: names.BUILDKIT_ATTESTATION,
        names.ANNOTATION_BUILDKIT_DIGEST: IMAGE.digest,
    }
    loose, signature = artifact(kind="a/loose"), artifact(kind="a/signature")
    store = await filled(IMAGE, PAPER, loose, signature)
    await store.put_manifest(index(IMAGE, pointer(loose, annotations=stated)))
    tag = cosign_tag(IMAGE.digest, "sig")
    assert tag is not None
    await store.put_tag(tag, signature.digest)
    liar = index(PAPER, loose)
    await store.put_manifest(liar)
    await store.put_tag(fallback_tag(IMAGE.digest), liar.digest)
    expected = [
        (PAPER.digest, Way.FALLBACK),
        (PAPER.digest, Way.REFERRERS),
        (loose.digest, Way.INDEX),
        (signature.digest, Way.COSIGN),
    ]
    assert sorted(expected) == await ways(store, IMAGE.digest)


async def test_deleting_a_tag_leaves_the_manifest() -> None:
    store = await filled(IMAGE, latest=IMAGE)
    assert store.delete_tag("latest")
    assert not store.delete_tag("latest")
    assert IMAGE.digest in store.content


async def test_deleting_a_manifest_takes_its_tags_and_the_papers_that_only_it_kept() -> None:
    papers = with_papers(IMAGE, 3)
    second = artifact(papers[0])
    store = await filled(IMAGE, *papers, second, latest=IMAGE, keep=papers[2])
    assert store.delete_manifest(IMAGE.digest)
    assert not store.delete_manifest(IMAGE.digest)
    assert set(store.content) == {papers[2].digest}
    assert store.names == {"keep": papers[2].digest}


async def test_deleting_a_manifest_leaves_papers_that_another_one_holds() -> None:
    orphan = index(PAPER, subject=describe(b"absent", "a/b"))
    store = await filled(IMAGE, PAPER, orphan)
    assert store.delete_manifest(IMAGE.digest)
    assert set(store.content) == {PAPER.digest, orphan.digest}


async def test_parts_of_a_deleted_manifest_wait_for_collection_papers_or_not() -> None:
    orphan = artifact(describe(b"absent", "a/b"))
    top = index(IMAGE, orphan)
    store = await filled(IMAGE, orphan, top)
    assert store.delete_manifest(top.digest)
    assert set(store.content) == {IMAGE.digest, orphan.digest}
    assert await collected(store, untagged=False) == {IMAGE.digest}


async def test_papers_of_a_deleted_paper_go_also_where_its_subject_never_came() -> None:
    orphan = artifact(describe(b"absent", "a/b"))
    store = await filled(orphan, artifact(orphan))
    assert store.delete_manifest(orphan.digest)
    assert store.content == {}


async def test_papers_that_keep_each_other_go_with_their_subject() -> None:
    listing = index(PAPER, subject=pointer(IMAGE))
    store = await filled(IMAGE, PAPER, listing)
    assert store.delete_manifest(IMAGE.digest)
    assert store.content == {}


async def test_a_part_cannot_be_deleted_before_its_whole() -> None:
    top = index(IMAGE)
    store = await filled(IMAGE, top)
    with pytest.raises(StillLinked) as caught:
        store.delete_manifest(IMAGE.digest)
    assert (caught.value.digest, caught.value.by) == (IMAGE.digest, top.digest)
    with pytest.raises(StillLinked):
        store.delete_blob(digests.of(LAYER))
    assert store.delete_manifest(top.digest)
    assert store.delete_manifest(IMAGE.digest)
    assert store.delete_blob(digests.of(LAYER))
    assert not store.delete_blob(digests.of(LAYER))


async def collected(store: MemoryStore, *, untagged: bool = True) -> set[Digest]:
    store.collect(untagged=untagged)
    assert store.collect(untagged=untagged) == set()
    return set(store.content)


async def test_collection_keeps_what_tags_keep_with_papers_and_their_papers() -> None:
    second = artifact(PAPER)
    store = await filled(IMAGE, PAPER, second, index(IMAGE), latest=IMAGE)
    assert await collected(store) == {IMAGE.digest, PAPER.digest, second.digest}
    assert set(store.blobs) == set(blobs_of())


async def test_untagged_manifests_live_unless_the_policy_says_otherwise_but_orphans_do_not() -> (
    None
):
    orphan = artifact(describe(b"absent", "a/b"))
    store = await filled(IMAGE, PAPER, orphan)
    assert await collected(store, untagged=False) == {IMAGE.digest, PAPER.digest}
    assert await collected(store) == set()
    assert store.blobs == {}


async def test_a_tagged_paper_does_not_revive_its_subject() -> None:
    store = await filled(IMAGE, PAPER, signature=PAPER)
    assert await collected(store) == {PAPER.digest}
    assert set(store.blobs) == {EMPTY["digest"]}


async def test_implied_tags_are_no_roots_and_live_with_their_subject() -> None:
    signature = artifact(kind="a/signature")
    listing = index(PAPER)
    store = await filled(IMAGE, PAPER, signature, listing)
    tag = cosign_tag(IMAGE.digest, "sig")
    assert tag is not None
    await store.put_tag(tag, signature.digest)
    await store.put_tag(fallback_tag(IMAGE.digest), listing.digest)
    await store.put_tag("latest", IMAGE.digest)
    assert len(await collected(store)) == 4
    store.delete_tag("latest")
    assert await collected(store) == set()
    assert store.names == {}


async def test_a_list_of_papers_goes_with_its_subject_even_where_untagged_manifests_stay() -> None:
    listing = index(PAPER)
    store = await filled(PAPER, listing)
    await store.put_tag(fallback_tag(IMAGE.digest), listing.digest)
    assert await collected(store, untagged=False) == set()


async def test_an_index_at_the_fallback_tag_of_its_own_part_is_no_root() -> None:
    top = index(IMAGE)
    store = await filled(IMAGE, top)
    await store.put_tag(fallback_tag(IMAGE.digest), top.digest)
    assert await collected(store) == set()


@pytest.mark.parametrize(("tagged", "kept"), [({}, 0), ({"latest": IMAGE}, 2)])
async def test_settlement_18_a_relation_lives_by_its_subject(
    tagged: Mapping[str, Manifest], kept: int
) -> None:
    store = await filled(IMAGE, relation(), **tagged)
    assert len(await collected(store)) == kept


async def test_settlement_18_a_tagged_relation_keeps_its_subject() -> None:
    store = await filled(IMAGE, relation(), sbom=relation())
    assert await collected(store) == {IMAGE.digest, relation().digest}


def relation() -> Manifest:
    part = {"rtype": "reference", "descriptor": pointer(IMAGE)}
    blob = {"rtype": "blob", "descriptor": dict(EMPTY)}
    item = {
        "type": names.OBJECT_RELATION,
        "version": "1",
        "relation": "x",
        "components": [part, blob],
    }
    body = {"schemaVersion": 1, "mediaType": names.OCI_OBJECT, "objects": [item]}
    found = read(dump(body), names.OCI_OBJECT)
    assert {link.rel for link in found.links} == set(Rel)
    return found
