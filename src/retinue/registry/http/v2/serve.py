"""Content onto the wire: what manifests and blobs have in common."""

from retinue.registry.content import pull
from retinue.registry.content.cache import Entry
from retinue.registry.content.services import Services
from retinue.registry.http.exchange import Headers, Request, Response
from retinue.registry.storage.blobstore import LocalFile, Redirect
from retinue.wire.ranges import content_range, parse_range


def known_already(request: Request, etag: bytes) -> bool:
    """Whether If-None-Match names what we would send (RFC 9110 13.1.2)."""
    for key, value in request.headers:
        if key == b"if-none-match":
            return value.strip() == b"*" or etag in value
    return False


def inline(request: Request, entry: Entry) -> Response:
    """Bytes from memory: all of them, a range of them, or 304. Raises Unsatisfiable."""
    for key, value in request.headers:
        if key == b"if-none-match" and entry.headers[2][1] in value:
            return Response(304, list(entry.headers[1:3]))
        if key == b"range" and request.method == "GET":
            return _part_of_entry(request, entry, value.decode("latin-1"))
    return Response(200, list(entry.headers), entry.body)


def _part_of_entry(request: Request, entry: Entry, header: str) -> Response:
    size = len(entry.body)
    span = parse_range(header, size)
    if span is None or not _still_current(request, entry.headers[2][1]):
        return Response(200, list(entry.headers), entry.body)
    described = (b"content-range", content_range(*span, size).encode())
    return Response(206, [*entry.headers, described], entry.body[span[0] : span[1]])


def _still_current(request: Request, etag: bytes) -> bool:
    """If-Range: a part is sent only of what the client has the rest of (RFC 9110 13.1.5)."""
    condition = request.header(b"if-range")
    return condition is None or condition.encode("latin-1") == etag


async def large(services: Services, request: Request, blob: pull.Large) -> Response:
    """A file that the server sends by itself, a part of it, or where it is found."""
    headers: Headers = list(pull.described(blob.digest, ""))
    if known_already(request, headers[2][1]):
        return Response(304, headers[1:3])
    if request.method == "HEAD":
        return Response(200, headers, length=blob.size)
    if isinstance(blob.at, Redirect):
        return Response(307, [(b"location", blob.at.url.encode()), headers[1]])
    assert isinstance(blob.at, LocalFile)
    header = request.header(b"range")
    span = None if header is None else parse_range(header, blob.size)
    if span is None or not _still_current(request, headers[2][1]):
        return Response(200, headers, blob.at)
    headers.append((b"content-range", content_range(*span, blob.size).encode()))
    stream = pull.part(services, blob.location, *span)
    return Response(206, headers, stream, length=span[1] - span[0])
