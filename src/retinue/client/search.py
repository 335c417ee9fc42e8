"""Looking for papers in a repository: the referrers API, the fallback tag, cosign's tags.

What BuildKit states inside of an index is read with the index; it needs no search.
"""

from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from retinue import strictjson
from retinue.client.errors import ClientError, ProtocolViolation, Refused, Unauthorized
from retinue.client.locations import joined
from retinue.client.session import Session
from retinue.client.transfer import together
from retinue.client.transport import Answer
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest, InvalidDigest
from retinue.oci.links import Link, Rel, Way
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.stores import Search
from retinue.oci.tags import agrees, cosign_tag, fallback_tag, implied, stated_about
from retinue.wire import paging, paths

MAX_PAGE = 32 * 1024 * 1024
"""Bytes of one page of referrers; the spec's own limit is 4 MiB, some registries have none."""
MAX_PAGES = 1000
MAX_LISTED = 20_000
"""Tags that are listed to find those that state links; in a larger repository we ask for each."""
FEW = 4
"""For so many subjects we ask for each tag by its name, rather than for a list of all tags."""

NO_API = frozenset({400, 404, 405, 406, 501})
"""Answers to a referrers request that say that there is no such API."""
COSIGN = ("sig", "att", "sbom")

_EMBED = "?embed=manifests"
_BY_BOTH = "subject, tag"
_BY_TAG = ("subject", _BY_BOTH)


class Repository(Protocol):
    """What a search asks a repository for."""

    async def tagged(self, tag: str) -> Manifest | Unreadable | None: ...
    async def manifests(
        self, digests: Collection[Digest]
    ) -> Mapping[Digest, Manifest | Unreadable | None]: ...
    def tags(self) -> AsyncGenerator[str, None]: ...
    def told(self, digest: Digest, media_type: str, data: str) -> None: ...


class Listed(Struct, frozen=True):
    """What the API said: entries, or None where there is no API. `by_tag`: this registry lists what
    cosign's tags attach, too, also what a tag attached before another manifest took its place;
    `all`: the tags attach nothing besides."""

    papers: tuple[Digest, ...] | None
    by_tag: bool = False
    all: bool = False


_Found: TypeAlias = tuple[list[Link], dict[Way, str]]
"""Links, and the ways that could not be looked at."""


