"""Which connections end when there is no room for others."""

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.registry.http import connections
from retinue.registry.http.connections import Connections, Idle, surplus

MANY = [Idle("6.6.6.6", since) for since in (5000, 9000, 7000)]
FEW = [Idle("1.1.1.1", 60_000)]


def test_the_longest_idle_ones_of_who_has_most_end_first() -> None:
    idle = [*FEW, *MANY]
    assert surplus(idle, 1) == [2]
    assert surplus(idle, 2) == [2, 3]
    assert surplus(idle, 3) == [2, 3, 0]
    assert sorted(surplus(idle, 9)) == [0, 1, 2, 3]
    assert surplus(idle, 0) == []


def test_one_network_is_one_address() -> None:
    idle = [Idle("1.1.1.1", 9000), Idle("2001:db8::1", 2000), Idle("2001:db8::2", 3000)]
    assert surplus(idle, 1) == [2]


@given(
    st.lists(st.builds(Idle, st.sampled_from(["a", "b", "c"]), st.integers(1000, 9000))),
    st.integers(0, 30),
)
def test_in_the_end_nobody_who_lost_one_has_fewer_than_others(idle: list[Idle], count: int) -> None:
    ended = set(surplus(idle, count))
    assert len(ended) == min(count, len(idle))
    left = Counter(each.address for number, each in enumerate(idle) if number not in ended)
    for number in ended:
        assert left[idle[number].address] >= max(left.values(), default=0) - 1


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def test_only_what_asks_for_nothing_ends(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "QUIET", 0)
    port = listener.getsockname()[1]
    near = [socket.create_connection(("127.0.0.1", port)) for _ in range(8)]
    far = [listener.accept()[0] for _ in near]
    spared: set[str] = set()
    watched = Connections(port, 8, spared.__contains__)
    busy = "{}:{}".format(*near[0].getsockname())
    watched.begin(busy)
    spared.add("127.0.0.1")
    assert watched.make_room(frozenset({busy})) == 0
    spared.clear()
    assert watched.make_room(frozenset({busy})) == 2
    for each in near:
        each.setblocking(False)
    ended = [each for each in near if closed(each)]
    assert (len(ended), near[0] in ended) == (2, False)
    for each in (*near, *far):
        each.close()


def closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False


def test_a_client_with_several_requests_asks_until_the_last_one() -> None:
    watched = Connections(1, 8, lambda _: False)
    watched.begin("a")
    watched.begin("a")
    watched.end("a")
    assert set(watched._asking) == {"a"}
    watched.end("a")
    assert not watched._asking


async def test_where_there_is_room_nothing_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "TURN", 0)
    watched = Connections(1, 1 << 20, lambda _: False)
    monkeypatch.setattr(watched, "make_room", None)
    task = asyncio.create_task(watched.watch())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
