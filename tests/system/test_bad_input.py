"""Requests that make no sense: the client is told in the specification's words, nothing is kept.

What is wrong below HTTP's own rules is for `test_bad_connections.py`.
"""

from collections.abc import Iterator
from random import Random
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from builders import LAYER, blobs_of, image
from protocol import Client, assert_no_fault, memory, refused, told, unchanged, with_digest
from retinue.oci import digest as digests
from retinue.oci import names
from serving import Reply, Serving

NAME = "bad/input"
DIGEST = digests.of(b"never pushed")
BLOB = digests.of(LAYER)
LARGE = Random(3).randbytes(500_000)
SEARCH = settings(
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def client(registry: Serving) -> Iterator[Client]:
    client = Client(registry)
    client.push_all(NAME, blobs_of().values(), image())
    client.push(NAME, image(), "v1")
    yield client
    client.close()
    assert_no_fault(registry)


@pytest.fixture
def nothing_kept(client: Client, registry: Serving) -> Iterator[None]:
    with unchanged(registry):
        yield


# ---- names, tags, digests

NAMES = (
    *("A", "a/", "/a", "a//b", "..", ".", "a/../b", "-a", "a-", "a_-b", "a..b", "_a", "a/_b"),
    *("%00", "a%00", "%F0%9F%98%80", "%FF", "a%0A", "a%20b", "a%3Fb", "a%5Cb", "%2E%2E", "a:b"),
    *("a" * 256, "a/" * 128 + "a", "é".encode().hex() * 200, "%25", "~", "a'b", "a;b", "a&b"),
)
TAGS = (
    *("-a", ".a", "a" * 129, "%F0%9F%98%80", "%FF", "a%20b", "a%0A", "a%5C", "a%27", "a%22"),
    *("a%2Fb", "%00", "a+b", "a@b", "..", "%C2%B2", "a%3Fb"),
)
DIGESTS = (
    *("sha256:", "sha256:a", "sha256:" + "a" * 63, "sha256:" + "a" * 65, "sha256:" + "A" * 64),
    *("sha256:" + "g" * 64, "sha512:" + "a" * 64, "sha1:" + "a" * 40, "blake3:" + "a" * 64, ":"),
    *("sha256:" + "a" * 63 + "%0A", "sha256:..%2F..%2Fetc", ":" + "a" * 64, "sha256::" + "a" * 64),
    *("sha256:" + "a" * 5000, "SHA256:" + "a" * 64, "sha256:%00", "md5+sha256:" + "a" * 64),
)
RESOURCES = (
    *("tags/list", "manifests/v1", f"manifests/{DIGEST}", f"blobs/{DIGEST}"),
    *(f"referrers/{DIGEST}", "blobs/uploads/", "blobs/uploads/x", "_oci/ext/discover"),
)
METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")


def call(client: Client, method: str, path: str) -> Reply:
    if method in {"PUT", "POST", "PATCH"}:
        return client.call(method, path, image().raw, {"content-type": names.OCI_MANIFEST})
    return client.call(method, path)


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("resource", RESOURCES)
def test_names_that_no_repository_can_have(client: Client, resource: str) -> None:
    for name in NAMES:
        for method in METHODS:
            told(call(client, method, f"/v2/{name}/{resource}"), method)


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("method", METHODS)
def test_tags_that_cannot_be(client: Client, method: str) -> None:
    for tag in TAGS:
        told(call(client, method, f"/v2/{NAME}/manifests/{tag}"), method)
        if method == "PUT":
            query = f"/v2/{NAME}/manifests/{image().digest}?tag=ok&tag={tag}"
            told(call(client, method, query))


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("method", METHODS)
def test_digests_that_are_none(client: Client, method: str) -> None:
    for digest in DIGESTS:
        for resource in ("manifests", "blobs", "referrers"):
            answer = call(client, method, f"/v2/{NAME}/{resource}/{digest}")
            told(answer, method)
            if method == "GET" and "%2F" not in digest and "%00" not in digest:
                refused(answer, 400, "DIGEST_INVALID")


@pytest.mark.usefixtures("nothing_kept")
def test_digests_in_the_query_that_are_none(client: Client) -> None:
    location = client.begin(NAME)
    start = f"/v2/{NAME}/blobs/uploads/"
    for digest in (*DIGESTS, "", "%FF"):
        for path in (f"{start}?digest={digest}", f"{start}?mount={digest}&from={NAME}"):
            refused(client.post(path, b"x"), 400, "DIGEST_INVALID", "UNSUPPORTED")
        refused(
            client.put(with_digest(location, digest), b"x"), 400, "DIGEST_INVALID", "UNSUPPORTED"
        )
    refused(client.put(location, b"x"), 400, "BLOB_UPLOAD_INVALID")
    for algorithm in ("md5", "", "sha-256", "sha256%00", "x" * 5000):
        answer = client.post(f"{start}?digest-algorithm={algorithm}")
        refused(answer, 400, "DIGEST_INVALID", "UNSUPPORTED")


# ---- ranges, headers, query strings

RANGES = (
    *("5-1", "-", "a-b", "0-", "-5", "0-1,2-3", "²-³", " ", "0x0-0x1", "0-1/", "0-1/x", "1e3-2e3"),
    *("0-9999999999999999998", "9" * 30 + "-" + "9" * 31, "0-1" * 1000, "1-2", "0-5"),
)


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_ranges_of_chunks_that_are_none(client: Client, streamed: bool) -> None:
    digest = digests.of(b"ab")
    location = client.begin(NAME)
    for header in RANGES:
        for method, path in (("PATCH", location), ("PUT", with_digest(location, digest))):
            body = iter([b"a", b"b"]) if streamed else b"ab"
            answer = client.call(method, path, body, {"content-range": header})
            refused(answer, answer.status, "BLOB_UPLOAD_INVALID", "SIZE_INVALID")
            assert answer.status in {400, 416}
    assert client.get(location).headers["range"] == "0-0"


@SEARCH
@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=30))
@example("bytes=99999999999999999999-")
@example("bytes=-99999999999999999999")
@example("bytes=\xb2-")
@example("bytes=0-" + "9" * 5000)
def test_any_range_of_a_blob(client: Client, header: str) -> None:
    for method in ("GET", "HEAD"):
        path = f"/v2/{NAME}/blobs/{BLOB}"
        answer = client.call(method, path, None, {"range": header, "if-range": header[:5]})
        assert answer.status in {200, 206, 416, 400}
        if answer.status == 400:
            assert "x-request-id" not in answer.headers  # no legal header at all


