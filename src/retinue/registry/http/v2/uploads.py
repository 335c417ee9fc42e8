"""Uploads of blobs (end-4a to 4c, 5, 6, 11, 13, 14)."""

from collections.abc import AsyncIterable

from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.reference import valid_name
from retinue.registry.content import sessions, upload
from retinue.registry.content.blobs import mount
from retinue.registry.content.errors import (
    NameInvalid,
    UploadInvalid,
    UploadTooLarge,
    UploadUnknown,
)
from retinue.registry.content.services import Services
from retinue.registry.content.sessions import Ticket
from retinue.registry.content.upload import Body
from retinue.registry.http.exchange import Headers, Request, Response
from retinue.wire import paths
from retinue.wire.ranges import parse_content_range, upload_range


async def post(services: Services, request: Request, name: str, rest: str) -> Response:
    """202 with a new session; 201 when a mount or a whole body made the blob at once."""
    if rest:
        raise UploadUnknown(rest)
    if not valid_name(name):
        raise NameInvalid(name)
    params = {key: values[0] for key, values in request.params().items()}
    if "mount" in params:
        digest = digests.parse(params["mount"])
        if await mount(services, name, digest, params.get("from"), request.principal):
            return _created(name, digest)
    elif "digest" in params:
        digest = digests.parse(params["digest"])
        body = _body(services, request, request.all_or_nothing())
        await upload.store(services, name, digest, body)
        return _created(name, digest)
    algorithm = params.get("digest-algorithm", "sha256")
    ticket = upload.begin(services, name, request.principal.name, algorithm)
    return Response(202, _session(ticket, 0))


async def get(services: Services, request: Request, name: str, rest: str) -> Response:
    """204 with the bytes received so far; `0-0` also when there are none."""
    ticket = _ticket(services, request, name, rest)
    return Response(204, _session(ticket, await upload.status(services, ticket)))


async def patch(services: Services, request: Request, name: str, rest: str) -> Response:
    ticket = _ticket(services, request, name, rest)
    body = _body(services, request, request.chunks())
    received = await upload.append(services, ticket, body)
    return Response(202, _session(ticket, received))


async def put(services: Services, request: Request, name: str, rest: str) -> Response:
    ticket = _ticket(services, request, name, rest)
    text = request.param("digest")
    if text is None:
        raise UploadInvalid("the PUT that ends an upload needs the parameter digest")
    digest = digests.parse(text)
    body = _body(services, request, request.all_or_nothing())
    await upload.finish(services, ticket, digest, body)
    return _created(name, digest)


async def delete(services: Services, request: Request, name: str, rest: str) -> Response:
    await upload.cancel(services, _ticket(services, request, name, rest))
    return Response(204)


def _ticket(services: Services, request: Request, name: str, rest: str) -> Ticket:
    return sessions.check(services.secret, rest, name, request.principal.name)


def _body(services: Services, request: Request, chunks: AsyncIterable[bytes]) -> Body:
    """Raises MalformedRange, UploadInvalid, UploadTooLarge."""
    size = request.announced
    span = _span(request)
    body = Body(chunks, span, size)
    if body.span is not None and size is not None and size != body.span[1] - body.span[0]:
        raise UploadInvalid(f"a Content-Range of {body.size} bytes has Content-Length {size}")
    most = services.config.max_blob
    if most and body.size is not None and body.size > most:
        raise UploadTooLarge(most)
    return body


def _span(request: Request) -> tuple[int, int] | None:
    if "content-range" not in request.headers:
        return None
    return parse_content_range(request.headers.get("content-range") or "no ASCII")


def _created(name: str, digest: Digest) -> Response:
    headers = [("location", paths.blob(name, digest)), (names.HEADER_DIGEST, digest)]
    return Response(201, headers)


def _session(ticket: Ticket, received: int) -> Headers:
    return [
        ("location", upload.location(ticket)),
        ("range", upload_range(received)),
        (names.HEADER_UPLOAD_UUID, ticket.session),
    ]
