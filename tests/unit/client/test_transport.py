"""The transport against servers that answer in chosen bytes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from loopback import Switches, at_once, listening, serving
from retinue.client.connection import Broken, Timeouts
from retinue.client.errors import ProtocolViolation, TlsProblem, Unreachable
from retinue.client.transport import Request, Settings, Transport


def transport(**settings: object) -> Transport:
    return Transport(Settings(**settings), random=lambda: 0.5, sleep=at_once)  # type: ignore[arg-type]


@asynccontextmanager
async def scripted(*answers: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives each connection one answer, and what it was asked."""
    left, heads = list(answers), list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(left.pop(0))

    async with listening(serve) as host:
        yield host, heads


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def get(host: str, **settings: object) -> tuple[int, bytes]:
    async with transport(**settings) as made:
        answer = await made.request(Request("GET", f"http://{host}/x"), limit=1000)
        return answer.status, answer.body


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody", b"body"),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", b"to the end"),
        (
            CHUNKED + b"3;x=y\r\nfoo\r\n4\r\nbar!\r\n0\r\ntrailer: x\r\n\r\n",
            b"foobar!",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
async def test_bodies_in_every_framing(answer: bytes, body: bytes) -> None:
    async with scripted(answer) as (host, _):
        assert body == (await get(host))[1]


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n" + b"x" * 1001,
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000,
        b"HTTP/1.1 103 Early\r\n\r\n" * 20,
    ],
)
async def test_answers_that_break_the_protocol(answer: bytes) -> None:
    async with scripted(answer) as (host, _):
        with pytest.raises(ProtocolViolation):
            await get(host)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
    ],
)
async def test_a_broken_answer_is_asked_for_again(broken: bytes) -> None:
    good = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"
    async with scripted(broken, broken, good) as (host, heads):
        assert await get(host) == (200, b"body")
    assert len(heads) == 3


async def test_repeating_has_an_end() -> None:
    async with scripted(b"", b"", b"") as (host, heads):
        with pytest.raises(Broken):
            await get(host, attempts=3)
    assert len(heads) == 3


async def test_what_must_not_be_repeated_is_not() -> None:
    async with scripted(b"", b"") as (host, heads), transport() as made:
        request = Request("POST", f"http://{host}/x", body=b"x", repeat=False)
        with pytest.raises(Broken):
            await made.request(request, limit=10)
    assert len(heads) == 1


async def test_a_closed_port_is_unreachable() -> None:
    async with scripted() as (host, _):
        pass
    with pytest.raises(Unreachable, match="cannot reach"):
        await get(host, attempts=1)


async def test_silence_has_an_end() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(serve) as host:
        with pytest.raises(Broken, match="in time"):
            await get(host, attempts=1, timeouts=Timeouts(5.0, 0.01))


async def test_plain_http_where_tls_is_due_is_named() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(serve) as host, transport(tls=frozenset({host})) as made:
        with pytest.raises(TlsProblem, match="--ca-file"):
            await made.request(Request("GET", f"{made.base(host)}/x"), limit=10)


@pytest.mark.parametrize(
    ("host", "settings", "expected"),
    [
        ("registry.example", {}, "https://registry.example"),
        ("localhost:5000", {}, "http://localhost:5000"),
        ("[::1]:5000", {}, "http://[::1]:5000"),
        ("127.0.0.1", {"tls": frozenset({"127.0.0.1"})}, "https://127.0.0.1"),
        ("10.0.0.1:80", {"plain": frozenset({"10.0.0.1:80"})}, "http://10.0.0.1:80"),
    ],
)
def test_schemes(host: str, settings: dict[str, frozenset[str]], expected: str) -> None:
    assert expected == transport(**settings).base(host)


async def test_connections_are_used_again() -> None:
    async with serving() as registry, transport() as made:
        for _ in range(5):
            await made.request(Request("GET", f"http://{registry.host}/v2/"), limit=10)
        assert registry.connections == 1


async def test_connections_are_few() -> None:
    async with serving() as registry, transport(connections=3) as made:
        request = Request("GET", f"http://{registry.host}/v2/")
        await asyncio.gather(*(made.request(request, limit=10) for _ in range(20)))
        assert registry.connections == 3


