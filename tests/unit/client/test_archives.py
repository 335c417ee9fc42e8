"""Layouts and archives on disk, those of others and damaged ones included."""

import asyncio
import gzip
import hashlib
import io
import json
import tarfile
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

import builders
from loopback import fill
from retinue.client.archive import read_oci_archive, write_oci_archive
from retinue.client.closure import PapersStay
from retinue.client.copy import Wanted, copy
from retinue.client.docker_archive import (
    DockerArchiveSource,
    read_docker_archive,
    write_docker_archive,
)
from retinue.client.errors import Unsupported
from retinue.client.layout import LayoutError, blob_name
from retinue.client.layout_folder import open_layout
from retinue.client.tar import TarFiles
from retinue.errors import RetinueError
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.manifest import Manifest
from retinue.oci.memory import MemoryStore
from retinue.oci.stores import DigestMismatch, Sink

IMAGE = builders.image(b"layer")
BLOBS = list(builders.blobs_of(b"layer").values())
V1 = [Wanted("v1", ("v1",))]


async def memory(*manifests: Manifest, blobs: list[bytes] | None = None) -> MemoryStore:
    store = MemoryStore()
    await fill(store, manifests, BLOBS if blobs is None else blobs)
    await store.put_tag("v1", manifests[0].digest)
    return store


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def filled_and_failed(opened: AbstractAsyncContextManager[Sink]) -> None:
    async with opened as sink:
        await fill(sink, [IMAGE], BLOBS)
        raise RuntimeError


def entries(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "index.json").read_text())["manifests"]
    return found


# ---- layouts


async def test_a_layout_is_what_the_image_spec_says(tmp_path: Path) -> None:
    paper = builders.artifact(IMAGE, annotations={"org.opencontainers.image.ref.name": "mine"})
    async with open_layout(tmp_path / "layout", make=True) as layout:
        await copy(await memory(IMAGE, paper), layout, V1)
    folder = tmp_path / "layout"
    assert json.loads((folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    image, paper_entry = sorted(entries(folder), key=lambda entry: entry["digest"] != IMAGE.digest)
    assert image == {
        "mediaType": names.OCI_MANIFEST,
        "digest": IMAGE.digest,
        "size": len(IMAGE.raw),
        "annotations": {"org.opencontainers.image.ref.name": "v1"},
    }
    assert paper_entry["artifactType"] == "application/vnd.example.paper"
    assert "annotations" not in paper_entry
    assert (folder / blob_name(IMAGE.digest)).read_bytes() == IMAGE.raw


async def test_what_has_no_tag_is_listed_when_all_went_well(tmp_path: Path) -> None:
    async with open_layout(tmp_path / "layout", make=True) as layout:
        await fill(layout, [IMAGE, builders.index(IMAGE)], BLOBS)
    assert [entry["digest"] for entry in entries(tmp_path / "layout")] == [
        builders.index(IMAGE).digest
    ]


async def test_a_failure_lists_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        await filled_and_failed(open_layout(tmp_path / "layout", make=True))
    assert entries(tmp_path / "layout") == []


async def test_writers_of_one_layout_lose_nothing(tmp_path: Path) -> None:
    async def write(number: int) -> None:
        image = builders.image(b"layer", annotations={"number": str(number)})
        async with open_layout(tmp_path / "layout", make=True) as layout:
            await fill(layout, [image], BLOBS)
            await layout.put_tag(f"t{number}", image.digest)

    await asyncio.gather(*(write(number) for number in range(12)))
    assert len(entries(tmp_path / "layout")) == 12


async def test_a_paper_that_loses_its_tag_stays_a_paper(tmp_path: Path) -> None:
    papers = builders.with_papers(IMAGE, 2)
    async with open_layout(tmp_path / "layout", make=True) as layout:
        await fill(layout, [IMAGE, *papers], BLOBS)
        for paper in papers:
            await layout.put_tag("paper", paper.digest)
    async with open_layout(tmp_path / "layout", make=False) as layout:
        assert len((await layout.papers([IMAGE.digest]))[IMAGE.digest].links) == 2


async def test_a_paper_that_cannot_be_read_is_not_overlooked(tmp_path: Path) -> None:
    paper = builders.artifact(IMAGE)
    async with open_layout(tmp_path / "layout", make=True) as layout:
        await fill(layout, [IMAGE, paper], BLOBS)
        await layout.put_tag("v1", IMAGE.digest)
    (tmp_path / "layout" / blob_name(paper.digest)).unlink()
    async with open_layout(tmp_path / "layout", make=False) as layout:
        assert (await layout.papers([IMAGE.digest]))[IMAGE.digest].blind


async def test_content_that_was_changed_on_disk_is_not_used(tmp_path: Path) -> None:
    async with open_layout(tmp_path / "layout", make=True) as layout:
        await fill(layout, [IMAGE], BLOBS)
        file = tmp_path / "layout" / blob_name(digests.of(b"layer"))
        file.write_bytes(b"other")
        with pytest.raises(DigestMismatch):
            async with layout.blob(digests.of(b"layer")) as chunks:
                assert [chunk async for chunk in chunks] == [b"other"]
        (tmp_path / "layout" / blob_name(IMAGE.digest)).write_bytes(IMAGE.raw + b" ")
        with pytest.raises(DigestMismatch):
            await layout.manifests([IMAGE.digest])


async def test_no_link_leads_out_of_a_layout(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"layer")
    async with open_layout(tmp_path / "layout", make=True) as layout:
        (tmp_path / "layout" / blob_name(digests.of(b"layer"))).symlink_to(secret)
        with pytest.raises(Exception, match="symbolic link"):
            async with layout.blob(digests.of(b"layer")) as chunks:
                await anext(chunks)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("oci-layout", None),
        ("oci-layout", '{"imageLayoutVersion":"2.0.0"}'),
        ("oci-layout", "[]"),
        ("index.json", None),
        ("index.json", "{"),
        ("index.json", '{"manifests":[{"digest":"sha256:short","mediaType":"x"}]}'),
        ("index.json", '{"manifests":[7]}'),
    ],
)
async def test_what_is_no_layout(tmp_path: Path, name: str, text: str | None) -> None:
    async with open_layout(tmp_path / "layout", make=True):
        pass
    (tmp_path / "layout" / name).unlink()
    if text is not None:
        (tmp_path / "layout" / name).write_text(text)
    with pytest.raises(LayoutError, match=name.replace(".", r"\.") + "|layout version"):
        async with open_layout(tmp_path / "layout", make=False) as layout:
            await layout.resolve("v1")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(LayoutError, match="something else"):
        open_layout(tmp_path, make=True)
    assert listed(tmp_path) == ["precious"]


