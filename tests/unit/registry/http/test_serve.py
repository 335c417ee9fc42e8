"""Large blobs: sent by the server, in parts, or from where else they are."""

from pathlib import Path
from typing import Any

import pytest

from retinue.oci import digest as digests
from retinue.registry.access.principal import ANONYMOUS
from retinue.registry.content.pull import Large
from retinue.registry.http.exchange import Request
from retinue.registry.http.v2 import serve
from retinue.registry.storage.blobstore import LocalFile, Redirect

DIGEST = digests.of(b"x")
ETAG = f'"{DIGEST}"'.encode()
FILE = LocalFile(Path("/data/blobs/x"), 100)
NO_SERVICES: Any = None


def request(method: str = "GET", **headers: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {}

    pairs = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    return Request(method, "/", b"", pairs, receive, ANONYMOUS, "id", "peer", "http")


async def test_a_file_is_left_to_the_server() -> None:
    answer = await serve.large(NO_SERVICES, request(), Large(DIGEST, 100, "l", FILE))
    assert (answer.status, answer.body) == (200, FILE)
    assert (b"docker-content-digest", DIGEST.encode()) in answer.headers


async def test_bytes_elsewhere_are_a_redirect_that_names_the_digest() -> None:
    at = Redirect("https://bucket.example/x?signature=1")
    answer = await serve.large(NO_SERVICES, request(), Large(DIGEST, 100, "l", at))
    assert answer.status == 307
    assert (b"location", at.url.encode()) in answer.headers
    assert (b"docker-content-digest", DIGEST.encode()) in answer.headers


async def test_head_tells_the_length_without_looking() -> None:
    answer = await serve.large(NO_SERVICES, request("HEAD"), Large(DIGEST, 100, "l", None))
    assert (answer.status, answer.length, answer.body) == (200, 100, b"")


@pytest.mark.parametrize("known", [ETAG, b"*", b'"other", ' + ETAG])
async def test_what_the_client_has_is_not_sent_again(known: bytes) -> None:
    asked = request(if_none_match=known)
    answer = await serve.large(NO_SERVICES, asked, Large(DIGEST, 100, "l", FILE))
    assert (answer.status, answer.body) == (304, b"")
    assert (b"etag", ETAG) in answer.headers


async def test_several_ranges_are_answered_with_everything() -> None:
    asked = request(range=b"bytes=0-1,5-6")
    answer = await serve.large(NO_SERVICES, asked, Large(DIGEST, 100, "l", FILE))
    assert answer.body == FILE
