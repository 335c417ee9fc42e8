"""A blob in many chunks, each on a connection of its own, so that any process may get it."""

import os
import signal
from collections.abc import Callable

import pytest

from retinue.oci import digest as digests
from serving import Serving, until, workers

CHUNK = 300_000
UPLOADS = "/v2/team/app/blobs/uploads/"


def kill_workers(registry: Serving) -> None:
    """All at once; what they knew is gone."""
    killed = workers(registry)
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
    until(lambda: len(workers(registry) - killed) == len(killed))
    registry.wait_ready()


def leave_alone(_registry: Serving) -> None:
    return


@pytest.mark.parametrize("meanwhile", [leave_alone, kill_workers])
def test_chunks_become_the_blob_wherever_they_go(
    start: Callable[..., Serving], meanwhile: Callable[[Serving], None]
) -> None:
    registry = start(workers="2")
    data = os.urandom(10 * CHUNK + 1)
    digest = digests.of(data)
    location = registry.call("POST", UPLOADS).headers["location"]
    for start_at in range(0, len(data), CHUNK):
        if start_at == 5 * CHUNK:
            meanwhile(registry)
            told = registry.get(location)
            assert (told.status, told.headers["range"]) == (204, f"0-{start_at - 1}")
        part = data[start_at : start_at + CHUNK]
        span = {"content-range": f"{start_at}-{start_at + len(part) - 1}"}
        answer = registry.call("PATCH", location, part, span)
        assert answer.status == 202
        location = answer.headers["location"]
    ending = f"{location}?digest="
    assert registry.call("PUT", ending + digests.of(data[:-1]), b"").status == 400
    assert registry.call("PUT", ending + digest, b"").status == 201
    assert registry.get(f"/v2/team/app/blobs/{digest}").body == data
