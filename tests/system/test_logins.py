"""Passwords, right and wrong, from many addresses at once; and connections that say nothing."""

import asyncio
import socket
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest

from serving import Serving

Start = Callable[..., Serving]
GOOD = 6
BAD = 60
LANES = 4
"""Connections of each bad address."""
ROUNDS = 10


@pytest.fixture
def registry(start: Start, tmp_path: Path) -> Serving:
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(10)).decode()
    users = tmp_path / "users"
    users.write_text("".join(f"user{number}:{hashed}\n" for number in range(GOOD)))
    return start(htpasswd=str(users))


async def login(registry: Serving, user: str, password: str, source: str) -> int:
    """The status of `/v2/` on a connection of its own from an address of loopback."""
    token = b64encode(f"{user}:{password}".encode()).decode()
    head = f"GET /v2/ HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic {token}\r\n"
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", registry.port, local_addr=(source, 0)
    )
    writer.write(f"{head}connection: close\r\n\r\n".encode())
    try:
        return int((await reader.readline()).split(b" ")[1])
    finally:
        writer.close()


async def flood(registry: Serving, number: int, stop: asyncio.Event) -> int:
    """Wrong passwords, one after the other; how many."""
    count = 0
    while not stop.is_set():
        await login(
            registry, f"user{count % GOOD}", f"wrong {count}", f"127.66.0.{number % BAD + 1}"
        )
        count += 1
    return count


async def under_flood(registry: Serving) -> list[int]:
    """What the right ones are told meanwhile, each from its own address."""
    stop = asyncio.Event()
    floods = [asyncio.create_task(flood(registry, number, stop)) for number in range(BAD * LANES)]
    told: list[int] = []
    try:
        for _ in range(ROUNDS):
            logins = (
                login(registry, f"user{number}", "secret", f"127.1.0.{number + 1}")
                for number in range(GOOD)
            )
            told += await asyncio.gather(*logins)
    finally:
        stop.set()
        await asyncio.gather(*floods)
    return told


def test_wrong_passwords_from_many_addresses_lock_nobody_out(registry: Serving) -> None:
    assert asyncio.run(under_flood(registry)) == [200] * GOOD * ROUNDS


def test_metrics_ask_for_who_may_read_them(start: Start, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"prometheus:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
    registry = start(htpasswd=str(users), metrics_readers="prometheus")
    token = {"authorization": "Basic " + b64encode(b"prometheus:secret").decode()}
    assert registry.get("/metrics").status == 401
    assert b"retinue_requests_total" in registry.get("/metrics", token).body
    assert [registry.get(path).status for path in ("/healthz", "/readyz")] == [200, 200]
    assert registry.get("/v2/_oci/ext/discover").status == 401


def connect(registry: Serving, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", registry.port), 60, source_address=(source, 0))


HEAD = b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\n\r\n"
PUT = b"PUT /v2/a/manifests/v1 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{"


def test_connections_that_say_nothing_keep_nobody_out(start: Start) -> None:
    registry = start(workers="1", connections="64", header_timeout="1h", body_timeout="1h")
    with connect(registry, "127.1.0.1") as idle, connect(registry, "127.66.0.1") as busy:
        idle.sendall(HEAD)
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        busy.sendall(PUT)
        silent = [connect(registry, "127.66.0.1") for _ in range(100)]
        with connect(registry, "127.1.0.2") as late:
            late.sendall(HEAD)
            assert late.recv(65536).startswith(b"HTTP/1.1 200")
        idle.sendall(HEAD)
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        busy.sendall(b"}")
        assert busy.recv(65536).startswith(b"HTTP/1.1 400")
        for each in silent:
            each.close()
    assert "idle connections were ended" in registry.log
