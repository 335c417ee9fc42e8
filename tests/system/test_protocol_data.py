"""Each kind of manifest goes in and comes out byte for byte, is listed, and deleted.

On SQLite and on PostgreSQL, with sha256 and with sha512.
"""

import json
from collections.abc import Iterator
from zlib import crc32

import pytest

from builders import CONFIG, LAYER, image, index
from kinds import KINDS, Sample, about
from protocol import ALGORITHMS, Client, path_of, refused
from retinue.oci import digest as digests
from retinue.oci.manifest import Manifest
from serving import Serving, on_database

algorithms = pytest.mark.parametrize("algorithm", ALGORITHMS)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """A server that also takes what lacks its parts, on each database."""
    serving = Serving(str(tmp_path_factory.mktemp("data") / "data"), {"sparse": "true"})
    with on_database(serving, request):
        yield serving


@pytest.fixture
def client(site: Serving) -> Iterator[Client]:
    client = Client(site)
    yield client
    client.close()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository for each test."""
    return f"data/{crc32(request.node.nodeid.encode()):x}"


@algorithms
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_goes_in_and_out_is_listed_and_deleted(
    client: Client, name: str, kind: str, algorithm: str
) -> None:
    sample = KINDS[kind](algorithm)
    tags = [f"v{number}" for number in range(len(sample.manifests))]
    for data in sample.blobs:
        client.push_blob(name, data, algorithm)
    for tag, manifest in zip(tags, sample.manifests, strict=True):
        push(client, name, manifest, tag, algorithm)
        assert_pulled(client, name, manifest, tag)
    assert client.tags(name) == tags
    assert_listed(client, name, sample)
    assert_deleted(client, name, sample, tags, algorithm)


def push(client: Client, name: str, manifest: Manifest, tag: str, algorithm: str) -> None:
    """At a tag, or by digest with the tag beside it; in parts, without Content-Length."""
    reference = tag if algorithm == "sha256" else f"{manifest.digest}?tag={tag}"
    half = len(manifest.raw) // 2
    answer = client.put(
        f"/v2/{name}/manifests/{reference}",
        [manifest.raw[:half], manifest.raw[half:]],
        content_type=manifest.media_type,
    )
    assert answer.status == 201, answer.body
    assert answer.headers["docker-content-digest"] == manifest.digest
    assert path_of(answer.headers["location"]) == f"/v2/{name}/manifests/{manifest.digest}"
    subject = manifest.subject.digest if manifest.subject else None
    assert answer.headers.get("oci-subject") == subject


def assert_pulled(client: Client, name: str, manifest: Manifest, tag: str) -> None:
    for reference in (tag, manifest.digest):
        path = f"/v2/{name}/manifests/{reference}"
        got, head = client.get(path), client.head(path)
        assert (got.status, head.status) == (200, 200)
        assert got.body == manifest.raw
        for answer in (got, head):
            assert answer.headers["content-type"] == manifest.media_type
            assert answer.headers["content-length"] == str(len(manifest.raw))
            assert answer.headers["docker-content-digest"] == manifest.digest


def assert_listed(client: Client, name: str, sample: Sample) -> None:
    for subject, wanted in sample.papers.items():
        found = client.referrers(name, subject)
        assert sorted(map(canonical, found)) == sorted(map(canonical, wanted))
    for manifest in sample.manifests:
        if manifest.digest not in sample.papers:
            assert client.referrers(name, manifest.digest) == []


def canonical(entry: object) -> str:
    return json.dumps(entry, sort_keys=True)


def assert_deleted(
    client: Client, name: str, sample: Sample, tags: list[str], algorithm: str
) -> None:
    """Tags, then wholes before parts; each is gone at once."""
    for tag in tags:
        assert client.delete(f"/v2/{name}/manifests/{tag}").status == 202
        refused(client.get(f"/v2/{name}/manifests/{tag}"), 404, "MANIFEST_UNKNOWN")
    assert client.tags(name) == []
    for manifest in reversed(sample.manifests):
        path = f"/v2/{name}/manifests/{manifest.digest}"
        assert client.get(path).body == manifest.raw
        assert client.delete(path).status == 202
        refused(client.get(path), 404, "MANIFEST_UNKNOWN")
        assert client.head(path).status == 404
    for subject in sample.papers:
        assert client.referrers(name, subject) == []
    for data in sample.blobs:
        path = f"/v2/{name}/blobs/{digests.of(data, algorithm)}"
        assert client.delete(path).status == 202
        refused(client.get(path), 404, "BLOB_UNKNOWN")


# ---- what is there in part


@algorithms
def test_an_index_may_lack_children_where_that_is_allowed(
    client: Client, name: str, algorithm: str
) -> None:
    here, late = (image(algorithm=algorithm, annotations={"number": each}) for each in "12")
    client.push_all(name, [CONFIG, LAYER], algorithm=algorithm)
    client.push(name, here)
    whole = index(about(here, algorithm), about(late, algorithm), algorithm=algorithm)
    client.push(name, whole)
    assert client.get(f"/v2/{name}/manifests/{whole.digest}").body == whole.raw
    refused(client.get(f"/v2/{name}/manifests/{late.digest}"), 404, "MANIFEST_UNKNOWN")
    client.push(name, late)
    assert client.get(f"/v2/{name}/manifests/{late.digest}").body == late.raw


@algorithms
def test_a_blob_of_an_image_must_be_there_all_the_same(
    client: Client, name: str, algorithm: str
) -> None:
    found = image(b"never pushed", algorithm=algorithm)
    path = f"/v2/{name}/manifests/{found.digest}"
    answer = client.put(path, found.raw, content_type=found.media_type)
    refused(answer, 404, "MANIFEST_BLOB_UNKNOWN")


# ---- names of both algorithms


def test_the_two_digests_of_the_same_bytes_are_two_objects(client: Client, name: str) -> None:
    one, two = (index(algorithm=each) for each in ALGORITHMS)
    assert one.raw == two.raw
    client.push(name, one)
    refused(client.get(f"/v2/{name}/manifests/{two.digest}"), 404, "MANIFEST_UNKNOWN")
    client.push(name, two)
    assert client.delete(f"/v2/{name}/manifests/{one.digest}").status == 202
    refused(client.get(f"/v2/{name}/manifests/{one.digest}"), 404, "MANIFEST_UNKNOWN")
    assert client.get(f"/v2/{name}/manifests/{two.digest}").body == two.raw