HEADERS = (
    *("content-type", "accept", "range", "if-match", "if-none-match", "if-range", "content-range"),
    *("authorization", "x-request-id", "x-forwarded-for", "x-forwarded-proto", "cookie", "host"),
    *("accept-encoding", "content-encoding", "expect", "connection", "upgrade", "origin", "via"),
)
VALUES = (
    *("", " ", "é" * 50, "\xff", "\t", '"', "a" * 60_000, ",", "W/", "*", "Basic", "Basic é"),
    *("Bearer x", "bytes=", ";;;", "chunked", "100-continue", "h2c", "'; drop table tag; --"),
)


@pytest.mark.parametrize("header", HEADERS)
def test_headers_of_any_kind(client: Client, header: str) -> None:
    """They are understood, ignored or refused."""
    for value in VALUES:
        for method, path in (
            ("GET", "manifests/v1"),
            ("PUT", "manifests/v1"),
            ("GET", "tags/list"),
        ):
            headers = {"content-type": names.OCI_MANIFEST, header: value}
            body = image().raw if method == "PUT" else None
            answer = client.call(method, f"/v2/{NAME}/{path}", body, headers)
            assert answer.status < 500, (method, header, value)
    assert client.get(f"/v2/{NAME}/manifests/v1").body == image().raw


KEYS = st.sampled_from(
    ["n", "last", "digest", "mount", "from", "tag", "artifactType", "digest-algorithm", "", "ns"]
)
WEIRD = st.sampled_from(
    ["%00", "%FF", "%zz", "%", "a" * 5000, "-1", "0", "9" * 40, DIGEST, BLOB, NAME, "v1", "*"]
) | st.text(max_size=6).map(quote) | st.binary(max_size=6).map(quote_from_bytes)  # fmt: skip
QUERIES = st.lists(st.tuples(KEYS, WEIRD).map("=".join), max_size=5).map("&".join)
SEGMENTS = st.sampled_from(
    [
        *(*RESOURCES, *DIGESTS, "v2", "bad", "input", NAME, "manifests", "blobs", "uploads"),
        *("tags", "list", "referrers", "_catalog", "ext", "v1", "..", ".", "", "%2e%2e", "%2F"),
    ]
)
PATHS = st.lists(SEGMENTS | WEIRD, max_size=6).map(lambda parts: "/".join(["", "v2", *parts]))


