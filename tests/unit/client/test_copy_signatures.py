"""Copies of what cosign keeps at one tag: every signature comes along, or the copy says which not."""

from collections.abc import Collection, Mapping

import pytest

import builders
from loopback import fill
from retinue.client.closure import PapersInTheWay, PapersStay
from retinue.client.copy import Wanted, copy
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel, Way
from retinue.oci.manifest import Manifest
from retinue.oci.memory import MemoryStore
from retinue.oci.readers.table import read
from retinue.oci.stores import Search
from retinue.oci.tags import cosign_tag, implied

V1 = [Wanted("v1", ("v1",))]


class Keeping(MemoryStore):
    """As our registry: what a tag of cosign's named once is still known when it names another."""

    def __init__(self) -> None:
        super().__init__()
        self.replaced: dict[str, list[Digest]] = {}

    async def put_tag(
        self, tag: str, digest: Digest, *, expected: Digest | None = None, new: bool = False
    ) -> None:
        former = self.names.get(tag)
        if former is not None and implied(tag) is not None:
            self.replaced.setdefault(tag, []).insert(0, former)
        await super().put_tag(tag, digest, expected=expected, new=new)

    async def papers(self, subjects: Collection[Digest]) -> Mapping[Digest, Search]:
        found = dict(await super().papers(subjects))
        for subject, search in found.items():
            tag = cosign_tag(subject, "sig") or ""
            former = [
                Link(paper, subject, Rel.SUBJECT, tag, Way.COSIGN)
                for paper in self.replaced.get(tag, ())
            ]
            found[subject] = Search((*search.links, *former), search.blind)
        return found


async def twice_signed(store: MemoryStore) -> tuple[Manifest, Manifest, Manifest]:
    """An image whose first signer's manifest was overwritten by the second's."""
    image = await put_image(store)
    first = await put_signature(store, image, "first")
    return image, first, await put_signature(store, image, "second")


async def test_signatures_that_others_replaced_at_their_tag_come_along() -> None:
    source, sink = Keeping(), Keeping()
    image, first, second = await twice_signed(source)

    await copy(source, sink, V1)

    tag = cosign_tag(image.digest, "sig")
    assert tag is not None
    assert sink.names[tag] == second.digest
    assert sink.replaced[tag] == [first.digest]


async def test_a_sink_that_keeps_the_last_signatures_only_is_told_of_the_others() -> None:
    source, sink = Keeping(), MemoryStore()
    _, first, _ = await twice_signed(source)

    with pytest.raises(PapersStay, match="replaced at their tag") as refusal:
        await copy(source, sink, V1)

    assert refusal.value.papers == (first.digest,)
    assert "v1" not in sink.names


async def test_another_signature_of_the_same_payload_is_not_overwritten() -> None:
    """Two signers of one payload have one layer: what differs is its annotation."""
    source, sink = MemoryStore(), MemoryStore()
    image = await put_image(source)
    for store, signature in ((source, "ours"), (sink, "theirs")):
        await put_signature(store, image, signature)

    with pytest.raises(PapersInTheWay, match="sig"):
        await copy(source, sink, V1)


async def put_image(store: MemoryStore) -> Manifest:
    image = builders.image()
    await fill(store, [image], builders.blobs_of().values())
    await store.put_tag("v1", image.digest)
    return image


async def put_signature(store: MemoryStore, image: Manifest, signature: str) -> Manifest:
    """At cosign's tag, in place of whatever it names."""
    layer = builders.describe(b"payload", "application/vnd.dev.cosign.simplesigning.v1+json")
    layer["annotations"] = {names.ANNOTATION_SIGNATURE: signature}
    body = {
        "schemaVersion": 2,
        "mediaType": names.OCI_MANIFEST,
        "config": builders.describe(builders.CONFIG, names.OCI_CONFIG),
        "layers": [layer],
    }
    manifest = read(builders.dump(body), names.OCI_MANIFEST)
    tag = cosign_tag(image.digest, "sig")
    assert tag is not None
    await fill(store, [manifest], [builders.CONFIG, b"payload"])
    await store.put_tag(tag, manifest.digest)
    return manifest
