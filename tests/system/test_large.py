"""Large blobs stream in and out of bounded memory; RETINUE_LARGE=1 makes them 5 GB."""

import hashlib
import http.client
import os
import shutil
from collections.abc import Iterator
from random import Random

import pytest

from protocol import Client, memory, path_of, peaks
from retinue.oci.digest import Digest
from serving import Serving

MEBIBYTE = 1 << 20
SIZE = (5 << 30 if os.environ.get("RETINUE_LARGE") else 96 * MEBIBYTE) + 12_345
GROWTH = 32 * MEBIBYTE
BLOCK = Random(6).randbytes(MEBIBYTE)


def parts(start: int = 0) -> Iterator[bytes]:
    """The bytes of the blob from `start` on; each mebibyte begins with its number."""
    for number in range(start // MEBIBYTE, -(-SIZE // MEBIBYTE)):
        block = number.to_bytes(8, "big") + BLOCK[8:]
        at = number * MEBIBYTE
        yield block[max(0, start - at) : SIZE - at]


@pytest.fixture(scope="module")
def digest() -> Digest:
    running = hashlib.sha256()
    for part in parts():
        running.update(part)
    return Digest(f"sha256:{running.hexdigest()}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One process, so that all of it is seen; it syncs, as in production."""
    folder = tmp_path_factory.mktemp("large")
    serving = Serving(str(folder / "data"), {"workers": "1", "durable": "true"})
    serving.start()
    client = Client(serving)
    client.push_blob("large/warm", BLOCK)  # what the first request needs is there for all
    assert client.get(f"/v2/large/warm/blobs/sha256:{hashlib.sha256(BLOCK).hexdigest()}").status
    client.close()
    yield serving
    serving.stop()
    shutil.rmtree(folder)  # what was deleted waits in the trash: gigabytes


@pytest.fixture
def bounded(site: Serving) -> Iterator[None]:
    """Neither what the process holds after, nor the most it held meanwhile, is much more."""
    ((pid, before),) = memory(site).items()
    ((_, peak_before),) = peaks(site).items()
    yield
    ((same, after),) = memory(site).items()
    ((_, peak),) = peaks(site).items()
    print(f"memory {before} before, {after} after; at most {peak_before}, then {peak}")  # noqa: T201
    assert pid == same
    assert after - before < GROWTH
    assert peak - peak_before < GROWTH


def taken(site: Serving, path: str, start: int = 0) -> None:
    """Read it and compare with what was sent, piece by piece."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=600)
    connection.request("GET", path, headers={"range": f"bytes={start}-"} if start else {})
    answer = connection.getresponse()
    assert answer.status == (206 if start else 200)
    assert answer.headers["content-length"] == str(SIZE - start)
    for part in parts(start):
        assert answer.read(len(part)) == part
    assert answer.read() == b""
    connection.close()


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("way", ["a single post", "post and put", "a stream", "chunks"])
def test_a_large_blob_goes_in_and_out(site: Serving, digest: Digest, way: str) -> None:
    client = Client(site)
    name = "large/" + way.replace(" ", "-")
    if way == "a single post":
        path = f"/v2/{name}/blobs/uploads/?digest={digest}"
        answer = client.post(path, parts(), content_length=str(SIZE))
    else:
        location = client.begin(name)
        if way == "a stream":
            assert client.patch(location, parts()).status == 202
        if way == "chunks":
            send_chunks(client, location)
        body = parts() if way == "post and put" else None
        answer = client.put(f"{location}?digest={digest}", body)
    assert answer.status == 201, answer.body
    client.close()  # what follows takes longer than an idle connection is kept
    path = path_of(answer.headers["location"])
    taken(site, path)
    taken(site, path, 7 * MEBIBYTE + 77)
    assert client.delete(path).status == 202
    client.close()


def send_chunks(client: Client, location: str) -> None:
    """Sixteen, each with its range."""
    size = -(-SIZE // 16 // MEBIBYTE) * MEBIBYTE
    for start in range(0, SIZE, size):
        length = min(size, SIZE - start)
        answer = client.patch(
            location,
            limited(start, length),
            content_length=str(length),
            content_range=f"{start}-{start + length - 1}",
        )
        assert answer.status == 202, answer.body


def limited(start: int, length: int) -> Iterator[bytes]:
    for part in parts(start):
        if length <= 0:
            return
        yield part[:length]
        length -= len(part)
