"""What every Source and Sink promises, asked of each implementation alike.

`MemoryStore` is the specification; folders and registries must not be told apart from it.
"""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

import builders
from loopback import Switches, client, fill, serving
from retinue.client.archive import read_oci_archive, write_oci_archive
from retinue.client.client import Client
from retinue.client.copy import Wanted, copy
from retinue.client.errors import Refused
from retinue.client.layout_folder import open_layout
from retinue.client.registry import ping
from retinue.client.stores import Store
from retinue.client.transfer import one
from retinue.client.transport import Settings, Transport
from retinue.oci import digest as digests
from retinue.oci.links import Rel
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.memory import MemoryStore
from retinue.oci.stores import BlobMissing, ContentMissing, DigestMismatch, Source, TagMoved
from retinue.oci.tags import cosign_tag
from serving import Serving, free_port

ABSENT = digests.of(b"nobody has this")


@asynccontextmanager
async def memory(_: Path) -> AsyncIterator[Store]:
    yield MemoryStore()


@asynccontextmanager
async def layout(folder: Path) -> AsyncIterator[Store]:
    async with open_layout(folder / "layout", make=True) as store:
        yield store


@asynccontextmanager
async def archive(folder: Path) -> AsyncIterator[Store]:
    async with write_oci_archive(folder / "images.tar") as store:
        yield store


