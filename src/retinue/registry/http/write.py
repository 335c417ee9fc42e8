"""Answers onto the connection. Nothing is ever compressed: lengths and digests stay exact."""

import asyncio
from collections.abc import AsyncIterator

from retinue.registry.http.exchange import Headers, Response, Send
from retinue.registry.storage.blobstore import LocalFile

WITHOUT_BODY = frozenset({204, 304})


async def write(send: Send, response: Response, *, head: bool, extra: Headers, stall: float) -> int:
    """Send it; returns the bytes of its body.

    `head`: leave the body out, keep its length. `extra`: headers that every answer has. `stall`:
    seconds that a client may leave a streamed piece untaken before the connection is dropped.
    """
    body = response.body
    if type(body) is bytes:
        length = len(body) if response.length is None else response.length
        await send(_start(response, length, extra))
        await send({"type": "http.response.body", "body": b"" if head else body})
        return 0 if head else len(body)
    return await _write_long(send, response, head=head, extra=extra, stall=stall)


def _start(response: Response, length: int | None, extra: Headers) -> dict[str, object]:
    headers = response.headers
    headers += extra
    if length is not None and response.status not in WITHOUT_BODY:
        headers.append((b"content-length", b"%d" % length))
    return {"type": "http.response.start", "status": response.status, "headers": headers}


async def _write_long(
    send: Send, response: Response, *, head: bool, extra: Headers, stall: float
) -> int:
    body = response.body
    if isinstance(body, LocalFile):
        await send(_start(response, body.size, extra))
        if head:
            await send({"type": "http.response.body", "body": b""})
            return 0
        await send({"type": "http.response.pathsend", "path": str(body.path)})
        return body.size
    assert not isinstance(body, bytes)
    try:
        await send(_start(response, response.length, extra))
        return await _stream(send, body, stall, head=head)
    finally:
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()


async def _stream(send: Send, body: AsyncIterator[bytes], stall: float, *, head: bool) -> int:
    sent = 0
    if not head:
        async for part in body:
            async with asyncio.timeout(stall):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            sent += len(part)
    await send({"type": "http.response.body", "body": b""})
    return sent
