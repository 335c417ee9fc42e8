"""The part of fsck that compares what rows say of manifests with their bytes."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci.descriptor import may_be_absent
from retinue.oci.digest import Digest
from retinue.oci.links import Link
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.tags import implied, tag_links
from retinue.registry.catalog import check, collect, consistency, links, manifests, queue
from retinue.registry.catalog.check import PaperRow, StoredManifest
from retinue.registry.catalog.db import Catalog, Row
from retinue.registry.catalog.look import look
from retinue.registry.upkeep.findings import Finding, FsckReport, Kind
from retinue.registry.upkeep.reading import (
    Damaged,
    entry_of,
    read_by_its_word,
    read_stored,
    same_entry,
)

BODIES = 32
"""Manifests that are in memory at a time; each has at most a few MiB."""
PAPERS = 500
"""Rows of lists that are compared at a time."""
FIRST_DIGEST = b"\x01"


class Asked(Protocol):
    """What fsck was asked to do; see `fsck.Checks`."""

    @property
    def now(self) -> int: ...
    @property
    def grace(self) -> int: ...
    @property
    def sparse(self) -> bool: ...
    def repairs(self, kind: Kind) -> bool: ...


class Work(Struct, frozen=True):
    """One repository at a time; `name` is for findings."""

    catalog: Catalog
    asked: Asked
    report: FsckReport
    repository: int
    name: str

    @property
    def due(self) -> int:
        return self.asked.now + self.asked.grace

    def found(self, kind: Kind, what: str, why: str, *, repaired: bool) -> None:
        self.report.add(Finding(kind, self.name, what, why, repaired))


async def check_links(catalog: Catalog, asked: Asked, report: FsckReport) -> None:
    """Manifests against their bytes, then tags, links and lists of every repository."""
    async for page in catalog.pages(check.ALL_MANIFESTS, 0):
        stored = check.stored_manifests(page)
        report.manifests += len(stored)
        names = await look(catalog, queue.names({one.repository for one in stored}))
        for number, name in names.items():
            work = Work(catalog, asked, report, number, name)
            await _manifests(work, [one for one in stored if one.repository == number])
    async for page in catalog.pages(check.ALL_REPOSITORIES, 0):
        for row in page:
            work = Work(catalog, asked, report, *check.repository(row))
            await _tags(work)
            await _stray_links(work)
            await _papers(work)


async def _manifests(work: Work, stored: Sequence[StoredManifest]) -> None:
    for start in range(0, len(stored), BODIES):
        some = {one.digest: one for one in stored[start : start + BODIES]}
        bodies = await look(work.catalog, collect.bodies(work.repository, some))
        said = _by_witness(await look(work.catalog, check.stated(work.repository, some)))
        read: list[Manifest] = []
        for digest, one in some.items():
            if digest in bodies:
                content = await _content(work, one, bodies[digest][1])
                read += await _manifest(work, one, content, said.get(digest, set()))
        await _descriptions(work, read)
        await _parts(work, read)


async def _content(work: Work, one: StoredManifest, body: bytes) -> Manifest | Damaged | Unreadable:
    """What is stored, by the media type of its row; or by its own, if only that can be read."""
    content = read_stored(one.digest, one.media_type, body)
    if not isinstance(content, Unreadable):
        return content
    true = read_by_its_word(one.digest, body)
    if true is None:
        return content
    repair = work.asked.repairs(Kind.WRONG_MEDIA_TYPE)
    what = (work.repository, one.digest, one.media_type, true.media_type)
    if not repair or await work.catalog.commit(partial(consistency.retype, *what)):
        why = f"is {one.media_type!r} in the catalog, and {true.media_type!r} in the bytes"
        work.found(Kind.WRONG_MEDIA_TYPE, one.digest, why, repaired=repair)
    return true


async def _descriptions(work: Work, read: Sequence[Manifest]) -> None:
    """What lists say of a paper is what its bytes say."""
    shown = await look(
        work.catalog, consistency.described(work.repository, [one.digest for one in read])
    )
    for one in read:
        true = consistency.Description(one.artifact_type, entry_of(one))
        if all(_agrees(each, true) for each in shown[one.digest]):
            continue
        repair = work.asked.repairs(Kind.WRONG_PAPERS)
        mend = partial(consistency.describe, work.repository, one.digest, true)
        if not repair or await work.catalog.commit(mend):
            why = "lists show other things of it than its bytes say"
            work.found(Kind.WRONG_PAPERS, one.digest, why, repaired=repair)


def _agrees(shown: consistency.Description, true: consistency.Description) -> bool:
    return shown.artifact_type == true.artifact_type and same_entry(shown.entry, true.entry)


def _by_witness(stated: Iterable[Link]) -> Mapping[Digest | str, set[Link]]:
    found: dict[Digest | str, set[Link]] = {}
    for link in stated:
        found.setdefault(link.stated_by, set()).add(link)
    return found


async def _manifest(
    work: Work,
    one: StoredManifest,
    content: Manifest | Damaged | Unreadable,
    said: set[Link],
) -> list[Manifest]:
    """What the bytes say, if they can be read. Damaged bytes are found as an object's."""
    if isinstance(content, Damaged):
        return []
    if isinstance(content, Unreadable):
        await _unreadable(work, one, content)
        return []
    if said != set(content.links) or one.links_version != links.VERSION:
        await _rewrite(work, content, Kind.WRONG_LINKS, _difference(said, set(content.links)))
    elif one.artifact_type != content.artifact_type:
        why = f"is {one.artifact_type!r} in the catalog, and {content.artifact_type!r} in the bytes"
        await _rewrite(work, content, Kind.WRONG_TYPE, why)
    return [content]