async def test_a_connection_that_was_closed_meanwhile_is_replaced() -> None:
    ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    async with scripted(ok, ok) as (host, heads), transport(attempts=1) as made:
        request = Request("PUT", f"http://{host}/x", body=b"x")
        for _ in range(2):
            assert (await made.request(request, limit=10)).status == 200
    assert len(heads) == 2


async def test_throttling_is_waited_for() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with serving() as registry:
        registry.switches.answers.extend([(429, {"retry-after": "3"}), (503, {})])
        async with Transport(Settings(), random=lambda: 0.5, sleep=sleep) as made:
            request = Request("GET", f"http://{registry.host}/v2/")
            assert (await made.request(request, limit=10)).status == 200
    assert waits == [3.5, 0.5]


async def test_a_registry_that_throttles_on_is_believed() -> None:
    async with serving() as registry, transport(attempts=3) as made:
        registry.switches.answers.extend([(429, {})] * 9)
        request = Request("GET", f"http://{registry.host}/v2/")
        assert (await made.request(request, limit=10)).status == 429
        assert len(registry.calls) == 3


def moved(location: str, status: int = 307) -> bytes:
    return f"HTTP/1.1 {status} x\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode()


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def test_authorisation_stays_with_its_host() -> None:
    async with (
        transport() as made,
        scripted(OK) as (elsewhere, seen),
        scripted(moved(f"http://{elsewhere}/y?z=1#f")) as (host, _),
    ):
        headers = {"authorization": "Bearer t", "accept": "a"}
        answer = await made.request(Request("GET", f"http://{host}/x", headers), limit=10)
    assert (answer.body, answer.url) == (b"ok", f"http://{elsewhere}/y?z=1")
    assert seen[0].startswith(b"GET /y?z=1 ")
    assert b"authorization" not in seen[0].lower()
    assert b"accept: a" in seen[0]


async def test_authorisation_goes_along_within_a_host() -> None:
    async with scripted(moved("y"), OK) as (host, seen), transport() as made:
        headers = {"authorization": "Bearer t"}
        await made.request(Request("GET", f"http://{host}/a/x", headers), limit=10)
    assert seen[1].startswith(b"GET /a/y ")
    assert b"authorization: Bearer t" in seen[1]


@pytest.mark.parametrize(("status", "followed"), [(307, True), (308, True), (302, False)])
async def test_bodies_are_sent_again_where_that_is_meant(status: int, followed: bool) -> None:
    async with scripted(moved("/y", status), OK) as (host, seen), transport() as made:
        answer = await made.request(Request("PUT", f"http://{host}/x", body=b"b"), limit=10)
    assert (answer.status == 200) is followed
    assert len(seen) == 1 + followed


@pytest.mark.parametrize("location", ["ftp://x/", "http://u:p@x/", "http://x:99999/"])
async def test_redirects_to_no_web_address(location: str) -> None:
    async with scripted(moved(location)) as (host, _):
        with pytest.raises(ProtocolViolation):
            await get(host, attempts=1)


async def test_redirects_have_an_end() -> None:
    async with scripted(*[moved("/x")] * 20) as (host, _):
        with pytest.raises(ProtocolViolation, match="redirects"):
            await get(host)


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("chunks", [(b"12345",), (b"1234",), (b"123", b"456"), ()])
async def test_a_stream_of_another_length_is_not_taken_for_the_whole(
    chunks: Sequence[bytes],
) -> None:
    async with serving(Switches()) as registry, transport() as made:
        url = f"http://{registry.host}/v2/a/manifests/x"
        right = sum(map(len, chunks)) == 5
        request = Request("PUT", url, body=pieces(*chunks), length=5)
        if right:
            async with made.exchange(request) as response:
                assert response.status == 400
        else:
            with pytest.raises(ProtocolViolation, match="5 bytes"):
                async with made.exchange(request):
                    pytest.fail("it was answered")
            assert registry.calls == []


async def test_an_early_no_to_a_long_body_is_heard() -> None:
    refused = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refused)
        while await reader.read(1 << 20):  # a reset could overtake the answer
            pass

    async def long() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100_000

    async with listening(serve) as host, transport() as made:
        url = f"http://{host}/x"
        async with made.exchange(Request("PUT", url, body=long(), length=10_000_000)) as response:
            assert response.status == 413
