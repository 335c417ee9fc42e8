"""Answers belong to the host that gave them: nobody else gets credentials, or is quoted."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from loopback import at_once, listening
from retinue.client.client import Client
from retinue.client.credentials.credential import Credential, IdentityToken, Password
from retinue.client.errors import ProtocolViolation, Refused, StrangersChallenge
from retinue.client.remote import Remote
from retinue.client.transport import Request, Settings, Transport
from retinue.errors import RetinueError
from retinue.oci import digest as digests
from retinue.oci.digest import Digest

LOGINS: list[Credential] = [Password("me", "hunter2"), IdentityToken("hunter2")]
SECRETS = (b"hunter2", b"bWU6aHVudGVyMg==")
TEXT = b"text that no one is to read"
DIGEST = digests.of(TEXT)

Answering = Callable[[bytes], bytes]
"""From the head and body of a request to all of its answer."""


@asynccontextmanager
async def server(answering: Answering) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that closes after each answer, and what it was sent."""
    heard = list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        heard.append(head + await reader.readexactly(int(length[1]) if length else 0))
        writer.write(answering(heard[-1]))

    async with listening(serve) as host:
        yield host, heard


def answer(status: int, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status} x", *headers, "connection: close", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def repository(host: str, credential: Credential | None = None) -> AsyncIterator[Remote]:
    transport = Transport(Settings(attempts=1), random=lambda: 0.5, sleep=at_once)
    async with Client(transport, lambda *_: credential) as client:
        yield client.remote(host, "a/b")


async def read(remote: Remote, digest: Digest = DIGEST) -> bytes:
    async with remote.blob(digest) as chunks:
        return b"".join([chunk async for chunk in chunks])


def unseen(heard: list[bytes]) -> bool:
    return not any(secret in each for each in heard for secret in SECRETS)


