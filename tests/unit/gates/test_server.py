"""The small server of gates, over real TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from gate_callers import Caller, certify, post
from retinue.errors import RetinueError
from retinue.gates.server import Gate, Settings, TlsUnusable


class Unreadable(RetinueError):
    """No request of these tests."""


async def echo(body: bytes, seconds: float) -> bytes:
    return body + f" {seconds:g}".encode()


async def fail(body: bytes, seconds: float) -> bytes:
    if body == b"known":
        raise Unreadable("what is that?")
    raise ZeroDivisionError


Serving: TypeAlias = Callable[..., AbstractAsyncContextManager[tuple[Caller, Gate]]]


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    certificate, key = certify(tmp_path, "server")

    @asynccontextmanager
    async def serve(**more: Any) -> AsyncIterator[tuple[Caller, Gate]]:
        settings = Settings(certificate, key, **more)
        gate = Gate(settings, {"/echo": echo, "/fail": fail})
        server = await gate.start("127.0.0.1", 0)
        context = ssl.create_default_context(cafile=certificate)
        try:
            yield Caller(server.sockets[0].getsockname()[1], context), gate
        finally:
            server.close()

    return serve


async def test_requests_are_answered_one_after_another(serving: Serving) -> None:
    async with serving() as (call, _):
        answers = await call(post("/echo", b"a"), post("/echo", b"b"))

    assert answers == [b"HTTP/1.1 200 OK | a 8", b"HTTP/1.1 200 OK | b 8"]


async def test_a_caller_who_waits_less_is_answered_sooner(serving: Serving) -> None:
    async with serving() as (call, _):
        answers = await call(
            post("/echo?timeout=5s", b""),
            post("/echo?timeout=30s", b""),
            post("/echo?timeout=x", b""),
        )

    assert [answer.split()[-1] for answer in answers] == [b"4", b"8", b"8"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", b"200"),
        (b"GET /echo HTTP/1.1\r\n\r\n", b"405"),
        (post("/none", b""), b"404"),
        (b"POST /echo HTTP/1.1\r\n\r\n", b"411"),
        (b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST /echo HTTP/1.1\r\nContent-Length: 999\r\n\r\n", b"413"),
        (b"POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"POST /echo HTTP/1.1\r\nContent-Length : 1\r\n\r\n", b"400"),
        (b"POST http://x/echo HTTP/1.1\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n", b"400"),
        (post("/fail", b"known"), b"400"),
        (post("/fail", b"defect"), b"500"),
        (post("/echo", b"", "Connection: close"), b"200"),
    ],
)
async def test_whatever_is_wrong_is_an_error(
    serving: Serving, request_: bytes, status: bytes
) -> None:
    async with serving(max_body=100) as (call, _):
        (answer,) = await call(request_)

    assert answer.split()[1] == status


async def test_callers_show_certificates_where_that_is_asked(
    serving: Serving, tmp_path: Path
) -> None:
    certificate, key = certify(tmp_path, "caller")
    async with serving(clients=certificate) as (call, _):
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await call(post("/echo", b"a"))
        call.context.load_cert_chain(certificate, key)
        (answer,) = await call(post("/echo", b"a"))

    assert answer.endswith(b"a 8")


async def test_a_renewed_certificate_is_shown_to_new_connections(
    serving: Serving, tmp_path: Path
) -> None:
    async with serving() as (call, gate):
        before = await call.certificate()
        assert not gate.reload()
        for old, new in zip(
            (gate.settings.certificate, gate.settings.key), certify(tmp_path, "new"), strict=True
        ):
            new.replace(old)
        assert gate.reload()
        call.context = ssl.create_default_context(cafile=gate.settings.certificate)
        after = await call.certificate()

    assert before != after


async def test_a_broken_renewal_keeps_what_there_was(serving: Serving) -> None:
    async with serving() as (call, gate):
        gate.settings.key.write_text("nothing")
        with pytest.raises(TlsUnusable):
            gate.reload()
        (answer,) = await call(post("/echo", b"a"))

    assert answer.endswith(b"a 8")


def test_files_that_cannot_be_used_are_said(tmp_path: Path) -> None:
    with pytest.raises(TlsUnusable):
        Gate(Settings(tmp_path / "no.crt", tmp_path / "no.key"), {})
    certificate, key = certify(tmp_path, "server")
    with pytest.raises(TlsUnusable):
        Gate(Settings(certificate, key, clients=key), {})
