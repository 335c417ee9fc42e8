"""Content, whoever holds it: one row per digest, its bytes inline or under a location."""

from collections.abc import Collection, Mapping
from typing import cast

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog.bulk import bulk, column, hexa
from retinue.registry.catalog.db import Catalog, Change, Sql

# The update that changes nothing locks the row, so that a collector cannot delete it meanwhile.
_PUT = Sql("""
    insert into object (digest, size, location) values (:digest, :size, :location)
    on conflict (digest) do update set size = object.size
    returning id, location, quarantined""")
_BYTES = Sql("""
    insert into object_bytes (object, body) values (:object, :body)
    on conflict (object) do nothing""")
_NEW_BYTES = Sql("""
    insert into object_bytes (object, body) values (:object, :body)
    on conflict (object) do update set body = excluded.body""")
_NO_BYTES = Sql("delete from object_bytes where object = :object")
_REPLACE = Sql("""
    update object set location = :location, size = :size, quarantined = null, scrubbed = 0
    where id = :object""")
_TRASH = Sql("""
    insert into trash (location, due) values (:location, :due)
    on conflict (location) do nothing""")
_HOLD = Sql("""
    insert into repo_blob (repository, digest, object, size, touched)
    values (:repository, :digest, :object, :size, :now)
    on conflict (repository, digest) do update set touched = excluded.touched""")
_OBJECT_OF = Sql(
    """select o.id, o.size from repo_blob b join object o on o.id = b.object
    where b.repository = :repository and b.digest = :digest and o.quarantined is null""",
    postgres="""select o.id, o.size from repo_blob b join object o on o.id = b.object
    where b.repository = :repository and b.digest = :digest and o.quarantined is null
    for key share of o""",
)
_HOLDS = Sql("select 1 from repo_blob where repository = :repository and digest = :digest")
# A base layer may be in very many repositories: some of them will do.
HOLDERS = Sql("""
    select r.name from (
        select b.repository, b.touched from object o join repo_blob b on b.object = o.id
        where o.digest = :digest and o.quarantined is null limit 250) x
    join repository r on r.id = x.repository order by x.touched desc limit :most""")
_DROP = Sql("""
    delete from repo_blob where repository = :repository and digest = :digest returning object""")
_TOUCH = bulk("""
    update repo_blob set touched = :now where repository = :repository
    and digest in (select unhex(e.value ->> 0) from json_each(:digests) e)""")
_BODIES = bulk("""
    select o.digest, b.body from json_each(:digests) e
    join object o on o.digest = unhex(e.value ->> 0)
    join object_bytes b on b.object = o.id where o.quarantined is null""")


class Trash(Struct, frozen=True):
    """When bytes that were replaced may go: those a reader may still have open wait longer."""

    now: int
    delay: int


def put_inline(digest: Digest, body: bytes, trash: Trash) -> Change[int]:
    """Store bytes as a row, over a quarantined copy or a file; returns the object's id."""
    rows = yield _PUT, (digests.to_bytes(digest), len(body), None)
    object_id, location, quarantined = cast("tuple[int, str | None, int | None]", rows[0])
    if location is None and quarantined is None:
        yield _BYTES, (object_id, body)
        return object_id
    yield _NEW_BYTES, (object_id, body)
    yield _REPLACE, (None, len(body), object_id)
    if location is not None:
        yield _TRASH, (location, trash.now + trash.delay)
    return object_id


def put_file(digest: Digest, location: str, size: int, trash: Trash) -> Change[int]:
    """Record a durable copy. A healthy older copy stays, and this one is surplus."""
    rows = yield _PUT, (digests.to_bytes(digest), size, location)
    object_id, known, quarantined = cast("tuple[int, str | None, int | None]", rows[0])
    if known == location:
        return object_id
    if quarantined is None:
        yield _TRASH, (location, trash.now)
        return object_id
    yield _REPLACE, (location, size, object_id)
    yield _NO_BYTES, (object_id,)
    if known is not None:
        yield _TRASH, (known, trash.now + trash.delay)
    return object_id


def hold(repository: int, digest: Digest, object_id: int, size: int, now: int) -> Change[None]:
    """The repository holds this blob from now on."""
    yield _HOLD, (repository, digests.to_bytes(digest), object_id, size, now)


def held_object(repository: int, digest: Digest) -> Change[tuple[int, int] | None]:
    """Object and size of a healthy blob of a repository, guarded against deletion."""
    rows = yield _OBJECT_OF, (repository, digests.to_bytes(digest))
    return cast("tuple[int, int]", rows[0]) if rows else None


def holds(repository: int, digest: Digest) -> Change[bool]:
    """Whether the repository holds this blob."""
    return bool((yield _HOLDS, (repository, digests.to_bytes(digest))))


def drop_blob(repository: int, digest: Digest) -> Change[bool]:
    """The repository holds this blob no longer; False when it never did."""
    rows = yield _DROP, (repository, digests.to_bytes(digest))
    return bool(rows)


def touch_blobs(repository: int, blobs: Collection[Digest], now: int) -> Change[None]:
    """Their grace counts from now."""
    if blobs:
        yield _TOUCH, (now, repository, column(map(hexa, blobs)))


def bodies(wanted: Collection[Digest]) -> Change[Mapping[Digest, bytes]]:
    """Inline bytes by digest; those that are absent or quarantined are left out."""
    if not wanted:
        return {}
    rows = yield _BODIES, (column(map(hexa, wanted)),)
    return {digests.from_bytes(cast("bytes", d)): cast("bytes", body) for d, body in rows}


async def holders(catalog: Catalog, digest: Digest, most: int) -> list[str]:
    """Names of some repositories that hold a blob, those that used it last first."""
    rows = await catalog.rows(HOLDERS, digests.to_bytes(digest), most)
    return [cast("str", name) for (name,) in rows]