@asynccontextmanager
async def greedy() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A host that wants credentials, for a token server of its own or in the request itself."""

    def answering(request: bytes) -> bytes:
        if b" /token" in request:
            return answer(200, body=b'{"token":"t"}')
        realm = f'www-authenticate: Bearer realm="http://{where}/token",service="x"'
        return answer(401, realm, 'www-authenticate: Basic realm="x"')

    async with server(answering) as (where, heard):
        yield where, heard


@pytest.mark.parametrize("credential", LOGINS)
async def test_where_a_blob_is_kept_no_credentials_are_to_be_had(credential: Credential) -> None:
    async with (
        greedy() as (cdn, heard),
        server(lambda _: answer(307, f"location: http://{cdn}/x")) as (host, _),
        repository(host, credential) as remote,
    ):
        with pytest.raises(StrangersChallenge, match=cdn):
            await read(remote)
        with pytest.raises(StrangersChallenge, match=cdn):
            await remote.resolve("latest")
    assert len(heard) == 2
    assert unseen(heard)


@pytest.mark.parametrize("credential", LOGINS)
async def test_where_an_upload_goes_no_credentials_are_to_be_had(credential: Credential) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield TEXT

    async with (
        greedy() as (store, heard),
        server(lambda _: answer(202, f"location: http://{store}/up")) as (host, _),
        repository(host, credential) as remote,
    ):
        with pytest.raises(StrangersChallenge, match=store):
            await remote.put_blob(DIGEST, len(TEXT), chunks())
    assert len(heard) == 1
    assert unseen(heard)


@pytest.mark.parametrize("status", [403, 410])
async def test_who_refuses_elsewhere_is_named(status: int) -> None:
    async with (
        server(lambda _: answer(status)) as (cdn, _),
        server(lambda _: answer(307, f"location: http://{cdn}/x")) as (host, _),
        repository(host) as remote,
    ):
        with pytest.raises(Refused, match=f"at http://{cdn}"):
            await read(remote)
        with pytest.raises(Refused, match=f"at http://{cdn}"):
            await remote.resolve("latest")


async def test_a_next_page_is_not_fetched_elsewhere() -> None:
    link = answer(200, 'link: <http://localhost:1/v2/>; rel="next"', body=b'{"tags":["a"]}')
    async with server(lambda _: link) as (host, _), repository(host, LOGINS[0]) as remote:
        with pytest.raises(ProtocolViolation, match="next page elsewhere"):
            [tag async for tag in remote.tags()]


async def test_a_refresh_token_is_not_sent_on() -> None:
    async with greedy() as (other, heard):

        def answering(heard: bytes) -> bytes:
            if b" /token" in heard:
                return answer(307, f"location: http://{other}/token")
            return answer(401, f'www-authenticate: Bearer realm="http://{where}/token"')

        async with server(answering) as (where, _), repository(where, LOGINS[1]) as remote:
            with pytest.raises(ProtocolViolation, match="a redirect of a secret"):
                await read(remote)
    assert not heard


async def test_a_port_that_is_the_usual_one_is_the_same_place() -> None:
    async with Transport(Settings(), random=lambda: 0.5) as transport:
        made = Request("GET", "https://r.acme/v2/", {"authorization": "x"})
        assert transport._redirected(made, "https://R.acme:443/v2/y").headers == made.headers
        assert transport._redirected(made, "https://r.acme:444/v2/y").headers == {}
        with pytest.raises(ProtocolViolation, match="from https to http"):
            transport._redirected(made, "http://r.acme/v2/y")


@pytest.mark.parametrize(
    "raw",
    [
        TEXT + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + TEXT + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + TEXT + b"\r\n",
        answer(200, "docker-content-digest: " + TEXT.decode(), body=b"{}"),
        answer(200, "content-type: " + TEXT.decode(), body=b"{}"),
        answer(401, "www-authenticate: " + TEXT.decode() + ', ="'),
        answer(401, f'www-authenticate: Bearer realm="ftp://{TEXT.decode()}"'),
        answer(307, "location: http://[" + TEXT.decode()),
        answer(307, "location: gopher://x/" + TEXT.decode()),
        answer(307, "location: http://" + TEXT.decode() + "/x"),
        answer(307, "location: /\x01" + TEXT.decode()),
        answer(206, "content-range: " + TEXT.decode(), body=TEXT),
        answer(200, f'link: <http://x/{TEXT.decode()}>; rel="next"', body=b'{"tags":["a"]}'),
        answer(500, body=TEXT),
        answer(500, body=b'{"error":"' + TEXT + b'"}'),
        answer(500, body=b'{"message":"' + TEXT + b'"}'),
        answer(500, body=b'{"errors":[{"code":"' + TEXT + b'"}]}'),
        answer(200, body=b'{"tags":' + TEXT + b"}"),
        answer(200, body=b'\xfe"' + TEXT),
    ],
)
async def test_of_what_cannot_be_read_nothing_is_repeated(raw: bytes) -> None:
    async with server(lambda _: raw) as (host, _), repository(host) as remote:
        told = await asyncio.gather(
            remote.resolve("x"), read(remote), _all(remote), return_exceptions=True
        )
    problems = [str(each) for each in told if isinstance(each, RetinueError)]
    assert problems
    assert not any(isinstance(each, ValueError) for each in told)
    assert not any(words in each for each in problems for words in ("no one", "is to read"))


async def _all(remote: Remote) -> None:
    async for _ in remote.tags():
        continue


async def test_of_an_error_document_code_and_message_are_told() -> None:
    body = b'{"errors":[{"code":"DENIED","message":"not \\u001b[1myou' + b"x" * 999 + b'"}]}'
    async with server(lambda _: answer(403, body=body)) as (host, _), repository(host) as remote:
        with pytest.raises(RetinueError, match=r"DENIED: not  \[1myoux+\)") as caught:
            await remote.resolve("x")
    assert len(str(caught.value)) < 600
