"""Manifests: pushing, pulling, conditions, deletion (distribution-spec end-3, 7, 9)."""

from collections.abc import Iterator
from zlib import crc32

import pytest

from builders import CONFIG, LAYER, artifact, blobs_of, describe, dump, image, index
from protocol import ALGORITHMS, Client, path_of, refused
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.manifest import Manifest
from serving import Serving

algorithms = pytest.mark.parametrize("algorithm", ALGORITHMS)
MOST_TAGS = 32


@pytest.fixture
def client(registry: Serving) -> Iterator[Client]:
    client = Client(registry)
    yield client
    client.close()


@pytest.fixture
def name(request: pytest.FixtureRequest, client: Client) -> str:
    """A repository for each test, that holds the parts of images and papers."""
    name = f"manifests/{crc32(request.node.nodeid.encode()):x}"
    client.push_all(name, blobs_of().values())
    client.push_all(name, [CONFIG, LAYER], algorithm="sha512")
    return name


def made(algorithm: str, **more: str) -> Manifest:
    return image(algorithm=algorithm, annotations=more)


# ---- push


@algorithms
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_by_digest(client: Client, name: str, algorithm: str, streamed: bool) -> None:
    manifest = made(algorithm)
    path = f"/v2/{name}/manifests/{manifest.digest}"
    body = [manifest.raw[:7], manifest.raw[7:]] if streamed else manifest.raw
    answer = client.put(path, body, content_type=manifest.media_type)
    assert (answer.status, answer.headers["docker-content-digest"]) == (201, manifest.digest)
    assert path_of(answer.headers["location"]) == path
    assert not {"oci-subject", "oci-tag"} & set(answer.headers)
    assert client.get(path).body == manifest.raw
    assert client.tags(name) == []


def test_by_tag_which_moves(client: Client, name: str) -> None:
    path = f"/v2/{name}/manifests/v1"
    for manifest in (made("sha256"), made("sha256", build="2")):
        answer = client.put(path, manifest.raw, content_type=manifest.media_type)
        assert (answer.status, answer.headers["docker-content-digest"]) == (201, manifest.digest)
        location = path_of(answer.headers["location"])
        for each in (path, location):
            assert client.get(each).body == manifest.raw
    assert client.tags(name) == ["v1"]
    assert client.get(f"/v2/{name}/manifests/{made('sha256').digest}").status == 200


@algorithms
@pytest.mark.parametrize("count", [1, 10, MOST_TAGS])
def test_tags_in_the_query(client: Client, name: str, algorithm: str, count: int) -> None:
    manifest = made(algorithm)
    tags = [f"t{number:02}" for number in range(count)]
    query = "&".join(f"tag={tag}" for tag in tags)
    path = f"/v2/{name}/manifests/{manifest.digest}"
    answer = client.put(f"{path}?{query}", manifest.raw, content_type=manifest.media_type)
    assert answer.status == 201
    assert answer.headers["oci-tag"].split(", ") == tags
    assert client.tags(name) == tags
    for tag in tags:
        found = client.get(f"/v2/{name}/manifests/{tag}")
        assert (found.body, found.headers["docker-content-digest"]) == (
            manifest.raw,
            manifest.digest,
        )


@pytest.mark.parametrize("count", [MOST_TAGS + 1, 1000])
def test_more_tags_than_are_accepted_set_none(client: Client, name: str, count: int) -> None:
    manifest = made("sha256")
    query = "&".join(f"tag=t{number}" for number in range(count))
    path = f"/v2/{name}/manifests/{manifest.digest}"
    answer = client.put(f"{path}?{query}", manifest.raw, content_type=manifest.media_type)
    refused(answer, 414, "SIZE_INVALID")
    assert client.head(path).status == 404
    assert client.tags(name) == []


def test_tags_in_the_query_need_a_digest_in_the_path(client: Client, name: str) -> None:
    manifest = made("sha256")
    answer = client.put(
        f"/v2/{name}/manifests/v1?tag=v2", manifest.raw, content_type=manifest.media_type
    )
    refused(answer, 400, "MANIFEST_INVALID")
    assert client.tags(name) == []


@algorithms
@pytest.mark.parametrize("present", [True, False], ids=["present", "missing"])
@pytest.mark.parametrize("kind", ["image", "index", "artifact"])
def test_with_a_subject(
    client: Client, name: str, algorithm: str, present: bool, kind: str
) -> None:
    subject = made(algorithm, of=kind)
    if present:
        client.push(name, subject)
    about = describe(subject.raw, subject.media_type, algorithm)
    build = {"image": image, "index": index, "artifact": artifact}[kind]
    paper = build(subject=about, algorithm=algorithm)  # type: ignore[operator]
    answer = client.push(name, paper)
    assert answer.headers["oci-subject"] == subject.digest
    (entry,) = client.referrers(name, subject.digest)
    assert entry["digest"] == paper.digest
    assert client.head(f"/v2/{name}/manifests/{subject.digest}").status == (200 if present else 404)


