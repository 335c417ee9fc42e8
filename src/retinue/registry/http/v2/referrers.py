"""Papers of a subject, as an image index (end-12).

`?attached=tag`, an extension, asks for those that cosign's tags attach, or did until another writer
put his manifest there. The API's own list has only those that state their subject themselves.

`?embed=manifests`, another one, adds the bytes of small manifests to their descriptors (`data`). Who
asks for it is also told at once where no tag attaches anything: `Retinue-Attached: subject, tag`.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Unreadable
from retinue.oci.readers.table import read
from retinue.oci.reference import valid_name
from retinue.oci.referrers import referrer_entry
from retinue.registry.catalog import reads, referrers
from retinue.registry.catalog.referrers import Body, Paper, State
from retinue.registry.content import pull
from retinue.registry.content.cache import Entry
from retinue.registry.content.errors import NameInvalid, PaperDamaged
from retinue.registry.content.services import Services
from retinue.registry.http.exchange import UNCHANGED, Request, Response
from retinue.wire import paths
from retinue.wire.paging import next_link

_HEAD = f'{{"schemaVersion":2,"mediaType":"{names.OCI_INDEX}","manifests":['
_RC1 = '],"annotations":{"org.opencontainers.referrers.filtersApplied":"artifactType"}}'
_TYPE = ("content-type", names.OCI_INDEX)
_FILTERED = (names.HEADER_FILTERS, "artifactType")
_EMPTY = f"{_HEAD}]}}".encode()
_BY_SUBJECT = (names.HEADER_ATTACHED, "subject")
_BY_TAG = (names.HEADER_ATTACHED, "tag")
_BY_BOTH = (names.HEADER_ATTACHED, "subject, tag")
MAX_FILTER = 1024
MAX_EMBEDDED = 4096
"""Bytes of a manifest that comes with its descriptor."""


class Asked(NamedTuple):
    """`kind`: of this artifact type only; `after` this digest; `embed`: with small manifests."""

    subject: Digest
    kind: str | None
    after: bytes
    embed: bool


async def get(services: Services, request: Request, name: str, subject: str) -> Response:
    """Always 200, whatever is unknown; raises InvalidDigest, NameInvalid."""
    digest = digests.parse(subject)
    kind = last = None
    embed = False
    if request.query:
        if request.param("attached") == "tag":
            return await _by_tag(services, name, digest, request.param("last"))
        kind, last = request.param("artifactType") or None, request.param("last")
        embed = kind is None and request.param("embed") == "manifests"
    after = b"" if last is None else digests.to_bytes(digests.parse(last))
    state = await referrers.state(services.catalog, name)
    if state is None:
        return _unknown(name, kind)
    if kind is not None and len(kind) > MAX_FILTER:
        return Response(200, [_TYPE, _FILTERED], _EMPTY)
    asked = Asked(digest, kind, after, embed)
    entry = services.cache.get((state, asked))
    if entry is None:
        entry = await _page(services, name, state, asked)
        services.cache.put((state, asked), entry)
    return Response(200, entry.headers, entry.body, again=UNCHANGED)


def _unknown(name: str, kind: str | None) -> Response:
    if not valid_name(name):
        raise NameInvalid(name)
    return Response(200, [_TYPE] if kind is None else [_TYPE, _FILTERED], _EMPTY)


async def _page(services: Services, name: str, state: State, asked: Asked) -> Entry:
    """Entries up to the size of a page, and a Link when there are more."""
    limit = services.config.referrers_page
    taken: list[str] = []
    size = len(_HEAD)
    headers = [_TYPE, await _attached(services, state, asked)]
    headers += [_FILTERED] if asked.kind is not None else []
    found = papers(
        services, state.repository, asked.subject, asked.after, asked.kind, embed=asked.embed
    )
    after = asked.after
    async for paper in found:
        text = paper.entry or await described(services, name, paper.digest)
        if text is None:
            continue
        size += len(text) + 1
        if taken and size > limit:
            headers.append(("link", _link(name, asked._replace(after=after))))
            break
        taken.append(text)
        after = paper.digest
    end = _RC1 if asked.kind is not None and services.config.old_discovery else "]}"
    return Entry(f"{_HEAD}{','.join(taken)}{end}".encode(), tuple(headers))


async def _attached(services: Services, state: State, asked: Asked) -> tuple[str, str]:
    """What the list has; it has both where no tag attaches anything."""
    if not asked.embed:
        return _BY_SUBJECT
    more = await referrers.any_by_tag(services.catalog, state.repository, asked.subject)
    return _BY_SUBJECT if more else _BY_BOTH


async def _by_tag(services: Services, name: str, digest: Digest, last: str | None) -> Response:
    """One read is a page."""
    state = await referrers.state(services.catalog, name)
    if state is None:
        return _unknown(name, None)
    after = b"" if last is None else digests.to_bytes(digests.parse(last))
    page = await referrers.page_by_tag(services.catalog, state.repository, digest, after)
    texts = [paper.entry or await described(services, name, paper.digest) for paper in page.papers]
    headers = [_TYPE, _BY_TAG]
    if page.end is not None:
        more = digests.from_bytes(page.end)
        headers.append(
            ("link", next_link(paths.referrers(name, digest), attached="tag", last=more))
        )
    return Response(200, headers, f"{_HEAD}{','.join(filter(None, texts))}]}}".encode())


async def papers(
    services: Services,
    repository: int,
    subject: Digest,
    after: bytes,
    kind: str | None,
    *,
    embed: bool = False,
) -> AsyncIterator[Paper]:
    """The papers of a subject after `after`, by digest."""
    while True:  # each page is after the one before
        page = await referrers.page(services.catalog, repository, subject, after, kind)
        found = page.papers
        for paper in await _embedded(services, repository, found) if embed else found:
            yield paper
        if page.end is None:
            return
        after = page.end
        await asyncio.sleep(0)  # on SQLite nothing above suspends: other requests come first


async def _embedded(services: Services, repository: int, page: Sequence[Paper]) -> list[Paper]:
    """The same, small manifests with their bytes (image-spec descriptor.md, "Embedded Content")."""
    wanted = [paper.digest for paper in page if paper.entry is not None]
    found = await referrers.small_bodies(services.catalog, repository, wanted, MAX_EMBEDDED)
    bodies = {each.digest: each.body for each in found if sound(each)}
    return [_with_data(paper, bodies.get(paper.digest)) for paper in page]


def _with_data(paper: Paper, body: bytes | None) -> Paper:
    if paper.entry is None or body is None:
        return paper
    entry = f'{paper.entry[:-1]},"data":"{b64encode(body).decode()}"}}'
    return Paper(paper.digest, entry)


def sound(each: Body) -> bool:
    """Damaged bytes are not sent; a pull of this digest quarantines them."""
    digest = digests.from_bytes(each.digest)
    return digests.of(each.body, digests.algorithm(digest)) == digest


async def described(services: Services, name: str, paper: bytes) -> str | None:
    """The entry of a paper that is too large for the list's own table; None: it is gone by now.

    Raises PaperDamaged: a list that lacks it would say that it does not exist.
    """
    digest = digests.from_bytes(paper)
    found = await reads.manifest_by_digest(services.catalog, name, digest)
    if found is None:
        if await referrers.is_listed(services.catalog, name, digest):
            raise PaperDamaged(digest)
        return None
    try:
        body = (await pull.entry(services, found)).body
        manifest = read(body, found.media_type, digests.algorithm(digest))
    except (pull.Corrupt, Unreadable) as error:
        raise PaperDamaged(digest) from error
    return json.dumps(referrer_entry(manifest), separators=(",", ":"))


def _link(name: str, asked: Asked) -> str:
    params = {
        "artifactType": asked.kind,
        "embed": "manifests" if asked.embed else None,
        "last": digests.from_bytes(asked.after),
    }
    given = {key: value for key, value in params.items() if value is not None}
    return next_link(paths.referrers(name, asked.subject), **given)
