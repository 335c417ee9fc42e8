"""The list of repositories that the caller may pull from, and the first question of clients."""

import json
from collections.abc import Sequence

from retinue.registry.access.gate import Unauthenticated
from retinue.registry.access.rules import Action, as_like, ranges
from retinue.registry.catalog import reads
from retinue.registry.content.services import Services
from retinue.registry.http.exchange import Request, Response
from retinue.wire import paths
from retinue.wire.paging import next_link, parse_page

MOST = 10_000
DEFAULT = 1_000


async def get(services: Services, request: Request, _name: str, _rest: str) -> Response:
    page = parse_page(request.param("n"), request.param("last"), default=DEFAULT, maximum=MOST)
    globs = require_somebody(services, request)
    likes = [as_like(glob) for glob in globs]
    within = ranges(globs)
    found = await reads.names(services.catalog, likes, within, page.last or "", page.n + 1)
    names = found[: page.n]
    headers = [("content-type", "application/json")]
    if names and len(found) > page.n:
        link = next_link(paths.CATALOG, n=page.n, last=names[-1])
        headers.append(("link", link))
    return Response(200, headers, json.dumps({"repositories": names}).encode())


def require_somebody(services: Services, request: Request) -> Sequence[str]:
    """Patterns of what the caller may pull; raises Unauthenticated where that is nothing, and he
    could log in."""
    globs = services.access.globs(request.principal, Action.PULL)
    if not globs and request.principal.anonymous:
        raise Unauthenticated
    return globs


async def ping(services: Services, request: Request, _name: str, _rest: str) -> Response:
    """`/v2/`: clients learn here how to log in, so whoever is nobody is asked to."""
    if not services.access.open and request.principal.anonymous:
        raise Unauthenticated
    headers = [
        ("content-type", "application/json"),
        ("docker-distribution-api-version", "registry/2.0"),
    ]
    return Response(200, headers, b"{}")