def loopback(**switches: object) -> "Opener":
    @asynccontextmanager
    async def opened(_: Path) -> AsyncIterator[Store]:
        async with serving(Switches(**switches)) as registry, client() as made:  # type: ignore[arg-type]
            yield made.remote(registry.host, "some/name")

    return opened


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The host of an olareg process."""
    program = _program("olareg")
    if program is None:
        pytest.skip("olareg is not installed (scripts/interop installs it)")
    port = str(free_port())
    command = [program, "serve", "--port", port, "--addr", "127.0.0.1", "--store-type", "mem"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


@asynccontextmanager
async def olareg(folder: Path) -> AsyncIterator[Store]:
    transport = Transport(Settings(attempts=12), random=lambda: 0.0)
    with running(folder) as host:
        async with Client(transport, lambda host, repository: None) as made:
            await ping(made.registry(host))  # repeats until it listens
            yield made.remote(host, "some/name")


def _program(name: str) -> str | None:
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "retinue-tools"
    return shutil.which(name, path=f"{kept / 'bin'}:{os.environ['PATH']}")


Opener = Callable[[Path], AbstractAsyncContextManager[Store]]
STORES: dict[str, Opener] = {
    "memory": memory,
    "layout": layout,
    "archive": archive,
    "registry": loopback(),
    "registry without referrers": loopback(referrers=False),
    "registry without conveniences": loopback(
        mounts=False, at_once=False, digest_headers=False, page=2
    ),
}


OURS = "retinue serve"
NUMBERS = count()


@dataclass(frozen=True)
class Case:
    """A store, filled with an image under `v1`, two papers about it, and one about a paper."""

    store: Store
    image: Manifest
    papers: tuple[Manifest, ...]
    about_paper: Manifest


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Our own registry, one for all tests; each has a repository to itself."""
    server = Serving(str(tmp_path_factory.mktemp("served") / "data"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=[*STORES, OURS])
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == OURS:
        server: Serving = request.getfixturevalue("served")
        async with client() as made:
            yield made.remote(server.host, f"test/{next(NUMBERS)}")
        return
    async with STORES[request.param](tmp_path) as store:
        yield store


@pytest.fixture
async def case(empty: Store) -> Case:
    image = builders.image(b"layer")
    papers = tuple(builders.with_papers(image, 2))
    above = builders.artifact(papers[0], payload=b"about a paper")
    blobs = [*builders.blobs_of(b"layer").values(), b"about a paper"]
    await fill(empty, [image, *papers, above], blobs)
    await empty.put_tag("v1", image.digest)
    return Case(empty, image, papers, above)


async def test_a_tag_names_a_manifest(case: Case) -> None:
    assert case.image.digest == await case.store.resolve("v1")


async def test_no_such_tag_is_an_authoritative_no(case: Case) -> None:
    assert await case.store.resolve("v2") is None


async def test_an_empty_store_has_nothing(empty: Store) -> None:
    assert await empty.resolve("v1") is None
    assert await empty.manifests([ABSENT]) == {ABSENT: None}
    assert {ABSENT} == await empty.lacks([ABSENT])
    assert [tag async for tag in empty.tags()] == []


async def test_manifests_come_back_byte_for_byte(case: Case) -> None:
    wanted = [case.image.digest, case.papers[0].digest, ABSENT]
    found = await case.store.manifests(wanted)
    assert found == {
        case.image.digest: case.image,
        case.papers[0].digest: case.papers[0],
        ABSENT: None,
    }


async def test_papers_are_found_by_subject(case: Case) -> None:
    searches = await case.store.papers([case.image.digest, case.papers[0].digest, ABSENT])
    found = {
        subject: {link.source for link in search.links} for subject, search in searches.items()
    }
    assert found == {
        case.image.digest: {paper.digest for paper in case.papers},
        case.papers[0].digest: {case.about_paper.digest},
        ABSENT: set(),
    }
    assert all(not search.blind for search in searches.values())
    links = [link for search in searches.values() for link in search.links]
    assert all(link.rel is Rel.SUBJECT for link in links)


async def test_a_paper_may_come_before_its_subject(empty: Store) -> None:
    image = builders.image(b"layer")
    paper = builders.artifact(image)
    await fill(empty, [paper], builders.blobs_of(b"layer").values())
    search = (await empty.papers([image.digest]))[image.digest]
    assert [paper.digest] == [link.source for link in search.links]


async def test_cosigns_tags_state_papers(case: Case) -> None:
    signature = builders.image(b"a signature")
    await fill(case.store, [signature], [b"a signature"])
    tag = cosign_tag(case.image.digest, "sig")
    assert tag is not None
    await case.store.put_tag(tag, signature.digest)
    search = (await case.store.papers([case.image.digest]))[case.image.digest]
    assert signature.digest in {link.source for link in search.links}
    assert {"v1", tag} <= {found async for found in case.store.tags()}


async def test_tags_are_listed_in_order(case: Case) -> None:
    for tag in ("b", "a", "Z"):
        await case.store.put_tag(tag, case.image.digest)
    ordinary = [tag async for tag in case.store.tags() if not tag.startswith("sha256-")]
    assert ordinary == ["Z", "a", "b", "v1"]


async def test_a_tag_moves(case: Case) -> None:
    await case.store.put_tag("v1", case.papers[1].digest)
    assert case.papers[1].digest == await case.store.resolve("v1")


async def test_a_tag_moves_only_from_where_it_is_expected(case: Case) -> None:
    with pytest.raises(TagMoved):
        await case.store.put_tag("v1", case.papers[0].digest, expected=case.papers[1].digest)
    assert case.image.digest == await case.store.resolve("v1")
    await case.store.put_tag("v1", case.papers[0].digest, expected=case.image.digest)
    assert case.papers[0].digest == await case.store.resolve("v1")


async def test_a_tag_that_should_be_new_moves_nothing(case: Case) -> None:
    with pytest.raises(TagMoved):
        await case.store.put_tag("v1", case.papers[0].digest, new=True)
    assert case.image.digest == await case.store.resolve("v1")
    await case.store.put_tag("v2", case.papers[0].digest, new=True)
    assert case.papers[0].digest == await case.store.resolve("v2")


async def test_a_tag_needs_its_manifest(case: Case) -> None:
    with pytest.raises(ContentMissing):
        await case.store.put_tag("v2", ABSENT)
    assert await case.store.resolve("v2") is None


async def test_parts_come_before_wholes(empty: Store) -> None:
    image = builders.image(b"layer")
    with pytest.raises((ContentMissing, Refused)):
        await empty.put_manifest(image)
    assert {image.digest: None} == await empty.manifests([image.digest])


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
async def test_blobs_come_back(empty: Store, size: int) -> None:
    data = os.urandom(size)
    digest = digests.of(data)
    await empty.put_blob(digest, size, one(data))
    async with empty.blob(digest) as chunks:
        assert data == b"".join([chunk async for chunk in chunks])
    assert await empty.lacks([digest, ABSENT]) == {ABSENT}


async def test_a_blob_can_be_read_from_the_middle(empty: Store) -> None:
    data = os.urandom(100_000)
    await empty.put_blob(digests.of(data), len(data), one(data))
    for start in (1, 70_000, len(data)):
        async with empty.blob(digests.of(data), start) as chunks:
            assert data[start:] == b"".join([chunk async for chunk in chunks])


async def test_blobs_may_have_a_sha512_digest(empty: Store) -> None:
    digest = digests.of(b"data", "sha512")
    await empty.put_blob(digest, 4, one(b"data"))
    async with empty.blob(digest) as chunks:
        assert b"".join([chunk async for chunk in chunks]) == b"data"


async def test_a_missing_blob_is_missing_at_once(empty: Store) -> None:
    with pytest.raises(BlobMissing):
        async with empty.blob(ABSENT):
            pytest.fail("there is nothing to read")


@pytest.mark.parametrize("sent", [b"other bytes", b"data and more", b"dat"])
async def test_wrong_bytes_are_not_taken(empty: Store, sent: bytes) -> None:
    digest = digests.of(b"data")
    with pytest.raises(DigestMismatch):
        await empty.put_blob(digest, 4, one(sent))
    assert {digest} == await empty.lacks([digest])


async def test_puts_may_be_repeated(case: Case) -> None:
    await fill(case.store, [case.image, *case.papers], builders.blobs_of(b"layer").values())
    await case.store.put_tag("v1", case.image.digest)
    search = (await case.store.papers([case.image.digest]))[case.image.digest]
    assert len(search.links) == 2


async def test_what_is_no_manifest_is_unreadable_or_absent(empty: Store) -> None:
    digest = digests.of(b"no manifest")
    await empty.put_blob(digest, 11, one(b"no manifest"))
    found = (await empty.manifests([digest]))[digest]
    assert found is None or isinstance(found, Unreadable)


async def test_a_whole_retinue_comes_and_goes(case: Case) -> None:
    other = MemoryStore()
    report = await copy(case.store, other, [Wanted("v1", ("v1",))])
    assert report.tags == {"v1": case.image.digest}
    everything = {case.image.digest, case.about_paper.digest, *(p.digest for p in case.papers)}
    assert everything == set(other.content)
    assert other.content[case.about_paper.digest].raw == case.about_paper.raw


async def test_an_archive_holds_what_was_put(tmp_path: Path) -> None:
    image = builders.image(b"layer")
    paper = builders.artifact(image)
    path = tmp_path / "images.tar"
    async with write_oci_archive(path) as sink:
        await fill(sink, [image, paper], builders.blobs_of(b"layer").values())
        await sink.put_tag("v1", image.digest)
    async with read_oci_archive(path) as source:
        await _check(source, image, paper)


async def _check(source: Source, image: Manifest, paper: Manifest) -> None:
    assert image.digest == await source.resolve("v1")
    assert {paper.digest: paper} == await source.manifests([paper.digest])
    search = (await source.papers([image.digest]))[image.digest]
    assert [paper.digest] == [link.source for link in search.links]
    for digest, data in builders.blobs_of(b"layer").items():
        async with source.blob(digest) as chunks:
            assert data == b"".join([chunk async for chunk in chunks])


async def test_against_a_registry_of_others(tmp_path: Path) -> None:
    image = builders.image(b"layer")
    paper = builders.artifact(image)
    async with olareg(tmp_path) as store:
        await fill(store, [image, paper], builders.blobs_of(b"layer").values())
        await store.put_tag("v1", image.digest)
        await _check(store, image, paper)
        report = await copy(store, MemoryStore(), [Wanted("v1", ("v1",))])
        assert [paper.digest] == report.papers
