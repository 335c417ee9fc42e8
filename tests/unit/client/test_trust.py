"""Whom the transport trusts, and how it gets through a proxy. Certificates are made by openssl."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from loopback import at_once, listening
from retinue.client.errors import TlsProblem, Unreachable
from retinue.client.transport import Request, Settings, Transport

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ca.crt` for `localhost` and `private.example`, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,DNS:private.example"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "ca.crt")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if await reader.readline():
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)


@asynccontextmanager
async def secured(certificate: Path) -> AsyncIterator[int]:
    """The port of a TLS server."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "ca.crt", certificate / "key.pem")
    async with listening(answer, context) as host:
        yield int(host.partition(":")[2])


async def get(host: str, **settings: object) -> bytes:
    made = Settings(tls=frozenset({host}), attempts=1, **settings)  # type: ignore[arg-type]
    async with Transport(made, random=lambda: 0.5, sleep=at_once) as transport:
        request = Request("GET", f"{transport.base(host)}/v2/")
        return (await transport.request(request, limit=100)).body


async def test_nobody_is_trusted_without_proof(certificate: Path) -> None:
    async with secured(certificate) as port:
        with pytest.raises(TlsProblem, match="self-signed"):
            await get(f"localhost:{port}")


async def test_a_named_authority_is_trusted(certificate: Path) -> None:
    async with secured(certificate) as port:
        found = await get(f"localhost:{port}", ca_files=(certificate / "ca.crt",))
    assert found == b"secret"


async def test_an_authority_in_a_folder_of_the_host_is_trusted(
    certificate: Path, tmp_path: Path
) -> None:
    async with secured(certificate) as port:
        (tmp_path / f"localhost:{port}").mkdir()
        (tmp_path / f"localhost:{port}" / "ca.crt").symlink_to(certificate / "ca.crt")
        assert await get(f"localhost:{port}", certs_folders=(tmp_path,)) == b"secret"


async def test_a_certificate_for_another_host_is_refused(certificate: Path) -> None:
    async with secured(certificate) as port:
        with pytest.raises(TlsProblem, match="not valid for"):
            await get(f"127.0.0.1:{port}", ca_files=(certificate / "ca.crt",))


async def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(TlsProblem, match="absent"):
        await get("localhost:1", ca_files=(tmp_path / "absent.crt",))


@asynccontextmanager
async def proxy(target: int, status: str, seen: list[bytes]) -> AsyncIterator[str]:
    """The URL of an HTTP proxy that leads everybody to one port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        if status.startswith("200"):
            inner_reader, inner = await asyncio.open_connection("127.0.0.1", target)
            await asyncio.gather(pump(reader, inner), pump(inner_reader, writer))
            await inner.wait_closed()

    async def pump(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            to.write(data)
        to.close()

    async with listening(serve) as host:
        yield f"http://me:pass@{host}"


async def test_a_proxy_is_tunnelled_through_and_sees_no_secret(certificate: Path) -> None:
    seen: list[bytes] = []
    async with secured(certificate) as port, proxy(port, "200 OK", seen) as url:
        files = (certificate / "ca.crt",)
        found = await get("private.example", ca_files=files, environ={"https_proxy": url})
    assert found == b"secret"
    [head] = seen
    assert head.startswith(b"CONNECT private.example:443 HTTP/1.1\r\n")
    assert b"proxy-authorization: Basic bWU6cGFzcw==" in head


async def test_a_proxy_that_refuses_is_named() -> None:
    async with proxy(1, "403 No", []) as url:
        with pytest.raises(Unreachable, match="403"):
            await get("private.example", environ={"https_proxy": url})


async def test_plain_requests_go_whole_to_the_proxy() -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(ANSWER)

    async with listening(serve) as host:
        environ = {"http_proxy": f"http://{host}"}
        settings = Settings(environ=environ, plain=frozenset({"private.example"}))
        async with Transport(settings, random=lambda: 0.5, sleep=at_once) as transport:
            request = Request("GET", f"{transport.base('private.example')}/v2/?n=1")
            assert (await transport.request(request, limit=100)).body == b"secret"
    assert seen[0].startswith(b"GET http://private.example/v2/?n=1 HTTP/1.1\r\n")
