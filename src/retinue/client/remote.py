"""A repository in a registry: Source and Sink over the distribution protocol."""

import json
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager as Opened
from functools import cached_property
from typing import TYPE_CHECKING

from retinue.client.download import open_blob
from retinue.client.errors import ProtocolViolation, Unsupported
from retinue.client.locations import joined
from retinue.client.search import Searcher, next_page
from retinue.client.session import DELETE, PULL, PUSH, Session
from retinue.client.tokens import Scope
from retinue.client.transfer import together
from retinue.client.transport import Answer
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest, InvalidDigest
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.readers.table import LIMITS, read
from retinue.oci.referrers import referrer_entry
from retinue.oci.stores import ContentMissing, DigestMismatch, Search, TagMoved
from retinue.wire import paths

if TYPE_CHECKING:
    from retinue.client.fallback import FallbackIndexes, Tagged

ACCEPT = ", ".join(sorted(names.MANIFEST_TYPES))
MAX_REMEMBERED = 64 * 1024 * 1024
"""Bytes of manifests that are kept, so that none is asked for twice; they never change."""
MAX_TAG_PAGES = 10_000
TAGS_PER_PAGE = 1000
MAX_TAGS_BODY = 16 * 1024 * 1024


class Remote:
    """One repository, within one event loop; `session` says which. Errors are of ClientError."""

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.host = session.host
        self.name = name
        self._known: dict[Digest, Manifest] = {}
        self._bytes = 0
        self._started: dict[Digest, str] = {}
        self._searcher = Searcher(session, name, self)

    def __str__(self) -> str:
        return f"{self.host}/{self.name}"

    @cached_property
    def _fallback(self) -> "FallbackIndexes":
        from retinue.client.fallback import FallbackIndexes  # who only reads needs none

        transport = self.session.transport
        tags = _FallbackTags(self.session, self.name)
        return FallbackIndexes(tags, sleep=transport.sleep, random=transport.random)

    # ---- Source

    async def resolve(self, tag: str) -> Digest | None:
        found = await self.tagged(tag)
        return found.digest if found is not None else None

    async def tagged(self, tag: str) -> Manifest | Unreadable | None:
        """What a tag names, as it is read; None: there is no such tag."""
        answer = await self._get(tag)
        if answer is None:
            return None
        stated = answer.headers.get(names.HEADER_DIGEST)
        return self._read(answer, self._digest(stated) if stated else digests.of(answer.body))

    async def manifests(
        self, digests: Collection[Digest]
    ) -> Mapping[Digest, Manifest | Unreadable | None]:
        unknown = [digest for digest in dict.fromkeys(digests) if digest not in self._known]
        fetched = await together(self._manifest(digest) for digest in unknown)
        found = dict(zip(unknown, fetched, strict=True))
        return {d: found[d] if d in found else self._known[d] for d in digests}

    async def papers(self, subjects: Collection[Digest]) -> Mapping[Digest, Search]:
        return await self._searcher.search(list(dict.fromkeys(subjects)))

    async def tags(self) -> AsyncGenerator[str, None]:
        """All tags, implied ones included; none where the repository is not known."""
        target: str | None = paths.tags(self.name, n=TAGS_PER_PAGE)
        for _ in range(MAX_TAG_PAGES):
            if target is None:
                return
            answer = await self.session.request("GET", target, limit=MAX_TAGS_BODY)
            if answer.status == 404:
                return
            if answer.status != 200:
                raise self.session.refusal(answer, "the list of tags")
            for tag in _tags(self.host, answer):
                yield tag
            target = next_page(self.session, answer)
        raise ProtocolViolation(self.host, f"more than {MAX_TAG_PAGES} pages of tags")

    async def is_known(self) -> bool:
        """Whether the registry says that there is such a repository, with tags or without."""
        answer = await self.session.request("GET", paths.tags(self.name, n=1), limit=MAX_TAGS_BODY)
        if answer.status not in {200, 404}:
            raise self.session.refusal(answer, "the list of tags")
        return answer.status == 200

    def blob(self, digest: Digest, start: int = 0) -> Opened[AsyncIterator[bytes]]:
        return open_blob(self.session, self.name, digest, start)

    def told(self, digest: Digest, media_type: str, data: str) -> None:
        """Keep a manifest that came with its descriptor, in base64. One that is not what the
        descriptor says, or cannot be read, is asked for as if it had not come.
        """
        if digest in self._known:
            return
        try:
            manifest = read(b64decode(data, validate=True), media_type, digests.algorithm(digest))
        except (Base64Error, UnicodeEncodeError, Unreadable):
            return
        if manifest.digest == digest:
            self._remember(manifest)

    # ---- Sink

    async def lacks(self, digests: Collection[Digest]) -> set[Digest]:
        asked = list(dict.fromkeys(digests))
        held = await together(self._holds(digest) for digest in asked)
        return {digest for digest, here in zip(asked, held, strict=True) if not here}

    async def mount(self, digest: Digest, repository: str) -> bool:
        """False when the registry does not want to; its offer of an upload is used later."""
        target = paths.uploads(self.name, mount=digest, source=repository)
        answer = await self.session.request(
            "POST", target, actions=PUSH, also=[Scope(repository, PULL)], body=b""
        )
        location = answer.headers.get("location")
        if answer.status == 202 and location:
            self._started[digest] = joined(answer.url, location, self.host)
        if answer.status >= 500 or answer.status == 429:
            raise self.session.refusal(answer, f"a mount of {digest}")
        return answer.status == 201

    async def put_blob(self, digest: Digest, size: int, chunks: AsyncIterator[bytes]) -> None:
        from retinue.client.upload import Blob, upload

        blob = Blob(digest, size, chunks)
        await upload(self.session, self.name, blob, self._started.pop(digest, None))

    async def put_manifest(self, manifest: Manifest) -> None:
        """Without a referrers API, the paper is listed at its subject's fallback tag as well."""
        answer = await self._put(manifest, manifest.digest, {})
        self._accept(answer, manifest, f"manifest {manifest.digest}")
        self._remember(manifest)
        if manifest.subject and not answer.headers.get(names.HEADER_SUBJECT):
            await self._fallback.add(manifest.subject.digest, referrer_entry(manifest))

    async def put_tag(
        self, tag: str, digest: Digest, *, expected: Digest | None = None, new: bool = False
    ) -> None:
        manifest = (await self.manifests([digest]))[digest]
        if manifest is None:
            raise ContentMissing(digest, (digest,))
        if isinstance(manifest, Unreadable):
            raise manifest
        headers: dict[str, str] = {}
        if expected is not None or new:
            await self._expect(tag, expected)
            headers = {"if-none-match": "*"} if new else {"if-match": f'"{expected}"'}
        sha512 = digests.algorithm(digest) != "sha256"
        answer = await self._put(manifest, digest if sha512 else tag, headers, [tag] * sha512)
        if answer.status == 412:
            raise TagMoved(tag, expected, await self.resolve(tag))
        self._accept(answer, manifest, f"tag {tag!r}")
        if sha512 and tag not in _named(answer.headers.all(names.HEADER_TAG)):
            raise Unsupported(self.host, f"tag {digest}", "use a manifest with a sha256 digest")

    # ---- What a repository does besides

    async def delete_tag(self, tag: str) -> bool:
        """False: there was none."""
        return await self._delete(paths.manifest(self.name, tag), f"tag {tag!r}")

    async def delete_blob(self, digest: Digest) -> bool:
        return await self._delete(paths.blob(self.name, digest), f"blob {digest}")

    async def delete_manifest(self, digest: Digest) -> bool:
        """With its tags; without a referrers API, its entry at the fallback tag goes as well."""
        manifest = (await self.manifests([digest]))[digest]
        gone = await self._delete(paths.manifest(self.name, digest), f"manifest {digest}")
        self._forget(digest)
        if isinstance(manifest, Manifest) and manifest.subject:
            subject = manifest.subject.digest
            if self._searcher.has_api is None:
                await self.papers([subject])
            if self._searcher.has_api is False:
                await self._fallback.remove(subject, digest)
        return gone

    # ---- Requests

    async def _manifest(self, digest: Digest) -> Manifest | Unreadable | None:
        answer = await self._get(digest)
        return None if answer is None else self._read(answer, digest)

    async def _get(self, reference: str) -> Answer | None:
        target = paths.manifest(self.name, reference)
        limit = LIMITS.max_bytes
        answer = await self.session.request("GET", target, headers={"accept": ACCEPT}, limit=limit)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self.session.refusal(answer, f"manifest {reference}")
        return answer

    def _read(self, answer: Answer, digest: Digest) -> Manifest | Unreadable:
        """The manifest of an answer that must have this digest; raises DigestMismatch."""
        algorithm = digests.algorithm(digest)
        actual = digests.of(answer.body, algorithm)
        if actual != digest:
            raise DigestMismatch(digest, actual)
        try:
            manifest = read(answer.body, _media_type(answer), algorithm)
        except Unreadable as problem:
            return problem
        self._remember(manifest)
        return manifest

    async def _holds(self, digest: Digest) -> bool:
        target = paths.blob(self.name, digest)
        answer = await self.session.request("HEAD", target, actions=PUSH)
        if answer.status not in {200, 404}:
            raise self.session.refusal(answer, f"to look for blob {digest}")
        return answer.status == 200

    async def _put(
        self,
        manifest: Manifest,
        reference: str,
        headers: Mapping[str, str],
        tags: Collection[str] = (),
    ) -> Answer:
        sent = {"content-type": manifest.media_type, **headers}
        target = paths.manifest(self.name, reference, tags)
        return await self.session.request(
            "PUT", target, actions=PUSH, headers=sent, body=manifest.raw
        )

    def _accept(self, answer: Answer, manifest: Manifest, what: str) -> None:
        if answer.status // 100 != 2:
            raise self.session.refusal(answer, what)
        stated = answer.headers.get(names.HEADER_DIGEST)
        if stated and self._digest(stated) != manifest.digest:
            raise DigestMismatch(manifest.digest, self._digest(stated))

    async def _expect(self, tag: str, expected: Digest | None) -> None:
        """Not every registry heeds conditions, so the tag is also looked at before."""
        actual = await self.resolve(tag)
        if actual != expected:
            raise TagMoved(tag, expected, actual)

    async def _delete(self, target: str, what: str) -> bool:
        answer = await self.session.request("DELETE", target, actions=DELETE)
        if answer.status == 404:
            return False
        if answer.status in {400, 405}:
            refused = self.session.refusal(answer, f"to delete {what}")
            remedy = "deletion is switched off there, or needs another way"
            raise Unsupported(self.host, f"delete {what} ({refused})", remedy)
        if answer.status // 100 != 2:
            raise self.session.refusal(answer, f"to delete {what}")
        return True

    def _digest(self, text: str) -> Digest:
        try:
            return digests.parse(text)
        except InvalidDigest as problem:
            raise ProtocolViolation(self.host, "a digest that is none") from problem

    def _remember(self, manifest: Manifest) -> None:
        if manifest.digest in self._known:
            return
        self._known[manifest.digest] = manifest
        self._bytes += len(manifest.raw)
        while self._bytes > MAX_REMEMBERED:
            self._forget(next(iter(self._known)))

    def _forget(self, digest: Digest) -> None:
        manifest = self._known.pop(digest, None)
        self._bytes -= len(manifest.raw) if manifest else 0


