"""Content onto the wire: what manifests and blobs have in common."""

from retinue.registry.content import pull
from retinue.registry.content.cache import Entry
from retinue.registry.http.exchange import UNCHANGED, Again, Part, Request, Response
from retinue.registry.storage.blobstore import LocalFile, Redirect
from retinue.wire.ranges import content_range, parse_range


def known_already(request: Request, etag: str) -> bool:
    """Whether If-None-Match names what we would send (RFC 9110 13.1.2)."""
    known = request.headers.get("if-none-match")
    return known is not None and (etag in known or known.strip() == "*")


def inline(request: Request, entry: Entry, again: Again) -> Response:
    """Bytes from memory: all of them, a range of them, or 304. Raises Unsatisfiable."""
    headers = request.headers
    if "if-none-match" in headers and known_already(request, entry.headers[2][1]):
        return Response(304, entry.headers[1:3])
    if "range" in headers and request.method == "GET":
        return _part_of_entry(request, entry)
    return Response(200, entry.headers, entry.body, again=again)


def _part_of_entry(request: Request, entry: Entry) -> Response:
    span = _span(request, len(entry.body), entry.headers[2][1])
    if span is None:
        return Response(200, entry.headers, entry.body)
    described = ("content-range", content_range(*span, len(entry.body)))
    return Response(206, [*entry.headers, described], entry.body[span[0] : span[1]])


def _span(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """The part that is asked for, if the client has the rest of the same (RFC 9110 13.1.5)."""
    asked = request.headers.get("range")
    span = None if asked is None else parse_range(asked, size)
    same = "if-range" not in request.headers or request.headers.get("if-range") == etag
    return span if same else None


def large(request: Request, blob: pull.Large) -> Response:
    """A file that the server sends by itself, a part of it, or where it is found."""
    headers = pull.described(blob.digest, "")
    etag = headers[2][1]
    if known_already(request, etag):
        return Response(304, headers[1:3])
    if request.method == "HEAD":
        return Response(200, headers, length=blob.size)
    if isinstance(blob.at, Redirect):
        return Response(307, [("location", blob.at.url), headers[1]])
    assert isinstance(blob.at, LocalFile)
    span = _span(request, blob.size, etag)
    if span is None:
        again = UNCHANGED if blob.size > pull.IN_MEMORY else None
        return Response(200, headers, blob.at, again=again)
    described = ("content-range", content_range(*span, blob.size))
    return Response(206, [*headers, described], Part(blob.at, *span))
