"""Answers from memory over real connections, with several processes."""

import http.client
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from threading import Event, Thread

import pytest

from builders import blobs_of, image
from retinue.oci import digest as digests
from retinue.registry.http.cores import _affinities, _kept_to
from serving import Serving, until, workers

Start = Callable[..., Serving]
MANIFESTS = "/v2/team/app/manifests"
CONNECTIONS = 12
"""Enough for some to be with each of two processes."""


@pytest.fixture
def registry(start: Start) -> Serving:
    registry = start(workers="2")
    for data in blobs_of().values():
        path = f"/v2/team/app/blobs/uploads/?digest={digests.of(data)}"
        assert registry.call("POST", path, data).status == 201
    return registry


@pytest.fixture
def connections(registry: Serving) -> Iterator[list[http.client.HTTPConnection]]:
    with ExitStack() as stack:
        made = [http.client.HTTPConnection("127.0.0.1", registry.port) for _ in range(CONNECTIONS)]
        for each in made:
            stack.enter_context(closing(each))
        yield made


def ask(connection: http.client.HTTPConnection, method: str, path: str) -> tuple[int, str | None]:
    connection.request(method, path)
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.headers["docker-content-digest"]


def push(registry: Serving, number: int) -> str:
    made = image(annotations={"n": str(number)})
    headers = {"content-type": made.media_type}
    assert registry.call("PUT", f"{MANIFESTS}/v1", made.raw, headers).status == 201
    return made.digest


def counted(registry: Serving, name: str) -> int:
    lines = registry.get("/metrics").body.decode().splitlines()
    return sum(int(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_process_answers_with_what_another_one_has_replaced(
    registry: Serving, connections: list[http.client.HTTPConnection], method: str
) -> None:
    for number in range(10):
        digest = push(registry, number)
        for each in connections * 2:
            assert ask(each, method, f"{MANIFESTS}/v1") == (200, digest)
    before = counted(registry, "retinue_cache_hits_total")
    for each in connections:
        ask(each, method, f"{MANIFESTS}/v1")
    assert counted(registry, "retinue_cache_hits_total") >= before + len(connections)
    assert registry.call("DELETE", f"{MANIFESTS}/v1").status == 202
    for each in connections:
        assert ask(each, method, f"{MANIFESTS}/v1")[0] == 404


def test_every_request_is_counted_once(
    registry: Serving, connections: list[http.client.HTTPConnection]
) -> None:
    push(registry, 1)
    asked = 'retinue_requests_total{resource="manifests",method="GET",status="2xx"}'
    before = counted(registry, asked)
    for each in connections * 5:
        ask(each, "GET", f"{MANIFESTS}/v1")
    assert counted(registry, asked) == before + 5 * len(connections)
    assert counted(registry, "retinue_requests_in_flight") == 1


def test_readers_beside_a_writer_never_go_back(
    registry: Serving, connections: list[http.client.HTTPConnection]
) -> None:
    """Once one connection was told of a push, or the push was acknowledged, all are."""
    pushed = [push(registry, 0)]
    seen: list[int] = []
    done = Event()

    def write() -> None:
        for number in range(1, 60):
            pushed.append(image(annotations={"n": str(number)}).digest)
            assert push(registry, number) == pushed[-1]
        done.set()

    def read() -> None:
        newest = 0
        while not done.is_set():
            for each in connections:
                status, digest = ask(each, "GET", f"{MANIFESTS}/v1")
                assert status == 200
                assert digest is not None
                number = pushed.index(digest)
                assert number >= newest
                newest = number
        seen.append(newest)

    reader = Thread(target=read)
    reader.start()
    write()
    reader.join()
    assert len(seen) == 1


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core")
def test_a_worker_for_each_core_keeps_to_it_and_so_does_its_successor(start: Start) -> None:
    cores = os.sched_getaffinity(0)
    registry = start(workers=str(len(cores)))

    def each_has_its_own() -> bool:
        found = [_kept_to(worker) for worker in workers(registry)]
        return sorted(map(sorted, found)) == [[core] for core in sorted(cores)]

    until(each_has_its_own)
    first, *_ = before = workers(registry)
    os.kill(first, signal.SIGKILL)
    until(lambda: bool(workers(registry) - before))
    until(each_has_its_own)


def confined(registry: Serving) -> int:
    """Threads that are kept to one core."""
    return sum(len(each) == 1 for worker in workers(registry) for each in _affinities(worker))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core")
def test_a_large_body_frees_the_threads_that_send_it(start: Start) -> None:
    count = len(os.sched_getaffinity(0))
    registry = start(workers=str(count))
    data = os.urandom(2 << 20)
    blob = f"/v2/team/app/blobs/{digests.of(data)}"
    path = f"/v2/team/app/blobs/uploads/?digest={digests.of(data)}"
    assert registry.call("POST", path, data).status == 201
    until(lambda: confined(registry) > count)  # one that watches in each, and those that serve
    before = confined(registry)
    assert registry.get(blob).body == data
    until(lambda: confined(registry) < before)
    until(lambda: confined(registry) >= before)
    assert {len(_kept_to(worker)) for worker in workers(registry)} == {1}


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core")
@pytest.mark.parametrize(("count", "pin"), [(1, "true"), (2, "false")])
def test_otherwise_workers_go_where_the_system_puts_them(
    start: Start, count: int, pin: str
) -> None:
    registry = start(workers=str(count), pin=pin)
    assert [_kept_to(worker) for worker in workers(registry)] == [set()] * count