class _FallbackTags:
    """Fallback indexes of one repository."""

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._name = name

    async def read(self, tag: str) -> "Tagged | None":
        from retinue.client.fallback import Tagged

        answer = await self._session.request(
            "GET",
            paths.manifest(self._name, tag),
            actions=PUSH,
            headers={"accept": ACCEPT},
            limit=LIMITS.max_bytes,
        )
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._session.refusal(answer, f"tag {tag!r}")
        return Tagged(answer.body, _media_type(answer), answer.headers.get("etag"))

    async def write(self, tag: str, raw: bytes, etag: str | None) -> bool:
        headers = {"content-type": names.OCI_INDEX}
        if etag is not None:
            headers["if-match"] = etag
        answer = await self._session.request(
            "PUT", paths.manifest(self._name, tag), actions=PUSH, headers=headers, body=raw
        )
        if answer.status == 412:
            return False
        if answer.status // 100 != 2:
            raise self._session.refusal(answer, f"tag {tag!r}")
        return True


def _named(headers: Collection[str]) -> set[str]:
    return {tag.strip() for header in headers for tag in header.split(",")}


def _media_type(answer: Answer) -> str:
    return (answer.headers.get("content-type") or "").partition(";")[0].strip()


def _tags(host: str, answer: Answer) -> list[str]:
    """The tags of one page; `null` stands for none in some registries."""
    try:
        tags = json.loads(answer.body)["tags"] or []
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise ProtocolViolation(host, "an unreadable list of tags") from problem
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ProtocolViolation(host, "a list of tags that are no text")
    return tags
