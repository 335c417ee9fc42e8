"""Blobs on their way to a registry: in one request, in one stream, or in chunks that can resume."""

from collections.abc import AsyncIterator

from msgspec import Struct

from retinue.client import retry
from retinue.client.errors import ProtocolViolation, Unreachable
from retinue.client.locations import joined
from retinue.client.session import PUSH, Session
from retinue.client.transport import Answer
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.stores import DigestMismatch
from retinue.wire import paths, ranges
from retinue.wire.ranges import MalformedRange

AT_ONCE = 1024 * 1024
"""Blobs up to so many bytes are sent with the request that starts the upload (end-4b)."""
IN_CHUNKS = 256 * 1024 * 1024
"""Blobs from so many bytes on are sent in chunks, so that a broken connection costs only one."""
CHUNK = 16 * 1024 * 1024
"""Bytes of a chunk, which stays in memory until it was accepted."""

_OCTETS = {"content-type": names.OCTET_STREAM}


class Blob(Struct, frozen=True):
    """What is uploaded; `size` in bytes."""

    digest: Digest
    size: int
    chunks: AsyncIterator[bytes]


async def upload(session: Session, name: str, blob: Blob, location: str | None = None) -> None:
    """Send a blob; `location` is that of a session which a declined mount has left.

    Raises DigestMismatch before it ends the upload when the bytes are not those of the digest.
    """
    if blob.size <= AT_ONCE:
        await _at_once(session, name, blob, location)
        return
    if location is None:
        location = await _start(session, name, blob.digest)
    if blob.size < IN_CHUNKS:
        await _in_one_stream(session, blob, location)
    else:
        await _in_chunks(session, blob, location)


async def _at_once(session: Session, name: str, blob: Blob, location: str | None) -> None:
    data = b"".join([chunk async for chunk in _checked(blob)])
    if location is None:
        target = paths.uploads(name, digest=blob.digest)
        answer = await _send(session, "POST", target, data, _OCTETS)
        if answer.status == 201:
            return
        if answer.status != 202:
            raise session.refusal(answer, f"blob {blob.digest}")
        location = _location(session, answer)
    await _finish(session, blob, location, data)


async def _start(session: Session, name: str, digest: Digest) -> str:
    algorithm = digests.algorithm(digest)
    target = paths.uploads(name, algorithm=None if algorithm == "sha256" else algorithm)
    answer = await _send(session, "POST", target, b"", {})
    if answer.status != 202:
        raise session.refusal(answer, f"an upload of {digest}")
    return _location(session, answer)


async def _finish(session: Session, blob: Blob, location: str, data: bytes) -> None:
    target = paths.with_digest(location, blob.digest)
    answer = await _send(session, "PUT", target, data, _OCTETS if data else {})
    if answer.status // 100 != 2:
        raise session.refusal(answer, f"blob {blob.digest}")


async def _in_one_stream(session: Session, blob: Blob, location: str) -> None:
    """The whole blob as the body of the PUT; whoever has the source repeats all of it."""
    target = paths.with_digest(location, blob.digest)
    async with session.exchange(
        "PUT", target, actions=PUSH, headers=_OCTETS, body=_checked(blob), length=blob.size
    ) as response:
        body = await response.read(1024 * 1024)
        if response.status // 100 != 2:
            what = f"blob {blob.digest}"
            raise session.refused(response, body, what)


async def _in_chunks(session: Session, blob: Blob, location: str) -> None:
    offset = 0
    async for chunk in _cut(_checked(blob), CHUNK):
        location = await _chunk(session, blob, location, offset, chunk)
        offset += len(chunk)
    await _finish(session, blob, location, b"")


async def _chunk(session: Session, blob: Blob, location: str, offset: int, chunk: bytes) -> str:
    """Send one chunk, going on from where the registry stands if the connection breaks."""
    done = 0
    for attempt in range(session.transport.settings.attempts):
        rest = chunk[done:]
        if not rest:
            return location
        headers = {
            **_OCTETS,
            "content-range": ranges.chunk_range(offset + done, offset + len(chunk)),
        }
        try:
            answer = await _send(session, "PATCH", location, rest, headers, repeat=False)
        except Unreachable:
            if attempt + 1 == session.transport.settings.attempts:
                raise
        else:
            if answer.status in {202, 204}:
                return _location(session, answer)
            if answer.status != 416:
                raise session.refusal(answer, f"a chunk of {blob.digest}")
        await session.transport.sleep(retry.backoff(attempt, session.transport.random()))
        location, received = await _standing(session, blob, location)
        done = received - offset
        if not 0 <= done <= len(chunk):
            raise ProtocolViolation(session.host, f"an upload at {received}, not at {offset}")
    raise ProtocolViolation(session.host, "chunks that never arrive whole")


async def _standing(session: Session, blob: Blob, location: str) -> tuple[str, int]:
    """Where the session goes on, and how many bytes it has (end-13)."""
    answer = await session.request("GET", location, actions=PUSH)
    if answer.status != 204:
        raise session.refusal(answer, f"the upload of {blob.digest}")
    try:
        received = ranges.parse_upload_range(answer.headers.get("range") or "")
    except MalformedRange as problem:
        raise ProtocolViolation(session.host, "a malformed range of an upload") from problem
    return _location(session, answer), received


async def _send(
    session: Session,
    method: str,
    target: str,
    body: bytes,
    headers: dict[str, str],
    *,
    repeat: bool = True,
) -> Answer:
    return await session.request(
        method, target, actions=PUSH, headers=headers, body=body, repeat=repeat
    )


def _location(session: Session, answer: Answer) -> str:
    location = answer.headers.get("location")
    if not location:
        raise ProtocolViolation(session.host, "an upload without a Location")
    return joined(answer.url, location, session.host)


async def _checked(blob: Blob) -> AsyncIterator[bytes]:
    """The chunks; at their end the digest is right, or DigestMismatch is raised."""
    hasher = digests.hasher(digests.algorithm(blob.digest))
    size = 0
    async for chunk in blob.chunks:
        size += len(chunk)
        if size > blob.size:
            break
        hasher.update(chunk)
        yield chunk
    actual = Digest(f"{digests.algorithm(blob.digest)}:{hasher.hexdigest()}")
    if actual != blob.digest or size != blob.size:
        raise DigestMismatch(blob.digest, actual)


async def _cut(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The same bytes in parts of `size`, the last one shorter."""
    parts = bytearray()
    async for chunk in chunks:
        parts += chunk
        while len(parts) >= size:
            yield bytes(parts[:size])
            del parts[:size]
    if parts:
        yield bytes(parts)