@algorithms
def test_bytes_with_another_digest_are_refused(client: Client, name: str, algorithm: str) -> None:
    manifest = made(algorithm)
    path = f"/v2/{name}/manifests/{manifest.digest}"
    answer = client.put(path, manifest.raw + b"  ", content_type=manifest.media_type)
    refused(answer, 400, "DIGEST_INVALID")
    refused(client.get(path), 404, "MANIFEST_UNKNOWN")


def test_parts_must_be_there(client: Client, name: str) -> None:
    for manifest, missing in (
        (image(b"never pushed"), digests.of(b"never pushed")),
        (index(made("sha256", never="pushed")), made("sha256", never="pushed").digest),
    ):
        path = f"/v2/{name}/manifests/{manifest.digest}"
        answer = client.put(path, manifest.raw, content_type=manifest.media_type)
        refused(answer, 404, "MANIFEST_BLOB_UNKNOWN")
        assert missing.encode() in answer.body
        assert client.head(path).status == 404


def test_what_is_larger_than_the_limit_is_refused_however_it_comes(
    client: Client, name: str
) -> None:
    body = dump({"a": "x" * (4 << 20)})
    for whole in (body, [body[:100_000], body[100_000:]]):
        answer = client.put(f"/v2/{name}/manifests/v1", whole, content_type=names.OCI_MANIFEST)
        refused(answer, 413, "SIZE_INVALID")
    assert client.tags(name) == []


def test_the_type_comes_from_the_header_or_else_from_the_body(client: Client, name: str) -> None:
    raw = made("sha256").raw
    silent = dump({"schemaVersion": 2, "config": describe(CONFIG, names.OCI_CONFIG), "layers": []})
    for body, header in (
        (raw, f"{names.OCI_MANIFEST}; charset=utf-8"),
        (raw, names.OCI_MANIFEST.upper().lower()),
        (silent, names.OCI_MANIFEST),
        (raw, None),
    ):
        headers = {"content-type": header} if header else {}
        answer = client.call("PUT", f"/v2/{name}/manifests/v1", body, headers)
        assert answer.status == 201, answer.body
        got = client.get(f"/v2/{name}/manifests/v1")
        assert (got.body, got.headers["content-type"]) == (body, names.OCI_MANIFEST)
    answer = client.put(f"/v2/{name}/manifests/v2", silent)
    refused(answer, 400, "MANIFEST_INVALID")


# ---- pull


@algorithms
def test_get_and_head_agree(client: Client, name: str, algorithm: str) -> None:
    manifest = made(algorithm)
    client.push(name, manifest, f"{manifest.digest}?tag=v1")
    for reference in ("v1", manifest.digest):
        path = f"/v2/{name}/manifests/{reference}"
        for accept in ("*/*", "text/html", manifest.media_type, ""):
            got = client.get(path, accept=accept, accept_encoding="gzip")
            head = client.head(path, accept=accept)
            assert (got.status, got.body) == (200, manifest.raw)
            assert (head.status, head.body) == (200, b"")
            for each in (got, head):
                assert each.headers["content-type"] == manifest.media_type
                assert each.headers["content-length"] == str(len(manifest.raw))
                assert each.headers["docker-content-digest"] == manifest.digest
                assert "content-encoding" not in each.headers


@pytest.mark.parametrize("reference", ["v1", digests.of(b"x"), digests.of(b"x", "sha512")])
def test_what_is_not_there(client: Client, name: str, reference: str) -> None:
    path = f"/v2/{name}/manifests/{reference}"
    refused(client.get(path), 404, "MANIFEST_UNKNOWN")
    assert client.head(path).status == 404
    refused(client.delete(path), 404, "MANIFEST_UNKNOWN")
    refused(client.get(f"/v2/{name}/unheard/of/manifests/{reference}"), 404, "NAME_UNKNOWN")


@pytest.mark.parametrize("reference", ["sha256:baddigeststring", "sha256:", "blake3:" + "a" * 64])
def test_what_is_no_digest(client: Client, name: str, reference: str) -> None:
    path = f"/v2/{name}/manifests/{reference}"
    raw = made("sha256").raw
    for answer in (
        client.get(path),
        client.put(path, raw, content_type=names.OCI_MANIFEST),
        client.delete(path),
    ):
        refused(answer, 400, "DIGEST_INVALID")