def test_a_layout_to_read_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="no such folder"):
        open_layout(tmp_path / "none", make=False)


# ---- OCI archives


async def test_an_archive_is_the_same_bytes_for_the_same_content(tmp_path: Path) -> None:
    source = await memory(IMAGE, *builders.with_papers(IMAGE, 2))
    for name in ("a.tar", "b.tar"):
        async with write_oci_archive(tmp_path / name) as sink:
            await copy(source, sink, V1)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert listed(tmp_path) == ["a.tar", "b.tar"]


async def test_an_archive_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("precious")
    with pytest.raises(LayoutError, match="exists"):
        async with write_oci_archive(tmp_path / "a.tar"):
            pytest.fail("it was opened")
    assert (tmp_path / "a.tar").read_text() == "precious"


async def test_a_failure_leaves_no_archive(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        await filled_and_failed(write_oci_archive(tmp_path / "a.tar"))
    assert listed(tmp_path) == []


async def test_a_compressed_archive_is_read(tmp_path: Path) -> None:
    async with write_oci_archive(tmp_path / "a.tar") as sink:
        await copy(await memory(IMAGE), sink, V1)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress((tmp_path / "a.tar").read_bytes()))
    async with read_oci_archive(tmp_path / "a.tar.gz") as source:
        assert await source.resolve("v1") == IMAGE.digest


async def test_archives_cut_anywhere_are_refused_or_damaged(tmp_path: Path) -> None:
    async with write_oci_archive(tmp_path / "a.tar") as sink:
        await copy(await memory(IMAGE), sink, V1)
    whole = (tmp_path / "a.tar").read_bytes()
    end = whole.rindex(b"layer") + 5
    for cut in range(0, end, 499):
        (tmp_path / "cut.tar").write_bytes(whole[:cut])
        with pytest.raises(RetinueError):
            async with read_oci_archive(tmp_path / "cut.tar") as source:
                await copy(source, MemoryStore(), V1)


