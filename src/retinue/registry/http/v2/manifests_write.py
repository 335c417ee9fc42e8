"""PUT and DELETE of manifests (end-7a, 7b, 9)."""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence

from retinue import strictjson
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.readers.table import Limits, read
from retinue.oci.reference import valid_name, valid_tag
from retinue.oci.referrers import referrer_entry
from retinue.registry.catalog.db import Freeing
from retinue.registry.catalog.manifests import BeingDeleted
from retinue.registry.catalog.papers import MAX_ENTRY
from retinue.registry.content.delete import delete_manifest, finish
from retinue.registry.content.errors import (
    ManifestDigestMismatch,
    ManifestInvalid,
    ManifestTooLarge,
    NameInvalid,
    PreconditionInvalid,
    TagInvalid,
    TooManyTags,
)
from retinue.registry.content.push import Push, push
from retinue.registry.content.services import Services
from retinue.registry.content.tags import Expectation, delete_tag
from retinue.registry.content.times import times
from retinue.registry.http.exchange import BodyTooLarge, Headers, Request, Response
from retinue.wire import paths
from retinue.wire.conditions import Tag, entity_tags, strong, weak

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

PATIENCE = 3
"""Deletions of the same subject that a push waits for."""

OFF_THE_LOOP = 256 * 1024
"""Bytes from which a manifest is parsed in a thread: a megabyte takes 15 ms."""
_NOTHING = frozenset({""})
"""What no tag of ours is equal to: an empty set stands for `*`."""


async def put(services: Services, request: Request, name: str, rest: str) -> Response:
    """201 with Location, Docker-Content-Digest, and OCI-Subject and OCI-Tag where they apply."""
    if not valid_name(name):
        raise NameInvalid(name)
    digest = digests.parse(rest) if ":" in rest else None
    tags = _tags(services, request, rest, digest)
    expected = _expectation(request, tags)
    body = await _body(services, request)
    declared = _declared(request)
    if digest is None and not request.tells_its_end:
        _require_whole(body)
    work = _Work(body, declared, digest, services.config.max_manifest)
    manifest, entry = await asyncio.to_thread(work) if len(body) > OFF_THE_LOOP else work()
    order = Push(
        name,
        manifest,
        entry,
        request.principal.name,
        times(services.config, services.clock()),
        tags,
        expected,
        services.config.sparse,
    )
    await _push(services, order)
    return Response(201, _headers(name, manifest, tags if digest else ()))


async def _push(services: Services, order: Push) -> None:
    """What is pushed anew after its deletion waits for the end of that, and helps."""
    for _ in range(PATIENCE):
        try:
            await services.catalog.commit(lambda: push(order))
        except BeingDeleted as problem:
            await finish(services.catalog, problem.repository, order.times)
        else:
            return
    await services.catalog.commit(lambda: push(order))


def _headers(name: str, manifest: Manifest, tags: Sequence[str]) -> Headers:
    digest = manifest.digest
    headers: Headers = [
        ("location", paths.manifest(name, digest)),
        (names.HEADER_DIGEST, digest),
        ("etag", f'"{digest}"'),
    ]
    if manifest.subject is not None:
        headers.append((names.HEADER_SUBJECT, manifest.subject.digest))
    headers += [(names.HEADER_TAG, tag) for tag in tags]
    return headers


async def _body(services: Services, request: Request) -> bytes:
    try:
        return await request.body(services.config.max_manifest)
    except BodyTooLarge as problem:
        raise ManifestTooLarge(problem.limit) from problem


def _declared(request: Request) -> str | None:
    """The Content-Type; raises ManifestInvalid when it cannot be read."""
    declared = request.headers.get("content-type")
    if declared is None and "content-type" in request.headers:
        raise ManifestInvalid("its Content-Type is not ASCII")
    return declared


def _require_whole(body: bytes) -> None:
    """Nothing says that this is all that was sent. A part of a JSON object is no JSON; of other
    forms (JWS) a part may look whole. Raises ManifestInvalid."""
    if not body.rstrip(b" \t\r\n").endswith(b"}"):
        raise ManifestInvalid("to push this by tag, send its Content-Length")


class _Work:
    """Reading a body, here or in a thread: the manifest, and its entry in lists of papers."""

    def __init__(self, body: bytes, declared: str | None, digest: Digest | None, most: int) -> None:
        self._body = body
        self._declared = declared
        self._digest = digest
        self._limits = Limits(max_bytes=most)

    def __call__(self) -> tuple[Manifest, str | None]:
        """Raises ManifestDigestMismatch, ManifestInvalid, Unreadable, InvalidJson."""
        algorithm = digests.algorithm(self._digest) if self._digest else "sha256"
        if self._digest is not None:
            actual = digests.of(self._body, algorithm)
            if actual != self._digest:
                raise ManifestDigestMismatch(self._digest, actual)
        manifest = read(self._body, self._media_type(), algorithm, limits=self._limits)
        entry = _encode(referrer_entry(manifest))
        return manifest, entry if len(entry) <= MAX_ENTRY else None

    def _media_type(self) -> str:
        """Of the header, without parameters; of the body when there is no header."""
        declared = (self._declared or "").partition(";")[0].strip()
        if declared:
            return declared
        root = strictjson.loads(self._body, max_bytes=self._limits.max_bytes)
        stated = root.get("mediaType") if isinstance(root, dict) else None
        if not isinstance(stated, str):
            raise ManifestInvalid("neither Content-Type nor the body's mediaType says what it is")
        return stated


def _tags(
    services: Services, request: Request, rest: str, digest: Digest | None
) -> tuple[str, ...]:
    """The tag of the path, or those of the query (distribution-spec, "Pushing manifests")."""
    most = services.config.max_tags
    if request.query.count("tag=") > most:  # before parsing, which has a bound of its own
        raise TooManyTags(most)
    asked = request.params().get("tag", [])
    if digest is None:
        if asked:
            raise ManifestInvalid("tag parameters need a digest in the path, not a tag")
        asked = [rest]
    for tag in asked:
        if not valid_tag(tag):
            raise TagInvalid(tag)
    return tuple(dict.fromkeys(asked))


def _expectation(request: Request, tags: Sequence[str] | None) -> Expectation | None:
    """If-Match and If-None-Match, `*` as an empty set.

    Raises PreconditionInvalid, MalformedCondition.
    """
    match = _named(request, "if-match", strong)
    none_match = _named(request, "if-none-match", weak)
    if match is None and none_match is None:
        return None
    if tags is None or len(tags) != 1:
        raise PreconditionInvalid(f"this request has {len(tags or ())}")
    return Expectation(match, none_match)


def _named(
    request: Request, header: str, compared: Callable[[Iterable[Tag]], frozenset[str]]
) -> frozenset[str] | None:
    if header not in request.headers:
        return None
    tags = entity_tags(request.headers.get_all(header))
    return frozenset() if tags is None else compared(tags) or _NOTHING


async def delete(services: Services, request: Request, name: str, rest: str) -> Response:
    """202: by tag the name goes, by digest the manifest with its tags and papers."""
    now = times(services.config, services.clock())
    if ":" in rest:
        digest = digests.parse(rest)
        _expectation(request, None)
        left = await services.catalog.commit(Freeing(delete_manifest, name, digest, now))
        if left is not None:
            await finish(services.catalog, left, now)
    else:
        expected = _expectation(request, [rest])
        await services.catalog.commit(Freeing(delete_tag, name, rest, now, expected))
    return Response(202)
