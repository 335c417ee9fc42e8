"""GET and HEAD of blobs (end-2)."""

from retinue.oci import digest as digests
from retinue.registry.content import pull
from retinue.registry.content.services import Services
from retinue.registry.http.exchange import UNCHANGED, Again, Request, Response
from retinue.registry.http.v2 import serve


async def get(services: Services, request: Request, name: str, digest: str) -> Response:
    found = await pull.find_blob(services, name, digests.parse(digest))
    if pull.in_memory(services, found):
        return serve.inline(request, await pull.entry(services, found, as_blob=True), UNCHANGED)
    return serve.large(request, await pull.large(services, found, look=True))


async def head(services: Services, request: Request, name: str, digest: str) -> Response:
    found = await pull.find_blob(services, name, digests.parse(digest))
    if found.location is not None:  # who is told that it is here does not push it
        await pull.large(services, found, look=True)
    await pull.keep_alive(services, found, manifest=found.is_manifest)
    headers = pull.described(digests.parse(digest), "")
    known = serve.unmodified(request, headers)
    if known is not None:
        return known
    again = Again(pull.fresh_until(services, found))
    return Response(200, headers, length=found.size, again=again)