def _difference(said: set[Link], true: set[Link]) -> str:
    return f"{len(true - said)} links are missing, {len(said - true)} are too many"


async def _unreadable(work: Work, one: StoredManifest, why: Unreadable) -> None:
    """Its links stay, and nothing is collected beside it (storage rule 16)."""
    repair = work.asked.repairs(Kind.UNREADABLE)
    if repair:
        await work.catalog.commit(partial(check.distrust, work.repository, one.digest))
    work.found(Kind.UNREADABLE, one.digest, str(why), repaired=False)


async def _rewrite(work: Work, manifest: Manifest, kind: Kind, why: str) -> None:
    repair = work.asked.repairs(kind)
    if repair:
        change = partial(
            check.rewrite,
            work.repository,
            manifest,
            entry_of(manifest),
            work.due,
            now=work.asked.now,
        )
        real = await work.catalog.commit(change)
    else:
        real = bool(await look(work.catalog, manifests.present(work.repository, [manifest.digest])))
    if real:
        work.found(kind, manifest.digest, why, repaired=repair)


async def _parts(work: Work, read: Sequence[Manifest]) -> None:
    """Blobs and children that are not there cannot be made: push the image again."""
    wanted = {(part, one.digest) for one in read for part in _required(one, work.asked.sparse)}
    held = await look(work.catalog, manifests.held(work.repository, {part for part, _ in wanted}))
    missing = sorted((part, by) for part, by in wanted if part not in held)
    if not missing:
        return
    here = await look(work.catalog, manifests.present(work.repository, {by for _, by in missing}))
    for part, by in missing:
        if by in here:
            work.found(Kind.MISSING_PART, part, f"is part of {by}", repaired=False)


def _required(manifest: Manifest, sparse: bool) -> Iterable[Digest]:
    for blob in manifest.blobs:
        if not blob.urls and not may_be_absent(blob):
            yield blob.digest
    if not sparse:
        for child in manifest.children:
            yield child.digest


# ---- tags


async def _tags(work: Work) -> None:
    async for page in work.catalog.pages(check.ALL_TAGS, work.repository, ""):
        work.report.tags += len(page)
        await _some_tags(work, page)


async def _some_tags(work: Work, page: Sequence[Row]) -> None:
    for name, digest, media_type in check.tags(page):
        if media_type is None:
            if await _still_dangles(work, name, digest):
                work.found(Kind.DANGLING_TAG, name, f"names {digest}", repaired=False)
        elif implied(name) is not None:
            await _implied_tag(work, name, digest, media_type)