# ---- conditions


def test_if_none_match_saves_the_body(client: Client, name: str) -> None:
    manifest = made("sha256")
    client.push(name, manifest, "v1")
    path = f"/v2/{name}/manifests/v1"
    etag = client.get(path).headers["etag"]
    for value in (etag, f'"other", {etag}', f"W/{etag}"):
        answer = client.get(path, if_none_match=value)
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    assert client.head(path, if_none_match=etag).status == 304
    assert client.get(path, if_none_match='"other"').body == manifest.raw


def test_a_tag_moves_only_from_where_the_client_saw_it(client: Client, name: str) -> None:
    first, second, third = (made("sha256", build=str(number)) for number in range(3))
    path = f"/v2/{name}/manifests/v1"

    def move(manifest: Manifest, **condition: str) -> int:
        headers = {"content_type": manifest.media_type, **condition}
        answer = client.put(path, manifest.raw, **headers)
        if answer.status == 412:
            refused(answer, 412, "DENIED")
            assert answer.headers.get("etag") == client.head(path).headers.get("etag")
        return answer.status

    assert move(first, if_match="*") == 412
    assert move(first, if_none_match="*") == 201
    assert move(second, if_none_match="*") == 412
    assert move(second, if_match=f'"{third.digest}"') == 412
    assert client.get(path).body == first.raw
    assert move(second, if_match=f'"{first.digest}"') == 201
    assert move(third, if_match=f'"{first.digest}"') == 412
    assert move(third, if_match=f'"{first.digest}", "{second.digest}"') == 201
    refused(client.delete(path, if_match=f'"{first.digest}"'), 412, "DENIED")
    assert client.delete(path, if_match=f'"{third.digest}"').status == 202
    assert client.tags(name) == []


def test_a_condition_needs_exactly_one_tag(client: Client, name: str) -> None:
    manifest = made("sha256")
    path = f"/v2/{name}/manifests/{manifest.digest}"
    for query, value in (("", "*"), ("?tag=a&tag=b", "*"), ("?tag=a", "no-etag"), ("?tag=a", "")):
        answer = client.put(
            path + query, manifest.raw, content_type=manifest.media_type, if_match=value
        )
        refused(answer, 400, "UNSUPPORTED")
    assert client.head(path).status == 404


# ---- deletion


def test_a_deleted_tag_is_gone_at_once_and_the_manifest_stays(client: Client, name: str) -> None:
    manifest = made("sha256")
    client.push(name, manifest, f"{manifest.digest}?tag=v1&tag=v2")
    path = f"/v2/{name}/manifests/v1"
    assert client.delete(path).status == 202
    for answer in (client.get(path), client.delete(path)):
        refused(answer, 404, "MANIFEST_UNKNOWN")
    assert client.head(path).status == 404
    assert client.tags(name) == ["v2"]
    assert client.get(f"/v2/{name}/manifests/{manifest.digest}").body == manifest.raw


@algorithms
def test_a_deleted_manifest_is_gone_at_once_with_its_tags_and_papers(
    client: Client, name: str, algorithm: str
) -> None:
    manifest = made(algorithm)
    paper = artifact(describe(manifest.raw, manifest.media_type, algorithm))
    client.push(name, manifest, f"{manifest.digest}?tag=v1&tag=v2")
    client.push(name, paper)
    path = f"/v2/{name}/manifests/{manifest.digest}"
    assert client.delete(path).status == 202
    assert client.tags(name) == []
    for reference in (manifest.digest, "v1", "v2", paper.digest):
        each = f"/v2/{name}/manifests/{reference}"
        refused(client.get(each), 404, "MANIFEST_UNKNOWN")
        assert client.head(each).status == 404
    refused(client.delete(path), 404, "MANIFEST_UNKNOWN")
    client.push(name, manifest)
    assert client.referrers(name, manifest.digest) == []


def test_what_is_part_of_something_stays_as_long_as_that(client: Client, name: str) -> None:
    child = made("sha256")
    parent = index(child)
    client.push(name, child)
    client.push(name, parent)
    refused(client.delete(f"/v2/{name}/manifests/{child.digest}"), 405, "UNSUPPORTED")
    refused(client.delete(f"/v2/{name}/blobs/{digests.of(LAYER)}"), 405, "UNSUPPORTED")
    for each in (parent, child):
        assert client.delete(f"/v2/{name}/manifests/{each.digest}").status == 202
    assert client.delete(f"/v2/{name}/blobs/{digests.of(LAYER)}").status == 202
