"""Content onto the wire: what manifests and blobs have in common.

The order of conditions is that of RFC 9110 13.2.2: If-Match, If-None-Match, then If-Range and Range.
"""

from retinue.registry.content import pull
from retinue.registry.content.cache import Entry
from retinue.registry.http.exchange import UNCHANGED, Again, Pairs, Part, Request, Response
from retinue.registry.storage.blobstore import LocalFile, Redirect
from retinue.wire import conditions
from retinue.wire.ranges import content_range, parse_range


def unmodified(request: Request, headers: Pairs) -> Response | None:
    """304 where the client has what these headers describe; None: send it.

    Raises PreconditionFailed, MalformedCondition.
    """
    fields = request.headers
    opaque = headers[1][1]
    if "if-match" in fields:
        conditions.require_match(fields.get_all("if-match"), opaque)
    if "if-none-match" not in fields:
        return None
    if conditions.none_matches(fields.get_all("if-none-match"), opaque):
        return None
    return Response(304, headers[1:3])


def inline(request: Request, entry: Entry, again: Again) -> Response:
    """Bytes from memory: all of them, a range of them, or 304. Raises Unsatisfiable, and what
    `unmodified` does."""
    known = unmodified(request, entry.headers)
    if known is not None:
        return known
    if "range" in request.headers and request.method == "GET":
        return _part_of_entry(request, entry)
    return Response(200, entry.headers, entry.body, again=again)


def _part_of_entry(request: Request, entry: Entry) -> Response:
    span = _span(request, len(entry.body), entry.headers[1][1])
    if span is None:
        return Response(200, entry.headers, entry.body)
    described = ("content-range", content_range(*span, len(entry.body)))
    return Response(206, [*entry.headers, described], entry.body[span[0] : span[1]])


def _span(request: Request, size: int, opaque: str) -> tuple[int, int] | None:
    """The part that is asked for; None: all, also where the client has a part of something else.

    Raises Unsatisfiable.
    """
    fields = request.headers
    asked = fields.get_all("range")
    if "if-range" in fields and not conditions.same(fields.get_all("if-range"), opaque):
        return None
    return parse_range(asked[0], size) if len(asked) == 1 else None


def large(request: Request, blob: pull.Large) -> Response:
    """A file that the server sends by itself, a part of it, or where it is found.

    Raises Unsatisfiable, and what `unmodified` does.
    """
    headers = pull.described(blob.digest, "")
    known = unmodified(request, headers)
    if known is not None:
        return known
    if request.method == "HEAD":
        return Response(200, headers, length=blob.size)
    if isinstance(blob.at, Redirect):
        return Response(307, [("location", blob.at.url), headers[1]])
    assert isinstance(blob.at, LocalFile)
    span = _span(request, blob.size, blob.digest)
    if span is None:
        again = UNCHANGED if blob.size > pull.IN_MEMORY else None
        return Response(200, headers, blob.at, again=again)
    described = ("content-range", content_range(*span, blob.size))
    return Response(206, [*headers, described], Part(blob.at, *span))
