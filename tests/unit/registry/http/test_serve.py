"""Large blobs: sent by the server, in parts, or from where else they are."""

from pathlib import Path

import pytest

import rsgi
from retinue.oci import digest as digests
from retinue.registry.content.pull import Large
from retinue.registry.http.exchange import Part, Request
from retinue.registry.http.v2 import serve
from retinue.registry.storage.blobstore import LocalFile, Redirect

DIGEST = digests.of(b"x")
ETAG = f'"{DIGEST}"'
FILE = LocalFile(Path("/data/blobs/x"), 100)


def request(method: str = "GET", **headers: str) -> Request:
    fields = rsgi.Fields({name.replace("_", "-"): value for name, value in headers.items()})
    return Request(method, "/", rsgi.Scope(method), fields, rsgi.Wire(), "id")


def test_a_file_is_left_to_the_server() -> None:
    answer = serve.large(request(), Large(DIGEST, 100, FILE))
    assert (answer.status, answer.body) == (200, FILE)
    assert ("docker-content-digest", DIGEST) in answer.headers


def test_bytes_elsewhere_are_a_redirect_that_names_the_digest() -> None:
    at = Redirect("https://bucket.example/x?signature=1")
    answer = serve.large(request(), Large(DIGEST, 100, at))
    assert answer.status == 307
    assert ("location", at.url) in answer.headers
    assert ("docker-content-digest", DIGEST) in answer.headers


def test_head_tells_the_length_without_looking() -> None:
    answer = serve.large(request("HEAD"), Large(DIGEST, 100, None))
    assert (answer.status, answer.length, answer.body) == (200, 100, b"")


@pytest.mark.parametrize("known", [ETAG, "*", '"other", ' + ETAG])
def test_what_the_client_has_is_not_sent_again(known: str) -> None:
    asked = request(if_none_match=known)
    answer = serve.large(asked, Large(DIGEST, 100, FILE))
    assert (answer.status, answer.body) == (304, b"")
    assert ("etag", ETAG) in answer.headers


def test_a_part_of_a_file_is_left_to_the_server() -> None:
    answer = serve.large(request(range="bytes=5-9"), Large(DIGEST, 100, FILE))
    assert (answer.status, answer.body) == (206, Part(FILE, 5, 10))


def test_several_ranges_are_answered_with_everything() -> None:
    asked = request(range="bytes=0-1,5-6")
    answer = serve.large(asked, Large(DIGEST, 100, FILE))
    assert answer.body == FILE
