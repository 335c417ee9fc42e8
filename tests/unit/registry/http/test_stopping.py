"""Which connections a stop ends, turn by turn: in this process, with a loop that is stepped."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from retinue.registry.http.early import EarlyLoop, new_loop
from retinue.registry.http.stopping import QUIET_TURNS, Stopping


@dataclass(slots=True)
class Turns:
    """An event loop that has nothing else to do."""

    ahead: list[Callable[[], None]] = field(default_factory=list)

    def call_later(self, _seconds: float, callback: Callable[[], None]) -> None:
        self.ahead.append(callback)

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.ahead.pop()()


@dataclass(slots=True)
class World:
    """`client` and `server`: the two ends of a connection that was accepted here."""

    client: socket.socket
    server: socket.socket
    folder: Path
    answering: int = 0
    turns: Turns = field(default_factory=Turns)

    def stopping(self) -> Stopping:
        port = self.server.getsockname()[1]
        loop = cast("asyncio.AbstractEventLoop", self.turns)
        return Stopping(loop, port, lambda: self.answering, self.folder)

    def begin(self) -> None:
        self.stopping().begin()

    def ended(self) -> bool:
        self.client.setblocking(False)
        try:
            return self.client.recv(1) == b""
        except BlockingIOError:
            return False


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            yield World(client, server, tmp_path)


def test_a_connection_in_the_middle_of_its_headers_is_ended_when_nothing_is_under_way(
    world: World,
) -> None:
    world.client.sendall(b"GET /v2/ HTTP/1.1\r\nhos")
    world.begin()
    world.turns.turn(QUIET_TURNS - 2)
    assert not world.ended()
    world.turns.turn()
    assert world.ended()


def test_nothing_is_ended_while_a_request_is_under_way(world: World) -> None:
    world.answering = 1
    world.begin()
    world.turns.turn(3 * QUIET_TURNS)
    assert not world.ended()
    world.answering = 0
    world.turns.turn(QUIET_TURNS - 1)
    assert not world.ended()
    world.turns.turn()
    assert world.ended()


def test_nothing_is_ended_while_a_file_is_sent(world: World) -> None:
    (world.folder / "blob").write_bytes(b"data")
    with (world.folder / "blob").open():
        world.begin()
        world.turns.turn(3 * QUIET_TURNS)
        assert not world.ended()
    world.turns.turn(QUIET_TURNS)
    assert world.ended()


def test_nothing_is_ended_while_a_client_has_not_taken_its_answer(world: World) -> None:
    world.server.setblocking(False)
    sent = 0
    with suppress(BlockingIOError):
        while sent < 1 << 30:
            sent += world.server.send(b"x" * 65536)
    world.begin()
    world.turns.turn(3 * QUIET_TURNS)
    world.client.settimeout(30)
    while sent:
        sent -= len(world.client.recv(min(sent, 1 << 20)))
    assert not world.ended()


def test_being_told_twice_is_being_told_once(world: World) -> None:
    stopping = world.stopping()
    stopping.begin()
    stopping.begin()
    assert len(world.turns.ahead) == 1


def test_whoever_wants_to_know_of_a_stop_is_told_after_the_server() -> None:
    told: list[str] = []

    def we(loop: EarlyLoop) -> None:
        told.append("we")
        loop.call_soon(loop.stop)

    loop = new_loop()
    try:
        assert isinstance(loop, EarlyLoop)
        loop.add_signal_handler(signal.SIGUSR1, told.append, "server")
        loop.on_stop = partial(we, loop)
        for _ in range(3):  # the server would wait, for ever, for somebody to hear the third
            loop.call_soon(signal.raise_signal, signal.SIGUSR1)
        loop.run_forever()
    finally:
        loop.close()
        asyncio.set_event_loop(None)
    assert told == ["server", "we"]