def tar(path: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return path


@pytest.mark.parametrize("target", ["/etc/hostname", "../../../etc/hostname", "loop", "none"])
def test_links_lead_only_to_other_members(tmp_path: Path, target: str) -> None:
    path = tar(tmp_path / "a.tar", {"x": b"1"}, {"loop": target, "fine": "./x"})
    files = TarFiles(path)
    try:
        assert files.read("fine", 10) == b"1"
        if target == "loop":
            with pytest.raises(LayoutError, match="without end"):
                files.read("loop", 10)
        else:
            assert files.read("loop", 10) is None
    finally:
        files.close()


# ---- Docker archives


def saved(path: Path, *, tags: list[str], layer: bytes = b"layer") -> Path:
    """As `docker save` wrote it before version 25."""
    images = [{"Config": "c.json", "RepoTags": tags, "Layers": ["1/layer.tar", "2/layer.tar"]}]
    members = {
        "c.json": builders.CONFIG,
        "1/layer.tar": layer,
        "manifest.json": json.dumps(images).encode(),
    }
    return tar(path, members, {"2/layer.tar": "../1/layer.tar"})


async def test_a_docker_archive_becomes_an_oci_image(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tar", tags=["example.com/app:v1", "example.com/app:v2"])
    sink = MemoryStore()
    async with read_docker_archive(path) as source:
        assert [tag async for tag in source.tags()] == ["v1", "v2"]
        assert await source.resolve("v1") == await source.resolve("example.com/app:v2")
        await copy(source, sink, V1)
    [image] = sink.content.values()
    assert image.config is not None
    assert image.config.digest == digests.of(builders.CONFIG)
    assert [blob.digest for blob in image.blobs[1:]] == [digests.of(b"layer")] * 2
    assert image.media_type == names.OCI_MANIFEST


async def test_a_new_docker_archive_keeps_its_digests(tmp_path: Path) -> None:
    async with write_oci_archive(tmp_path / "a.tar") as sink:
        await copy(await memory(IMAGE), sink, V1)
    with tarfile.open(tmp_path / "a.tar", "a") as archive:
        archive.addfile(tarfile.TarInfo("manifest.json"), io.BytesIO())
    async with read_docker_archive(tmp_path / "a.tar") as source:
        assert await source.resolve("v1") == IMAGE.digest


async def test_a_tag_of_several_images_must_be_named_in_full(tmp_path: Path) -> None:
    images = [
        {"Config": "a.json", "RepoTags": ["a:v1"], "Layers": []},
        {"Config": "b.json", "RepoTags": ["b:v1"], "Layers": []},
    ]
    members = {"a.json": b"{}", "b.json": b"{ }", "manifest.json": json.dumps(images).encode()}
    async with read_docker_archive(tar(tmp_path / "a.tar", members)) as source:
        assert await source.resolve("a:v1") is not None
        with pytest.raises(LayoutError, match="several"):
            await source.resolve("v1")
        assert isinstance(source, DockerArchiveSource)
        assert len(source.roots()) == 2


@pytest.mark.parametrize(
    "listed",
    [b"{}", b"[7]", b'[{"Config":"c"}]', b'[{"Config":"none","Layers":[]}]', b"[{"],
)
async def test_what_is_no_docker_archive(tmp_path: Path, listed: bytes) -> None:
    path = tar(tmp_path / "a.tar", {"manifest.json": listed, "c": b"{}"})
    with pytest.raises(LayoutError):
        async with read_docker_archive(path):
            pytest.fail("it was opened")


async def test_a_docker_archive_is_written_with_unpacked_layers(tmp_path: Path) -> None:
    packed = gzip.compress(b"layer", mtime=0)
    layers = [
        builders.describe(packed, names.OCI_LAYER_GZIP),
        builders.describe(b"x", names.OCI_LAYER),
    ]
    image = builders.image(layers=layers)
    async with write_docker_archive(tmp_path / "a.tar", "example.com/app") as sink:
        await copy(await memory(image, blobs=[builders.CONFIG, packed, b"x"]), sink, V1)
    with tarfile.open(tmp_path / "a.tar") as archive:
        content = {m.name: archive.extractfile(m) for m in archive}
        read = {name: file.read() for name, file in content.items() if file is not None}
    [entry] = json.loads(read["manifest.json"])
    assert entry["RepoTags"] == ["example.com/app:v1"]
    assert [read[name] for name in entry["Layers"]] == [b"layer", b"x"]
    assert hashlib.sha256(read[entry["Config"]]).hexdigest() + ".json" == entry["Config"]
    async with read_docker_archive(tmp_path / "a.tar") as source:
        assert await source.resolve("v1") is not None


async def test_papers_do_not_go_into_a_docker_archive_unnoticed(tmp_path: Path) -> None:
    source = await memory(IMAGE, builders.artifact(IMAGE))
    with pytest.raises(PapersStay, match="oci-archive"):
        async with write_docker_archive(tmp_path / "a.tar", "app") as sink:
            await copy(source, sink, V1)
    assert listed(tmp_path) == []
    async with write_docker_archive(tmp_path / "a.tar", "app") as sink:
        await copy(source, sink, V1, papers=False)
    assert listed(tmp_path) == ["a.tar"]


@pytest.mark.parametrize("made", ["index", "zstd"])
async def test_what_docker_cannot_load_is_refused(tmp_path: Path, made: str) -> None:
    odd = builders.image(layers=[builders.describe(b"layer", names.OCI_LAYER_ZSTD)])
    manifests = [builders.index(IMAGE), IMAGE] if made == "index" else [odd]
    store = MemoryStore()
    await fill(store, list(reversed(manifests)), BLOBS)
    await store.put_tag("v1", manifests[0].digest)
    with pytest.raises(Unsupported, match="oci-archive"):
        async with write_docker_archive(tmp_path / "a.tar", "app") as sink:
            await copy(store, sink, V1)
    assert listed(tmp_path) == []