@SEARCH
@given(
    method=st.sampled_from([*METHODS, "OPTIONS", "BREW", "get"]),
    path=PATHS | st.sampled_from([f"/v2/bad/fuzz/{each}" for each in RESOURCES]),
    query=QUERIES,
    body=st.none() | st.binary(max_size=20) | st.just(image().raw),
)
def test_any_request_is_answered(
    client: Client, method: str, path: str, query: str, body: bytes | None
) -> None:
    """Whatever is asked for: never is the fault ours, and refusals have their shape."""
    sent = None if method in {"GET", "HEAD"} else body
    answer = client.call(method, f"{path}?{query}" if query else path, sent)
    assert answer.status < 500, answer.body
    if answer.status >= 400:
        told(answer, method)


@pytest.mark.usefixtures("nothing_kept")
def test_queries_that_cannot_be_read(client: Client) -> None:
    many = "&".join(f"n{number}=1" for number in range(100))
    for query in ("n=%FF", "last=%00", "last=%FF", many, "artifactType=%ED%A0%80"):
        for path in ("tags/list", f"referrers/{DIGEST}"):
            answer = client.get(f"/v2/{NAME}/{path}?{query}")
            if "artifactType" not in query or "referrers" in path:
                refused(answer, 400, "UNSUPPORTED")
        refused(client.post(f"/v2/{NAME}/blobs/uploads/?{query}", b""), 400, "UNSUPPORTED")


# ---- upload sessions


@pytest.mark.usefixtures("nothing_kept")
def test_sessions_that_nobody_was_given(client: Client) -> None:
    real = client.begin(NAME)
    session, mac = real.rpartition("/")[2].split(".")
    other = "Y" if session.endswith("Z") else "Z"
    forged = (
        *("x", "%00", "..", f"{session}.", f".{mac}", f"{session}.{'0' * 32}", f"{session}{mac}"),
        *(f"{session}.{mac.upper()}", f"{session}-sha512.{mac}", f"{session[:-1]}0.{mac}0"),
        *(f"{session[:-1]}{other}.{mac}", f"{session}.{mac}.x", f"{session}.{mac}%0A", "a" * 5000),
    )
    foreign = [real.replace(NAME, "bad/other"), real.replace(NAME, f"{NAME}/deeper")]
    for path in (*(f"/v2/{NAME}/blobs/uploads/{each}" for each in forged), *foreign):
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            body = LARGE if method in {"PATCH", "PUT"} else None
            answer = client.call(method, with_digest(path, digests.of(LARGE)), body)
            refused(answer, 404, "BLOB_UPLOAD_UNKNOWN", "UNSUPPORTED")
    assert client.get(real).status == 204


def test_sessions_that_are_over(client: Client, registry: Serving) -> None:
    """Finished and cancelled ones take no more bytes, however they are replayed."""
    done, dead = client.begin(NAME), client.begin(NAME)
    assert client.patch(done, b"a").status == 202
    assert client.put(with_digest(done, digests.of(b"ab")), b"b").status == 201
    assert client.patch(dead, b"a").status == 202
    assert client.delete(dead).status == 204
    with unchanged(registry):
        for location in (done, dead):
            for answer in (
                client.get(location),
                client.patch(location, LARGE),
                client.put(with_digest(location, digests.of(LARGE)), LARGE),
                client.delete(location),
            ):
                refused(answer, 404, "BLOB_UPLOAD_UNKNOWN")
    assert client.delete(f"/v2/{NAME}/blobs/{digests.of(b'ab')}").status == 202


# ---- memory

MEBIBYTE = 1 << 20


def test_memory_does_not_grow_with_refusals(client: Client, registry: Serving) -> None:
    """The same bad requests over and over: what the first rounds needed serves for the rest."""
    many = [digests.of(b"%d" % number) for number in range(20)]

    def turn(number: int) -> None:
        for digest in many:
            start = f"/v2/{NAME}/blobs/uploads/?digest={digest}"
            told(client.get(f"/v2/{NAME}/blobs/{digest}"))
            told(client.get(f"/v2/bad/{number}-{digest[7:]}/tags/list"))
            told(client.post(start, LARGE))
            told(client.put(f"/v2/{NAME}/manifests/{digest}", LARGE, content_type="a/b"))
        told(client.put(f"/v2/{NAME}/manifests/x", b"[" * 4_000_000, content_type=names.OCI_INDEX))
        told(client.get("/v2/" + "a" * 60_000))

    for number in range(3):
        turn(number)
    before = memory(registry)
    for number in range(3, 9):
        turn(number)
    after = memory(registry)
    assert set(after) == set(before), "a process died"
    assert max(after[pid] - before[pid] for pid in before) < 24 * MEBIBYTE
