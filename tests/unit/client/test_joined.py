"""Papers that are kept in another repository come along."""

import pytest

import builders
from retinue.client.copy import Wanted, copy
from retinue.client.joined import Joined
from retinue.oci import digest as digests
from retinue.oci.memory import MemoryStore
from retinue.oci.stores import BlobMissing


async def stored(store: MemoryStore, *blobs: bytes) -> None:
    for blob in blobs:
        store.blobs[digests.of(blob)] = blob


@pytest.fixture
async def apart() -> tuple[MemoryStore, MemoryStore]:
    """An image at v1, and its paper in another repository."""
    home, away = MemoryStore(), MemoryStore()
    await stored(home, builders.CONFIG, builders.LAYER)
    subject = builders.image()
    await home.put_manifest(subject)
    await home.put_tag("v1", subject.digest)
    await stored(away, b"{}", builders.LAYER)
    await away.put_manifest(builders.artifact(subject))
    return home, away


async def test_a_copy_brings_them_together(apart: tuple[MemoryStore, MemoryStore]) -> None:
    sink = MemoryStore()
    report = await copy(Joined(apart[0], [apart[1]]), sink, [Wanted("v1", ("v1",))])
    paper = builders.artifact(builders.image()).digest
    assert report.papers == [paper]
    assert paper in sink.content


async def test_what_is_nowhere_is_missing(apart: tuple[MemoryStore, MemoryStore]) -> None:
    source = Joined(apart[0], [apart[1]])
    absent = digests.of(b"absent")
    assert await source.manifests([absent]) == {absent: None}
    assert await source.resolve("v2") is None
    assert [tag async for tag in source.tags()] == ["v1"]
    with pytest.raises(BlobMissing):
        async with source.blob(absent):
            pytest.fail("opened")