async def _still_dangles(work: Work, name: str, digest: Digest) -> bool:
    now = await look(work.catalog, collect.current(work.repository, [name]))
    here = await look(work.catalog, manifests.present(work.repository, [digest]))
    return now.get(name) == digest and not here


async def _implied_tag(work: Work, name: str, digest: Digest, media_type: str) -> None:
    """What it states now must be there; what it stated earlier may be (storage rule 14)."""
    bodies = await look(work.catalog, collect.bodies(work.repository, [digest]))
    if digest not in bodies:
        return
    content = read_stored(digest, media_type, bodies[digest][1])
    if not isinstance(content, Manifest):
        return
    true = tag_links(name, content)
    others = {(link.source, link.target) for link in true if link.source != digest}
    agreed = await look(work.catalog, links.self_stated(work.repository, others))
    wanted = {
        link for link in true if link.source == digest or (link.source, link.target) in agreed
    }
    missing = wanted - set(await look(work.catalog, links.of_witness(work.repository, name)))
    if not missing:
        return
    repair = work.asked.repairs(Kind.WRONG_LINKS)
    if repair:
        add = partial(check.add, work.repository, name, digest, missing)
        real = await work.catalog.commit(add)
    else:
        real = await look(work.catalog, check.names(work.repository, name, digest))
    if real:
        why = f"{len(missing)} links that the tag states are missing"
        work.found(Kind.WRONG_LINKS, name, why, repaired=repair)


# ---- links and lists


async def _stray_links(work: Work) -> None:
    start = (work.repository, FIRST_DIGEST)
    async for page in work.catalog.pages(check.UNWITNESSED, *start):
        for row in page:
            assert isinstance(row[0], bytes)
            witness = digests.read_bytes(row[0])
            if witness is not None:
                await _stray(work, witness)


async def _stray(work: Work, digest: Digest) -> None:
    repair = work.asked.repairs(Kind.STRAY_LINKS)
    if repair:
        change = partial(
            check.drop_unwitnessed, work.repository, digest, work.due, now=work.asked.now
        )
        real = await work.catalog.commit(change)
    else:
        real = not await look(work.catalog, manifests.present(work.repository, [digest]))
    if real:
        why = "states links, and is not there"
        work.found(Kind.STRAY_LINKS, digest, why, repaired=repair)


async def _papers(work: Work) -> None:
    async for wrong in _wrong_papers(work):
        repair = work.asked.repairs(Kind.WRONG_PAPERS)
        if repair:
            pairs = {(one.paper, one.subject) for one in wrong}
            await work.catalog.commit(partial(check.relist, work.repository, pairs))
        for one in wrong:
            why = f"the list of {one.subject} does not say what links say"
            work.found(Kind.WRONG_PAPERS, one.paper, why, repaired=repair)


async def _wrong_papers(work: Work) -> AsyncIterator[Sequence[PaperRow]]:
    """Pages of rows that are missing or differ, then of those that are too many.

    Links and lists are read one after the other: what is wrong counts if it is so twice.
    """
    for question in (_missing, _surplus):
        after: PaperRow | None = None
        while True:  # ends with the last row
            page, wrong = await question(work, after)
            if wrong:
                _, again = await question(work, after)
                yield sorted(wrong & again, key=_key)
            if len(page) < PAPERS:
                break
            after = page[-1]


Papers = tuple[Sequence[PaperRow], set[PaperRow]]


async def _missing(work: Work, after: PaperRow | None) -> Papers:
    true, have = await look(work.catalog, check.derived(work.repository, after, PAPERS))
    return true, set(true) - set(have)


async def _surplus(work: Work, after: PaperRow | None) -> Papers:
    have, wrong = await look(work.catalog, check.listed(work.repository, after, PAPERS))
    return have, set(wrong)


def _key(one: PaperRow) -> tuple[Digest, Digest]:
    return one.subject, one.paper
