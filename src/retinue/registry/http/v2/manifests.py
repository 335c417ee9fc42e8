"""GET and HEAD of manifests (end-3)."""

from retinue.registry.content import pull
from retinue.registry.content.services import Services
from retinue.registry.http.exchange import Again, Request, Response
from retinue.registry.http.v2 import serve


async def get(services: Services, request: Request, name: str, reference: str) -> Response:
    found = await pull.find_manifest(services, name, reference)
    entry = await pull.entry(services, found)
    pull.record(services, found)
    return serve.inline(request, entry, Again(pulled=(found.repository, found.digest)))


async def head(services: Services, request: Request, name: str, reference: str) -> Response:
    found = await pull.find_manifest(services, name, reference)
    await pull.keep_alive(services, found, manifest=True)
    again = Again(pull.fresh_until(services, found))
    return serve.inline(request, await pull.entry(services, found), again)
