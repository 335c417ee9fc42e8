"""Content, whoever holds it: one row per digest, its bytes inline or under a location."""

from collections.abc import Collection, Mapping
from typing import cast

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog.bulk import bulk, column, hexa
from retinue.registry.catalog.db import Catalog, Change, Sql
from retinue.registry.catalog.trash import discard

# The update locks the row, so that a collector cannot delete it meanwhile. What was just verified
# is right where the rows differ (storage rule 20).
_PUT = Sql("""
    insert into object (digest, size, location) values (:digest, :size, :location)
    on conflict (digest) do update set size = excluded.size
    returning id, location, quarantined""")
_BYTES = Sql("""
    insert into object_bytes (object, body) values (:object, :body)
    on conflict (object) do update set body = excluded.body
    where object_bytes.body <> excluded.body""")
_NO_BYTES = Sql("delete from object_bytes where object = :object")
_REPLACE = Sql("""
    update object set location = :location, size = :size, quarantined = null, scrubbed = 0
    where id = :object""")
_QUARANTINE_FILE = Sql("""
    update object set quarantined = coalesce(quarantined, :now)
    where id = :object and location = :location returning id""")
_QUARANTINE_ROW = Sql("""
    update object set quarantined = coalesce(quarantined, :now)
    where id = :object and location is null
    and (select b.body from object_bytes b where b.object = object.id)
        is not distinct from :seen returning id""")
_RELEASE = Sql("""
    update object set quarantined = null, scrubbed = :now
    where id = :object and coalesce(location, '') = :location
    and quarantined is not null returning id""")
_HOLD = Sql("""
    insert into repo_blob (repository, digest, object, size, touched)
    values (:repository, :digest, :object, :size, :now)
    on conflict (repository, digest) do update set touched = excluded.touched,
        object = excluded.object, size = excluded.size""")
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
    """Store verified bytes as a row, over whatever is there; returns the object's id."""
    rows = yield _PUT, (digests.to_bytes(digest), len(body), None)
    object_id, location, quarantined = cast("tuple[int, str | None, int | None]", rows[0])
    yield _BYTES, (object_id, body)
    if location is not None or quarantined is not None:
        yield _REPLACE, (None, len(body), object_id)
    if location is not None:
        yield from discard([location], trash.now + trash.delay)
    return object_id


class Rival(Struct, frozen=True):
    """The copy that an object has already; `location` is None when it is a row."""

    location: str | None


class Placed(Struct, frozen=True):
    """The id of the object; `surplus`: it keeps the copy that it had."""

    object: int
    surplus: bool = False


class Judged(Struct, frozen=True):
    """A stored copy that was read again: whether its bytes are what they should be. `location`
    is empty for a row."""

    location: str
    whole: bool


def put_file(
    digest: Digest, location: str, size: int, trash: Trash, judged: Judged | None = None
) -> Change[Placed | Rival]:
    """Record a copy that was just verified.

    Where another copy is served already, nothing happens until it was read again: a Rival says
    which. If it is whole this one is surplus, else this one replaces it (storage rule 20).
    """
    rows = yield _PUT, (digests.to_bytes(digest), size, location)
    object_id, known, quarantined = cast("tuple[int, str | None, int | None]", rows[0])
    if known == location:
        return Placed(object_id)
    if judged is None or judged.location != (known or ""):
        if quarantined is None or known is None:
            return Rival(known)
    elif quarantined is None and judged.whole:
        return Placed(object_id, surplus=True)
    yield _REPLACE, (location, size, object_id)
    yield _NO_BYTES, (object_id,)
    if known is not None:
        yield from discard([known], trash.now + trash.delay)
    return Placed(object_id)


def quarantine(object_id: int, location: str | None, seen: bytes | None, now: int) -> Change[bool]:
    """Serve the damaged copy no longer that somebody saw: the file at a location, or (without one)
    the row with these bytes, None when there was none. False when another copy is there by now."""
    if location is not None:
        return bool((yield _QUARANTINE_FILE, (now, object_id, location)))
    return bool((yield _QUARANTINE_ROW, (now, object_id, seen)))


def release(object_id: int, location: str | None, now: int) -> Change[bool]:
    """Serve a copy again that was found whole; False when another one is there by now."""
    return bool((yield _RELEASE, (now, object_id, location or "")))


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
