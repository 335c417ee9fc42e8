"""Referrers: the papers that state their subject themselves; and those that a tag attaches."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog.bulk import bulk, column
from retinue.registry.catalog.db import Catalog, Row, Sql

STATE = Sql("select id, paper_seq from repository where name = :name")
# All papers of a page, also those that are not wanted: else a read would go on until it has found
# enough that are.
PAGE = Sql("""
    select digest, case when listed = 1 then entry end, listed from paper
    where repository = :repository and subject = :subject and digest > :last
    and not exists (
        select 1 from deletion where repository = :repository and subject = :subject)
    order by digest limit :most""")
PAGE_OF_TYPE = Sql("""
    select x.digest, case when x.wanted = 1 then x.entry end, x.wanted from (
        select digest, entry, case when listed = 1 and artifact_type = :type
            then 1 else 0 end as wanted from paper
        where repository = :repository and subject = :subject and digest > :last
        and not exists (
            select 1 from deletion where repository = :repository and subject = :subject)
        order by digest limit :most) x order by x.digest""")
# What cosign's tags attach has an index of its own (way 3).
PAGE_BY_TAG = Sql("""
    select digest, entry, 1 from paper
    where repository = :repository and subject = :subject and digest > :last and ways & 4 <> 0
    and not exists (
        select 1 from deletion where repository = :repository and subject = :subject)
    order by digest limit :most""")
ANY_BY_TAG = Sql("""
    select 1 from paper
    where repository = :repository and subject = :subject and ways & 4 <> 0 limit 1""")
ROWS = 250
"""Papers per read; their entries have at most 8 KiB each."""


class State(NamedTuple):
    """`sequence` is another one as soon as any list of this repository is."""

    repository: int
    sequence: int


class Page(NamedTuple):
    """`end`: where to go on; None: nothing comes after these."""

    papers: "Sequence[Paper]"
    end: bytes | None


class Paper(NamedTuple):
    """`entry` is the descriptor as JSON; None: too large, to be made from the manifest."""

    digest: bytes
    entry: str | None


async def state(catalog: Catalog, name: str) -> State | None:
    row = await catalog.one(STATE, name)
    return None if row is None else State._make(cast("tuple[int, int]", row))


async def page(
    catalog: Catalog, repository: int, subject: Digest, last: bytes, artifact_type: str | None
) -> Page:
    """What is wanted of the next ROWS papers of a subject after `last`, by digest."""
    raw = digests.to_bytes(subject)
    if artifact_type is None:
        found = await catalog.rows(PAGE, repository, raw, last, ROWS)
    else:
        found = await catalog.rows(PAGE_OF_TYPE, artifact_type, repository, raw, last, ROWS)
    return _page(found)


def _page(found: Sequence[Row]) -> Page:
    rows = cast("Sequence[tuple[bytes, str | None, int]]", found)
    papers = [Paper(digest, entry) for digest, entry, wanted in rows if wanted]
    return Page(papers, rows[-1][0] if len(rows) == ROWS else None)


async def page_by_tag(catalog: Catalog, repository: int, subject: Digest, last: bytes) -> Page:
    """The same of papers that cosign's tags attach, or did before others wrote the same tag."""
    cells = (repository, digests.to_bytes(subject), last, ROWS)
    return _page(await catalog.rows(PAGE_BY_TAG, *cells))


async def any_by_tag(catalog: Catalog, repository: int, subject: Digest) -> bool:
    """Whether there is one of these."""
    cells = (repository, digests.to_bytes(subject))
    return await catalog.one(ANY_BY_TAG, *cells) is not None


BODIES = bulk("""
    select m.digest, m.media_type, b.body from json_each(:digests) e
    join manifest m on m.repository = :repository and m.digest = unhex(e.value ->> 0)
    join object o on o.id = m.object
    join object_bytes b on b.object = o.id where o.quarantined is null""")
SMALL_BODIES = bulk("""
    select m.digest, m.media_type, b.body from json_each(:digests) e
    join manifest m on m.repository = :repository and m.digest = unhex(e.value ->> 0)
    join object o on o.id = m.object and o.size <= :most
    join object_bytes b on b.object = o.id where o.quarantined is null""")
_LISTED = Sql("""
    select 1 from repository r join paper p on p.repository = r.id and p.digest = :digest
    where r.name = :name limit 1""")
TAGGED = Sql("""
    select t.digest from repository r join tag t on t.repository = r.id and t.name = :tag
    where r.name = :name""")


class Body(NamedTuple):
    """Bytes as stored: whoever sends them checks them."""

    digest: bytes
    media_type: str
    body: bytes


async def bodies(catalog: Catalog, repository: int, wanted: Iterable[bytes]) -> Sequence[Body]:
    """Manifests of a repository, in no order; those that are gone are left out."""
    found = await catalog.rows(BODIES, column(raw.hex() for raw in wanted), repository)
    return [Body._make(cast("tuple[bytes, str, bytes]", row)) for row in found]


async def small_bodies(
    catalog: Catalog, repository: int, wanted: Iterable[bytes], most: int
) -> Sequence[Body]:
    """The same; manifests of more than `most` bytes are left out as well."""
    given = column(raw.hex() for raw in wanted)
    found = await catalog.rows(SMALL_BODIES, given, repository, most)
    return [Body._make(cast("tuple[bytes, str, bytes]", row)) for row in found]


async def tagged(catalog: Catalog, name: str, tag: str) -> Digest | None:
    """What a tag names."""
    row = await catalog.one(TAGGED, tag, name)
    return None if row is None else digests.from_bytes(cast("bytes", row[0]))


async def is_listed(catalog: Catalog, name: str, paper: Digest) -> bool:
    """Whether any list of a repository has it."""
    return await catalog.one(_LISTED, digests.to_bytes(paper), name) is not None