class Searcher:
    """Searches of one repository."""

    def __init__(self, session: Session, name: str, repository: Repository) -> None:
        self._session = session
        self._name = name
        self._repository = repository
        self._large = False
        self.has_api: bool | None = None
        """Whether the registry has the API, once it was asked."""

    async def search(self, subjects: Collection[Digest]) -> Mapping[Digest, Search]:
        """What is attached to each; what could not be looked at is named, never left out."""
        answers = await together(self._listed(each) for each in subjects)
        others = [each for each in answers if not (isinstance(each, Listed) and each.by_tag)]
        tags = await self._implied_tags() if len(others) > FEW else None
        found = await together(
            self._search(subject, answer, tags)
            for subject, answer in zip(subjects, answers, strict=True)
        )
        return dict(zip(subjects, found, strict=True))

    async def _search(
        self, subject: Digest, listed: Listed | ClientError, tags: frozenset[str] | None
    ) -> Search:
        if isinstance(listed, ClientError):
            links, blind = await self._tagged(subject, _tags_of(subject, tags, api=False))
            return Search(tuple(links), {Way.REFERRERS: str(listed), **blind})
        papers = listed.papers or ()
        by_api = [Link(p, subject, Rel.SUBJECT, p, Way.REFERRERS) for p in papers]
        if listed.all:
            links, blind = [], {}
        elif listed.by_tag:
            links, blind = await self._attached(subject, papers)
        else:
            api = listed.papers is not None
            links, blind = await self._tagged(subject, _tags_of(subject, tags, api=api))
        return Search((*by_api, *links), blind)

    async def _tagged(self, subject: Digest, tags: Iterable[tuple[str, Way]]) -> _Found:
        """What these tags state, and which way could not be looked at."""
        links: list[Link] = []
        blind: dict[Way, str] = {}
        for way, found in await together(self._by_tag(subject, tag, way) for tag, way in tags):
            if isinstance(found, str):
                blind[way] = found
            else:
                links += found
        return links, blind

    async def _attached(self, subject: Digest, by_api: Collection[Digest]) -> _Found:
        """What cosign's tags attach, where the registry lists it: the tags are asked for only then.

        Signatures that later writers of a tag did not keep are in the list. Whoever deletes the tag
        means all of them: they count only while it is there.
        """
        signatures = cosign_tag(subject, COSIGN[0])
        if signatures is None:
            return [], {}
        listed = await self._listed(subject, "?attached=tag")
        if isinstance(listed, Listed) and listed.papers == ():
            return [], {}
        links, blind = await self._tagged(subject, _cosign_tags(subject))
        if isinstance(listed, ClientError):
            return links, {Way.COSIGN: str(listed), **blind}
        if any(link.stated_by == signatures for link in links):
            known = {*by_api, *(link.source for link in links)}
            links += [
                Link(paper, subject, Rel.SUBJECT, signatures, Way.COSIGN)
                for paper in listed.papers or ()
                if paper not in known
            ]
        return links, blind

    async def _by_tag(self, subject: Digest, tag: str, way: Way) -> tuple[Way, list[Link] | str]:
        """What the tag states, or why it cannot be known."""
        try:
            manifest = await self._repository.tagged(tag)
            if manifest is None:
                return way, []
            if isinstance(manifest, Unreadable):
                return way, str(manifest)
            stated = stated_about(subject, tag, manifest)
            return way, list(stated) if way is Way.COSIGN else await self._agreed(stated)
        except ClientError as problem:
            return way, str(problem)

    async def _agreed(self, stated: Iterable[Link]) -> list[Link]:
        """Entries whose papers agree; one that is gone is no paper, one unreadable may be."""
        stated = tuple(stated)
        papers = await self._repository.manifests([link.source for link in stated])
        return [link for link in stated if _counts(link, papers[link.source])]

    async def _listed(self, subject: Digest, query: str = _EMBED) -> Listed | ClientError:
        """All pages of the API. An error that says "could not look" is a value here."""
        try:
            return await self._pages(subject, query)
        except Unauthorized:
            raise
        except ClientError as problem:
            return problem

    async def _pages(self, subject: Digest, query: str) -> Listed:
        papers: dict[Digest, None] = {}
        ways: str | None = None
        target: str | None = paths.referrers(self._name, subject) + query
        for page in range(MAX_PAGES):
            if target is None:
                return Listed(tuple(papers), ways in _BY_TAG, ways == _BY_BOTH)
            answer = await self._page(target)
            if answer.status == 400 and page == 0 and query == _EMBED:  # it may mind the question
                answer = await self._page(target.removesuffix(query))
            if answer.status in NO_API and page == 0:
                self.has_api = False
                return Listed(None)
            if answer.status != 200:
                raise self._session.refusal(answer, f"the papers of {subject}")
            said = answer.headers.get(names.HEADER_ATTACHED)
            ways = said if ways in {None, _BY_BOTH} else ways  # the least that a page says
            papers.update(dict.fromkeys(self._entries(answer)))
            target = next_page(self._session, answer)
            self.has_api = True
        raise ProtocolViolation(self._session.host, f"more than {MAX_PAGES} pages of papers")

    async def _page(self, target: str) -> Answer:
        accept = {"accept": names.OCI_INDEX}
        return await self._session.request("GET", target, headers=accept, limit=MAX_PAGE)

    def _entries(self, answer: Answer) -> Iterator[Digest]:
        """What a page lists; manifests that came along are not asked for again."""
        for digest, media_type, data in _entries(self._session.host, answer):
            yield digest
            if isinstance(data, str) and isinstance(media_type, str):
                self._repository.told(digest, media_type, data)

    async def _implied_tags(self) -> frozenset[str] | None:
        """The tags here that state links; None: ask for each (too many, or they are not listed)."""
        if self._large:
            return None
        found: list[str] = []
        count = 0
        try:
            async with aclosing(self._repository.tags()) as tags:
                async for tag in tags:
                    count += 1
                    if count > MAX_LISTED:
                        self._large = True
                        return None
                    if implied(tag) is not None:
                        found.append(tag)
        except Refused:  # no list does not mean no tags: each is asked for by name
            self._large = True
            return None
        return frozenset(found)


def _tags_of(
    subject: Digest, tags: frozenset[str] | None, *, api: bool
) -> Iterator[tuple[str, Way]]:
    """Tags that may state papers of the subject, of those that are there (None: unknown)."""
    fallback = fallback_tag(subject)
    if not api if tags is None else fallback in tags:
        yield fallback, Way.FALLBACK
    for tag, way in _cosign_tags(subject):
        if tags is None or tag in tags:
            yield tag, way


def _cosign_tags(subject: Digest) -> Iterator[tuple[str, Way]]:
    for suffix in COSIGN:
        tag = cosign_tag(subject, suffix)
        if tag is not None:
            yield tag, Way.COSIGN


def _counts(link: Link, paper: Manifest | Unreadable | None) -> bool:
    return isinstance(paper, Unreadable) or (paper is not None and agrees(link, paper))


def next_page(session: Session, answer: Answer) -> str | None:
    """Where the next page is; raises ProtocolViolation when that is another registry."""
    link = paging.parse_next(answer.headers.all("link"))
    if link is None:
        return None
    target = joined(answer.url, link, session.host)
    if not session.same_host(target):
        raise ProtocolViolation(session.host, "a next page elsewhere")
    return target


def _entries(host: str, answer: Answer) -> list[tuple[Digest, Any, Any]]:
    """Digest, media type and data of what a page lists. Another type of content is no list."""
    media_type = (answer.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if media_type != names.OCI_INDEX:
        raise ProtocolViolation(host, "another type of content where papers should be listed")
    try:
        document = strictjson.loads(answer.body, max_bytes=MAX_PAGE)
        return [
            (digests.parse(entry["digest"]), entry.get("mediaType"), entry.get("data"))
            for entry in document["manifests"] or ()
        ]
    except (strictjson.InvalidJson, InvalidDigest, KeyError, TypeError, AttributeError) as problem:
        raise ProtocolViolation(host, "an unreadable list of papers") from problem
