"""Answers onto the connection. Nothing is ever compressed: lengths and digests stay exact."""

from retinue.registry.http.exchange import Headers, Part, Response, Wire
from retinue.registry.storage.blobstore import LocalFile

WITHOUT_BODY = frozenset({204, 304})


def write(wire: Wire, response: Response, headers: Headers, *, head: bool) -> int:
    """Send it with these headers; returns the bytes of its body.

    `head`: leave the body out, keep its length.
    """
    body = response.body
    if head:
        if response.status not in WITHOUT_BODY:
            headers.append(("content-length", str(size_of(response))))
        wire.response_empty(response.status, headers)
        return 0
    if type(body) is bytes:
        wire.response_bytes(response.status, headers, body)  # the server adds its length
        return len(body)
    size = size_of(response)
    headers.append(("content-length", str(size)))
    if isinstance(body, LocalFile):
        wire.response_file(response.status, headers, str(body.path))
    elif isinstance(body, Part):
        file = str(body.file.path)
        wire.response_file_range(response.status, headers, file, body.start, body.end)
    return size


def size_of(response: Response) -> int:
    """Bytes of the body that it has, or to a HEAD would have."""
    if response.length is not None:
        return response.length
    body = response.body
    if isinstance(body, bytes):
        return len(body)
    return body.size
