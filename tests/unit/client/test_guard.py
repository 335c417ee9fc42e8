"""What a gate may call: no address of its own machine or link, unless the registry is named."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from loopback import at_once, listening
from retinue.client.errors import LocalAddress, Unreachable
from retinue.client.guard import Guard, is_local
from retinue.client.transport import Request, Settings, Transport

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd20:ce::254"),
        *("100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "255.255.255.255"),
        *("::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::a9fe:a9fe"),
        *("2002:7f00:1::", "2002:a9fe:a9fe::1", "ff02::1"),
    ],
)
def test_local(address: str) -> None:
    assert is_local(address)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.5",
        "192.168.1.1",
        "172.16.0.1",
        "8.8.8.8",
        "fd00::1",
        "2001:db8::1",
        "::ffff:8.8.8.8",
    ],
)
def test_elsewhere(address: str) -> None:
    assert not is_local(address)


def guarded(*named: str, **more: Any) -> Transport:
    settings = Settings(guard=Guard(named), **more)
    return Transport(settings, random=lambda: 0.5, sleep=at_once)


class Server:
    """Counts who connects, and answers `said`."""

    def __init__(self, said: bytes = OK) -> None:
        self.said = said
        self.callers = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.callers += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.said)


async def get(transport: Transport, url: str) -> bytes:
    return (await transport.request(Request("GET", url), limit=100)).body


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "2130706433"]
)
async def test_this_machine_is_not_called(host: str) -> None:
    server = Server()
    async with listening(server) as where, guarded() as transport:
        port = where.rpartition(":")[2]
        with pytest.raises(LocalAddress, match="--local-registry"):
            await get(transport, f"http://{host}:{port}/")
    assert server.callers == 0


async def test_it_is_where_it_is_named() -> None:
    async with listening(Server()) as where, guarded(where) as transport:
        assert await get(transport, f"http://{where}/") == b"ok"


async def test_a_redirect_leads_to_no_other_local_service() -> None:
    inner = Server()
    async with listening(inner) as hidden:
        moved = f"HTTP/1.1 307 x\r\nlocation: http://{hidden}/\r\ncontent-length: 0\r\n\r\n"
        async with listening(Server(moved.encode())) as where, guarded(where) as transport:
            with pytest.raises(LocalAddress):
                await get(transport, f"http://{where}/")
    assert inner.callers == 0


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: Sequence[str]) -> list[str]:
    """Names have these addresses, one answer after another; what was asked."""
    left, asked = list(answers), list[str]()

    async def getaddrinfo(
        self: object, host: str, port: int, **_: Any
    ) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        try:
            socket.inet_aton(host)
            found: Sequence[str] = [host]
        except OSError:
            asked.append(host)
            found = left.pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return asked


async def test_a_name_that_is_a_local_address_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server()
    async with listening(server) as where, guarded() as transport:
        port = where.rpartition(":")[2]
        resolving(monkeypatch, ["203.0.113.1", "127.0.0.1"])
        with pytest.raises(LocalAddress, match=r"rebind\.example"):
            await get(transport, f"http://rebind.example:{port}/")
    assert server.callers == 0


async def test_a_name_is_asked_for_once_and_what_was_checked_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[str] = []

    async def open_connection(host: str, port: int, **_: Any) -> Any:
        called.append(host)
        raise ConnectionRefusedError

    async with guarded(attempts=1) as transport:
        asked = resolving(monkeypatch, ["203.0.113.1", "203.0.113.2"], ["127.0.0.1"])
        monkeypatch.setattr(asyncio, "open_connection", open_connection)
        with pytest.raises(Unreachable):
            await get(transport, "http://rebind.example/")
    assert asked == ["rebind.example"]
    assert called == ["203.0.113.1", "203.0.113.2"]


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "2852039166", "0xa9fea9fe", "169.254.169.254."]
)
async def test_through_a_proxy_no_local_address_is_asked_for(host: str) -> None:
    proxy = Server()
    async with (
        listening(proxy) as where,
        guarded(environ={"http_proxy": f"http://{where}"}) as transport,
    ):
        with pytest.raises(LocalAddress):
            await get(transport, f"http://{host}/latest")
        assert proxy.callers == 0
        assert await get(transport, "http://elsewhere.example/") == b"ok"
