"""Lists of tags (end-8)."""

from retinue.oci.reference import valid_name
from retinue.registry.catalog import tags_read
from retinue.registry.catalog.tags_read import SEPARATOR
from retinue.registry.content.errors import NameInvalid, RepositoryUnknown
from retinue.registry.content.services import Services
from retinue.registry.http.exchange import UNCHANGED, Request, Response
from retinue.wire import paths
from retinue.wire.paging import next_link, parse_page

MOST = 10_000
"""Tags in one answer; more are found behind its Link."""
LEAST = 1 + len(SEPARATOR)
"""Characters that each of several joined tags takes at least: a short list needs no counting."""


async def get(services: Services, request: Request, name: str, _rest: str) -> Response:
    if request.query:
        page = parse_page(request.param("n"), request.param("last"), default=MOST, maximum=MOST)
        most, last = page.n, page.last or ""
    else:
        most, last = MOST, ""
    found = await tags_read.listed(services.catalog, name, last, most + 1)
    if found is None:
        raise RepositoryUnknown(name) if valid_name(name) else NameInvalid(name)
    joined, more = cut(found.joined, most)
    headers = [("content-type", "application/json")]
    if more:
        link = next_link(paths.tags(name), n=most, last=joined.rpartition(SEPARATOR)[2])
        headers.append(("link", link))
    quoted = f'["{joined}"]' if joined else "[]"
    return Response(200, headers, f'{{"name":"{name}","tags":{quoted}}}'.encode(), again=UNCHANGED)


def cut(joined: str, most: int) -> tuple[str, bool]:
    """At most `most` of joined names, and whether (of one more at most) there are others."""
    if most == 0 or not joined:
        return "", False
    if len(joined) < most * LEAST or joined.count(SEPARATOR) < most:
        return joined, False
    return joined.rpartition(SEPARATOR)[0], True
