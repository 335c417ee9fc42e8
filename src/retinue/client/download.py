"""A blob as a stream that survives broken connections, and never ends well with wrong bytes."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from retinue.client import retry
from retinue.client.connection import Broken
from retinue.client.errors import ProtocolViolation
from retinue.client.session import SMALL, Session
from retinue.client.transport import Response
from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.stores import BlobMissing, DigestMismatch
from retinue.wire import paths, ranges
from retinue.wire.ranges import MalformedRange


@asynccontextmanager
async def open_blob(
    session: Session, name: str, digest: Digest, start: int
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The bytes from `start` on. Raises BlobMissing at once.

    From the first byte on, the digest is checked: DigestMismatch at the end. A later start cannot
    be checked; whoever asks for it has the beginning, and checks the whole.
    """
    async with _request(session, name, digest, start) as response:
        chunks = _whole(session, name, digest, start, response)
        try:
            yield chunks
        finally:
            await chunks.aclose()


async def _whole(
    session: Session, name: str, digest: Digest, start: int, response: Response
) -> AsyncGenerator[bytes, None]:
    hasher = digests.hasher(digests.algorithm(digest))
    position, failures = start, 0
    source = _from(session, response, start)
    while True:
        try:
            async for chunk in source:
                position, failures = position + len(chunk), 0
                hasher.update(chunk)
                yield chunk
            break
        except Broken:
            failures += 1
            if failures >= session.transport.settings.attempts:
                raise
        await session.transport.sleep(retry.backoff(failures, session.transport.random()))
        source = _again(session, name, digest, position)
    actual = Digest(f"{digests.algorithm(digest)}:{hasher.hexdigest()}")
    if start == 0 and actual != digest:
        raise DigestMismatch(digest, actual)


async def _again(
    session: Session, name: str, digest: Digest, position: int
) -> AsyncIterator[bytes]:
    async with _request(session, name, digest, position) as response:
        async for chunk in _from(session, response, position):
            yield chunk


@asynccontextmanager
async def _request(
    session: Session, name: str, digest: Digest, start: int
) -> AsyncIterator[Response]:
    headers = {"range": ranges.range_header(start)} if start else {}
    async with session.exchange("GET", paths.blob(name, digest), headers=headers) as response:
        if response.status == 404:
            await response.read(SMALL)
            raise BlobMissing(digest)
        if response.status not in {200, 206, 416} or (response.status == 416 and not start):
            body = await response.read(SMALL)
            raise session.refused(response, body, f"blob {digest}")
        yield response


async def _from(session: Session, response: Response, start: int) -> AsyncIterator[bytes]:
    """The body from `start` on, whether or not the registry heeded the range."""
    if response.status == 416:  # nothing is left after `start`
        return
    skip = start - _served(session, response) if response.status == 206 else start
    if skip < 0:
        raise ProtocolViolation(session.host, "a range other than the one asked for")
    async for chunk in response.chunks():
        if skip >= len(chunk):
            skip -= len(chunk)
            continue
        yield chunk[skip:] if skip else chunk
        skip = 0


def _served(session: Session, response: Response) -> int:
    try:
        return ranges.parse_served(response.headers.get("content-range") or "")[0]
    except MalformedRange as problem:
        raise ProtocolViolation(session.host, "a malformed content-range") from problem
