"""Papers of a subject as the drafts before OCI 1.1 list them: four views over one index.

Sources: notaryproject/distribution docs/reference-types.md; opencontainers/artifacts
artifact-manifest pull request 29; oras-project/artifacts-spec manifest-referrers-api.md.
"""

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog import referrers as catalog
from retinue.registry.catalog.referrers import Body, Paper
from retinue.registry.content import pull
from retinue.registry.content.errors import ManifestUnknown
from retinue.registry.content.services import Services
from retinue.registry.http.exchange import Headers, Request, Response
from retinue.registry.http.links import absolute
from retinue.registry.http.v2.referrers import described, papers, sound
from retinue.wire.paging import parse_page

MOST = 100
"""Papers in one answer, most of which hold whole manifests."""
CREATED = "io.cncf.oras.artifact.created"
_JSON = ("content-type", "application/json")
_VERSION = ("oras-api-version", "oras/1.0")


class Wanted(Struct, frozen=True):
    """What is asked for: papers of `subject` after `after`, at most `n`, of one type."""

    name: str
    subject: Digest
    kind: str | None
    n: int
    after: bytes


class Page(Struct, frozen=True):
    """`more`: the last digest of this page when there is another one."""

    repository: int | None
    papers: Sequence[Paper]
    more: str | None


async def references(services: Services, request: Request, name: str, reference: str) -> Response:
    """The prototype of 2021: whole manifests, asked for by digest or tag."""
    if ":" in reference:
        subject, word = digests.parse(reference), "digest"
    else:
        found, word = await catalog.tagged(services.catalog, name, reference), "tag"
        if found is None:
            await pull.require_repository(services, name)
            raise ManifestUnknown(reference)
        subject = found
    wanted = _wanted(request, name, subject, "artifact-type", MOST)
    page = await _page(services, wanted)
    link = _next(request, wanted, page, "artifact-type", "last")
    head = f"{json.dumps(word)}:{json.dumps(reference)}"
    return await _whole(services, page, head, "nextLink", link)


async def rc1(services: Services, request: Request, name: str, reference: str) -> Response:
    """The release candidate of opencontainers/artifacts: whole manifests, ten by default."""
    wanted = _wanted(request, name, digests.parse(reference), "artifactType", 10)
    page = await _page(services, wanted)
    link = _next(request, wanted, page, "artifactType", "last")
    return await _whole(services, page, "", "@nextLink", link)


async def oras_draft(services: Services, request: Request, name: str, reference: str) -> Response:
    """ORAS before its release candidates: descriptors, under `references`."""
    wanted = _wanted(request, name, digests.parse(reference), "artifactType", MOST)
    return await _descriptors(services, request, wanted, "references")


async def oras(services: Services, request: Request, name: str, _rest: str) -> Response:
    """ORAS 1.0: descriptors, the newest of a page first."""
    subject = digests.parse(request.param("digest") or "")
    wanted = _wanted(request, name, subject, "artifactType", MOST, "nextToken")
    return await _descriptors(services, request, wanted, "referrers", "nextToken")


def _wanted(
    request: Request, name: str, subject: Digest, kind: str, default: int, after: str = "last"
) -> Wanted:
    page = parse_page(request.param("n"), request.param(after), default=default, maximum=MOST)
    last = digests.to_bytes(digests.parse(page.last)) if page.last else b""
    return Wanted(name, subject, request.param(kind) or None, page.n or default, last)


async def _page(services: Services, wanted: Wanted) -> Page:
    state = await catalog.state(services.catalog, wanted.name)
    if state is None:
        return Page(None, (), None)
    found: list[Paper] = []
    async for paper in papers(
        services, state.repository, wanted.subject, wanted.after, wanted.kind
    ):
        if len(found) == wanted.n:
            return Page(state.repository, found, digests.from_bytes(found[-1].digest))
        found.append(paper)
    return Page(state.repository, found, None)


def _next(request: Request, wanted: Wanted, page: Page, kind: str, after: str) -> str | None:
    """Where the next page is."""
    if page.more is None:
        return None
    params = {kind: wanted.kind, "n": str(wanted.n), after: page.more}
    if after == "nextToken":
        params["digest"] = wanted.subject
    query = urlencode({key: value for key, value in params.items() if value is not None})
    return quote(request.path, safe="/:") + "?" + query


async def _whole(
    services: Services, page: Page, head: str, link_name: str, link: str | None
) -> Response:
    """Digest and manifest of each paper, as JSON around the bytes as they were pushed."""
    bodies: Mapping[bytes, Body] = {}
    if page.repository is not None:
        wanted = [paper.digest for paper in page.papers]
        found = await catalog.bodies(services.catalog, page.repository, wanted)
        bodies = {each.digest: each for each in found if sound(each)}
    listed = [_manifest(bodies[p.digest]) for p in page.papers if p.digest in bodies]
    parts = [head] if head else []
    parts.append(f'"references":[{",".join(listed)}]')
    if link is not None:
        target = absolute(services.config.base, link)
        parts.append(f"{json.dumps(link_name)}:{json.dumps(target)}")
    return Response(200, [_JSON], f"{{{','.join(parts)}}}".encode())


def _manifest(each: Body) -> str:
    text = each.body.decode("utf-8", "replace")
    if not each.media_type.endswith("json"):
        text = json.dumps(text)
    return f'{{"digest":"{digests.from_bytes(each.digest)}","manifest":{text}}}'


async def _descriptors(
    services: Services, request: Request, wanted: Wanted, word: str, after: str = "last"
) -> Response:
    page = await _page(services, wanted)
    entries = [
        json.loads(text)
        for paper in page.papers
        if (text := paper.entry or await described(services, wanted.name, paper.digest))
    ]
    entries.sort(key=lambda entry: str(entry.get("annotations", {}).get(CREATED, "")), reverse=True)
    headers: Headers = [_JSON, _VERSION]
    link = _next(request, wanted, page, "artifactType", after)
    if link is not None:
        headers.append(("link", f'<{link}>; rel="next"'))
    return Response(200, headers, json.dumps({word: entries}).encode())
