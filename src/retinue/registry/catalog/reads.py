"""The hot reads: one statement each, permission and presence included."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog.bulk import bulk, rows
from retinue.registry.catalog.db import Catalog, CatalogUnavailable, Sql

# An object of another digest is none: a row that points astray finds nothing, and no other bytes.
BY_TAG = Sql("""
    select r.id, m.digest, m.media_type, m.touched, o.id, o.size, o.location
    from repository r
    join tag t on t.repository = r.id and t.name = :tag
    join manifest m on m.repository = r.id and m.digest = t.digest
    join object o on o.id = m.object and o.digest = m.digest
    where r.name = :name and o.quarantined is null""")
BY_DIGEST = Sql("""
    select r.id, m.digest, m.media_type, m.touched, o.id, o.size, o.location
    from repository r
    join manifest m on m.repository = r.id and m.digest = :digest
    join object o on o.id = m.object and o.digest = m.digest
    where r.name = :name and o.quarantined is null""")
BLOB = Sql("""
    select r.id, b.digest, '', b.touched, o.id, o.size, o.location
    from repository r
    join repo_blob b on b.repository = r.id and b.digest = :digest
    join object o on o.id = b.object and o.digest = b.digest
    where r.name = :name and o.quarantined is null""")
BODY = Sql("select body from object_bytes where object = :object")
ALIVE = Sql("select 1")
NAMES = bulk("""
    select r.name, case when exists (
            select 1 from json_each(:likes) e where r.name like e.value ->> 0 escape '\\')
        then 1 else 0 end
    from repository r where r.name > :after and r.name <= :until
    order by r.name limit :most""")
LOOKED = 200
"""Names that are compared with patterns at a time: with twenty of these that takes a millisecond."""


class Found(NamedTuple):
    """What a repository has under a tag or digest. `size` in bytes; `location` None: inline.

    A tuple because one is made for every request.
    """

    repository: int
    digest: bytes
    media_type: str
    touched: int
    object: int
    size: int
    location: str | None

    @property
    def is_manifest(self) -> bool:
        return bool(self.media_type)


async def manifest_by_tag(catalog: Catalog, name: str, tag: str) -> Found | None:
    row = await catalog.one(BY_TAG, tag, name)
    return None if row is None else Found._make(cast("tuple[int]", row))


async def manifest_by_digest(catalog: Catalog, name: str, digest: Digest) -> Found | None:
    row = await catalog.one(BY_DIGEST, digests.to_bytes(digest), name)
    return None if row is None else Found._make(cast("tuple[int]", row))


async def blob(catalog: Catalog, name: str, digest: Digest) -> Found | None:
    row = await catalog.one(BLOB, digests.to_bytes(digest), name)
    return None if row is None else Found._make(cast("tuple[int]", row))


async def body(catalog: Catalog, object_id: int) -> bytes | None:
    """Inline bytes of an object; None when it is gone, or is no row any more."""
    row = await catalog.one(BODY, object_id)
    return None if row is None else cast("bytes", row[0])


async def alive(catalog: Catalog) -> None:
    """Raises CatalogUnavailable unless the catalog answers, and may be written."""
    if gone := catalog.gone():
        raise CatalogUnavailable(gone)
    await catalog.one(ALIVE)


async def names(
    catalog: Catalog, likes: Iterable[str], ranges: Iterable[tuple[str, str]], last: str, most: int
) -> Sequence[str]:
    r"""Repositories after `last` that match a pattern of LIKE (escape `\`), in order.

    `ranges`: after what and up to what there can be any; in order, and apart from each other.
    """
    patterns = rows([like] for like in likes)
    found: list[str] = []
    for first, until in ranges:
        after = max(first, last)
        while len(found) < most and after < until:  # each round is after some more names
            page = await catalog.rows(NAMES, patterns, after, until, LOOKED)
            found += [cast("str", name) for name, matches in page if matches]
            if len(page) < LOOKED:
                break
            after = cast("str", page[-1][0])
            await asyncio.sleep(0)  # on SQLite nothing above suspends: other requests come first
    return found[:most]
