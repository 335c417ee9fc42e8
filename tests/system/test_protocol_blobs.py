"""Blobs: every way in, every way out (distribution-spec end-2, 4 to 6, 10, 11, 13, 14)."""

from collections.abc import Iterator
from itertools import pairwise
from random import Random
from zlib import crc32

import pytest

from builders import blobs_of, image
from protocol import ALGORITHMS, Client, files, path_of, refused, with_digest
from retinue.oci import digest as digests
from serving import Reply, Serving

LARGE = Random(1).randbytes(700_001)  # more than what is kept in the catalog
SIZES = {"empty": b"", "small": b"some bytes", "large": LARGE}
THIRDS = Random(2).randbytes(3 * 1024 - 5)
CHUNKS = [(0, 1024), (1024, 2048), (2048, len(THIRDS))]

algorithms = pytest.mark.parametrize("algorithm", ALGORITHMS)
sizes = pytest.mark.parametrize("data", SIZES.values(), ids=SIZES)


@pytest.fixture
def client(registry: Serving) -> Iterator[Client]:
    client = Client(registry)
    yield client
    client.close()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository for each test."""
    return f"blobs/{crc32(request.node.nodeid.encode()):x}"


def stored(client: Client, name: str, data: bytes, algorithm: str, answer: Reply) -> None:
    """The answer says so, and the blob is there, byte for byte, with exact headers."""
    digest = digests.of(data, algorithm)
    path = f"/v2/{name}/blobs/{digest}"
    assert answer.status == 201, answer.body
    assert path_of(answer.headers["location"]) == path
    assert answer.headers["docker-content-digest"] == digest
    got = client.get(path, accept_encoding="gzip")
    assert (got.status, got.body) == (200, data)
    head = client.head(path)
    assert (head.status, head.body) == (200, b"")
    for each in (got, head):
        assert each.headers["content-length"] == str(len(data))
        assert each.headers["docker-content-digest"] == digest
        assert "content-encoding" not in each.headers


# ---- ways in


@algorithms
@sizes
def test_a_single_post(client: Client, name: str, data: bytes, algorithm: str) -> None:
    digest = digests.of(data, algorithm)
    answer = client.post(f"/v2/{name}/blobs/uploads/?digest={digest}", data)
    stored(client, name, data, algorithm, answer)


@algorithms
@sizes
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "unannounced"])
def test_post_and_put(
    client: Client, name: str, data: bytes, algorithm: str, announced: bool
) -> None:
    location = client.begin(name, f"?digest-algorithm={algorithm}" if announced else "")
    digest = digests.of(data, algorithm)
    answer = client.put(
        with_digest(location, digest), data, content_type="application/octet-stream"
    )
    stored(client, name, data, algorithm, answer)


@algorithms
@pytest.mark.parametrize("closing", [True, False], ids=["empty-put", "last-chunk-in-put"])
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "unannounced"])
def test_chunks(client: Client, name: str, algorithm: str, announced: bool, closing: bool) -> None:
    location = client.begin(name, f"?digest-algorithm={algorithm}" if announced else "")
    for start, end in CHUNKS if closing else CHUNKS[:-1]:
        answer = chunk(client, location, start, end)
        assert (answer.status, answer.headers["range"]) == (202, f"0-{end - 1}")
        location = path_of(answer.headers["location"])
        status = client.get(location)
        assert (status.status, status.headers["range"]) == (204, f"0-{end - 1}")
    path = with_digest(location, digests.of(THIRDS, algorithm))
    start, end = CHUNKS[-1]
    last = (
        client.put(path)
        if closing
        else client.put(path, THIRDS[start:end], content_range=f"{start}-{end - 1}")
    )
    stored(client, name, THIRDS, algorithm, last)


def chunk(client: Client, location: str, start: int, end: int, data: bytes = THIRDS) -> Reply:
    return client.patch(
        location,
        data[start:end],
        content_range=f"{start}-{end - 1}",
        content_type="application/octet-stream",
    )


@algorithms
def test_chunks_out_of_order_are_refused_and_the_session_goes_on(
    client: Client, name: str, algorithm: str
) -> None:
    first, second, third = CHUNKS
    location = client.begin(name)
    path = with_digest(location, digests.of(THIRDS, algorithm))
    refused_at(client, location, chunk(client, location, *second), 0)
    assert chunk(client, location, *first).status == 202
    refused_at(client, location, chunk(client, location, *first), 1024)
    refused_at(client, location, chunk(client, location, *third), 1024)
    early = client.put(path, THIRDS[2048:], content_range=f"2048-{len(THIRDS) - 1}")
    refused_at(client, location, early, 1024)
    assert chunk(client, location, *second).status == 202
    assert chunk(client, location, *third).status == 202
    stored(client, name, THIRDS, algorithm, client.put(path))


def refused_at(client: Client, location: str, answer: Reply, offset: int) -> None:
    """416, and where to go on; the session says the same."""
    wanted = f"0-{max(0, offset - 1)}"
    refused(answer, 416, "BLOB_UPLOAD_INVALID")
    assert answer.headers["range"] == wanted
    assert path_of(answer.headers["location"]) == location
    status = client.get(location)
    assert (status.status, status.headers["range"]) == (204, wanted)


@algorithms
@pytest.mark.parametrize("data", [THIRDS, LARGE], ids=["small", "large"])
def test_a_stream_without_a_length(client: Client, name: str, data: bytes, algorithm: str) -> None:
    location = client.begin(name)
    parts = [data[start:end] for start, end in pairwise([0, 1, 1000, len(data)])]
    answer = client.patch(location, parts, content_type="application/octet-stream")
    assert (answer.status, answer.headers["range"]) == (202, f"0-{len(data) - 1}")
    location = path_of(answer.headers["location"])
    done = client.put(with_digest(location, digests.of(data, algorithm)))
    stored(client, name, data, algorithm, done)


@algorithms
def test_a_single_post_may_be_a_stream_too(client: Client, name: str, algorithm: str) -> None:
    digest = digests.of(LARGE, algorithm)
    answer = client.post(f"/v2/{name}/blobs/uploads/?digest={digest}", [LARGE[:9], LARGE[9:]])
    stored(client, name, LARGE, algorithm, answer)


@algorithms
def test_pushing_twice_is_as_good_as_once(client: Client, name: str, algorithm: str) -> None:
    for data in (b"again", LARGE):
        digest = client.push_blob(name, data, algorithm)
        again = client.post(f"/v2/{name}/blobs/uploads/?digest={digest}", data)
        stored(client, name, data, algorithm, again)


def test_a_put_that_is_repeated_answers_as_before(client: Client, name: str) -> None:
    for parts in ([], [b"in a chunk"]):
        location = client.begin(name)
        for part in parts:
            assert client.patch(location, part).status == 202
        path = with_digest(location, digests.of(b"".join(parts)))
        assert [client.put(path).status for _ in range(2)] == [201, 201]
        refused(client.get(location), 404, "BLOB_UPLOAD_UNKNOWN")


# ---- ways that end without a blob


@algorithms
@pytest.mark.parametrize("started", [True, False], ids=["with-bytes", "fresh"])
def test_a_cancelled_upload_is_over_and_its_bytes_are_gone(
    client: Client, registry: Serving, name: str, algorithm: str, started: bool
) -> None:
    before = files(registry)
    location = client.begin(name, f"?digest-algorithm={algorithm}")
    if started:
        assert client.patch(location, LARGE).status == 202
        assert len(files(registry)) == len(before) + 1
    assert client.delete(location).status == 204
    assert files(registry) == before
    digest = digests.of(LARGE, algorithm)
    for answer in (
        client.get(location),
        client.patch(location, LARGE),
        client.put(with_digest(location, digest), LARGE),
        client.delete(location),
    ):
        refused(answer, 404, "BLOB_UPLOAD_UNKNOWN")
    assert client.head(f"/v2/{name}/blobs/{digest}").status == 404
    assert files(registry) == before


@algorithms
@sizes
def test_bytes_with_another_digest_are_never_stored(
    client: Client, registry: Serving, name: str, data: bytes, algorithm: str
) -> None:
    before = files(registry)
    digest = digests.of(data + b"!", algorithm)
    posted = client.post(f"/v2/{name}/blobs/uploads/?digest={digest}", data)
    refused(posted, 400, "DIGEST_INVALID")
    location = client.begin(name)
    refused(client.put(with_digest(location, digest), data), 400, "DIGEST_INVALID")
    if data:
        assert client.patch(location, data).status == 202
        refused(client.put(with_digest(location, digest)), 400, "DIGEST_INVALID")
        assert client.delete(location).status == 204
    assert client.head(f"/v2/{name}/blobs/{digest}").status == 404
    assert files(registry) == before


# ---- mounts


@algorithms
@pytest.mark.parametrize("data", [b"mounted", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("told", [True, False], ids=["from", "anywhere"])
def test_a_mount(client: Client, name: str, data: bytes, algorithm: str, told: bool) -> None:
    digest = client.push_blob(f"{name}/source", data, algorithm)
    source = f"&from={name}/source" if told else ""
    answer = client.post(f"/v2/{name}/blobs/uploads/?mount={digest}{source}")
    stored(client, name, data, algorithm, answer)
    assert client.delete(f"/v2/{name}/source/blobs/{digest}").status == 202
    assert client.get(f"/v2/{name}/blobs/{digest}").body == data


@algorithms
@pytest.mark.parametrize("source", ["", "&from=blobs/unheard/of", "&from=Not%20a%20name"])
def test_a_mount_of_what_is_not_there_begins_an_upload(
    client: Client, name: str, algorithm: str, source: str
) -> None:
    data = f"{name}{algorithm}".encode()
    digest = digests.of(data, algorithm)
    answer = client.post(f"/v2/{name}/blobs/uploads/?mount={digest}{source}")
    assert answer.status == 202
    location = path_of(answer.headers["location"])
    stored(client, name, data, algorithm, client.put(with_digest(location, digest), data))


# ---- ways out


@algorithms
@pytest.mark.parametrize("unit", [500, 50_000], ids=["small", "large"])
def test_ranges(client: Client, name: str, unit: int, algorithm: str) -> None:
    data = LARGE[: 6 * unit]
    path = f"/v2/{name}/blobs/{client.push_blob(name, data, algorithm)}"
    for header, start, end in (
        (f"{unit}-{3 * unit - 1}", unit, 3 * unit),
        (f"{unit}-", unit, len(data)),
        (f"-{unit}", 5 * unit, len(data)),
        (f"{4 * unit}-{10 * unit}", 4 * unit, len(data)),
        (f"-{10 * unit}", 0, len(data)),
        ("0-0", 0, 1),
    ):
        answer = client.get(path, range=f"bytes={header}")
        assert answer.status == 206
        assert answer.body == data[start:end]
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(data)}"
        assert answer.headers["content-length"] == str(end - start)
    for header in (f"{unit}-0", f"{6 * unit}-", f"{10 * unit}-{20 * unit}", "-0"):
        answer = client.get(path, range=f"bytes={header}")
        refused(answer, 416, "SIZE_INVALID")
        assert answer.headers["content-range"] == f"bytes */{len(data)}"


@pytest.mark.parametrize("header", ["bytes=0-1,3-4", "lines=1-2", "bytes", "bytes=-", "x"])
def test_a_range_that_means_nothing_is_ignored(client: Client, name: str, header: str) -> None:
    path = f"/v2/{name}/blobs/{client.push_blob(name, THIRDS)}"
    answer = client.get(path, range=header)
    assert (answer.status, answer.body) == (200, THIRDS)


@pytest.mark.parametrize("data", [b"kept", LARGE], ids=["small", "large"])
def test_a_client_that_has_it_already_is_told_so(client: Client, name: str, data: bytes) -> None:
    path = f"/v2/{name}/blobs/{client.push_blob(name, data)}"
    etag = client.get(path).headers["etag"]
    for method in ("GET", "HEAD"):
        answer = client.call(method, path, headers={"if-none-match": etag})
        assert (answer.status, answer.body) == (304, b"")
    assert client.get(path, if_none_match='"another"').body == data
    assert client.get(path, range="bytes=0-1", if_range=etag).status == 206
    assert client.get(path, range="bytes=0-1", if_range='"another"').status == 200


def test_a_manifest_is_found_among_blobs_as_well(client: Client, name: str) -> None:
    client.push_all(name, blobs_of().values(), image())
    answer = client.get(f"/v2/{name}/blobs/{image().digest}")
    assert (answer.status, answer.body) == (200, image().raw)
    assert answer.headers["content-type"] == "application/octet-stream"


# ---- deletion


@algorithms
@sizes
def test_deletion_is_effective_at_once_and_in_this_repository_only(
    client: Client, name: str, data: bytes, algorithm: str
) -> None:
    digest = client.push_blob(name, data, algorithm)
    client.push_blob(f"{name}/other", data, algorithm)
    path = f"/v2/{name}/blobs/{digest}"
    assert client.delete(path).status == 202
    assert client.head(path).status == 404
    for answer in (client.get(path), client.delete(path)):
        refused(answer, 404, "BLOB_UNKNOWN")
    assert client.get(f"/v2/{name}/other/blobs/{digest}").body == data
    stored(
        client,
        name,
        data,
        algorithm,
        client.post(f"/v2/{name}/blobs/uploads/?digest={digest}", data),
    )


@algorithms
def test_what_was_never_there(client: Client, name: str, algorithm: str) -> None:
    digest = digests.of(b"never pushed anywhere", algorithm)
    path = f"/v2/{name}/blobs/{digest}"
    refused(client.get(path), 404, "NAME_UNKNOWN")
    client.push_blob(name, b"another", algorithm)
    refused(client.get(path), 404, "BLOB_UNKNOWN")
    assert client.head(path).status == 404
    refused(client.delete(path), 404, "BLOB_UNKNOWN")
