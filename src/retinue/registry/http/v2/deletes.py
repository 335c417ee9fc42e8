"""DELETE of blobs (end-10)."""

from retinue.oci import digest as digests
from retinue.registry.catalog.db import Freeing
from retinue.registry.content.delete import delete_blob
from retinue.registry.content.services import Services
from retinue.registry.content.times import times
from retinue.registry.http.exchange import Request, Response


async def blob(services: Services, _request: Request, name: str, rest: str) -> Response:
    """202: this repository holds it no longer."""
    digest = digests.parse(rest)
    now = times(services.config, services.clock())
    await services.catalog.commit(Freeing(delete_blob, name, digest, now))
    return Response(202)
