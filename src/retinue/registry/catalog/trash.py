"""Objects that nothing holds, their files, and what keeps those for a while."""

from collections.abc import Collection
from typing import cast

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog.bulk import bulk, column, hexa, rows
from retinue.registry.catalog.db import Change, Sql

_UNHELD = bulk("""
    select o.id, o.digest, o.size, o.location from json_each(:wanted) e
    join object o on o.digest = unhex(e.value ->> 0)
    where not exists (select 1 from repo_blob b where b.object = o.id)
    and not exists (select 1 from manifest m where m.object = o.id)
    order by o.digest""")
# PostgreSQL: waits for whoever is about to hold one of these, and keeps others from it, so that the
# next statement sees all holders that there will be. SQLite has one writer.
_LOCK = Sql(
    """select o.id from json_each(:wanted) e join object o on o.digest = unhex(e.value ->> 0)""",
    postgres="""
    select o.id from object o where o.digest in (
        select decode(e.value ->> 0, 'hex')
        from jsonb_array_elements(cast(:wanted as jsonb)) e)
    order by o.digest for update""",
)
_DROP = bulk("""
    delete from object where id in (
        select cast(e.value ->> 0 as bigint) from json_each(:gone) e)""")
_TRASH = bulk("""
    insert into trash (location, due)
    select e.value ->> 0, :due from json_each(:locations) e where true
    on conflict (location) do nothing""")
# The hold is looked at in the same statement: a backup takes its hold before its snapshot, so that
# whatever the snapshot names and somebody deletes later meets it here (storage rule 9).
_DUE = Sql(
    """select location from trash where due <= :now
    and not exists (select 1 from hold where until > :now)
    order by due limit :most""",
    scans=True,  # of hold: one row for each backup under way
)
_FORGET = bulk("""
    delete from trash where location in (select e.value ->> 0 from json_each(:locations) e)""")
_HOLD = Sql("""
    insert into hold (name, until) values (:name, :until)
    on conflict (name) do update set until = excluded.until""")
_RENEW = Sql("""
    update hold set until = :until where name = :name and until > :now returning name""")
_RELEASE = Sql("delete from hold where name = :name")
_EXPIRED_HOLDS = Sql("delete from hold where until <= :now", scans=True)


class Unheld(Struct, frozen=True):
    """An object that no repository holds. `location` is None when its bytes are a row."""

    id: int
    digest: Digest
    size: int
    location: str | None


def unheld(wanted: Collection[Digest]) -> Change[list[Unheld]]:
    """Those of `wanted` that nothing holds."""
    found = yield _UNHELD, (column(sorted(map(hexa, wanted))),)
    return [
        Unheld(number, digests.from_bytes(raw), size, location)
        for number, raw, size, location in cast("list[tuple[int, bytes, int, str | None]]", found)
    ]


def drop_unheld(wanted: Collection[Digest], due: int) -> Change[list[Unheld]]:
    """Delete those of `wanted` that nothing holds; their files go when `due` has passed."""
    yield _LOCK, (column(sorted(map(hexa, wanted))),)
    gone = yield from unheld(wanted)
    if gone:
        locations = sorted(one.location for one in gone if one.location is not None)
        yield _DROP, (rows([one.id] for one in gone),)  # first: a location is in one place
        yield from discard(locations, due)
    return gone


def discard(locations: Collection[str], due: int) -> Change[None]:
    """Files that may be removed once `due` has passed: no object can have them any more.

    Raises ConstraintViolated for one that an object or an open upload has.
    """
    if locations:
        yield _TRASH, (due, column(locations))


def due(now: int, most: int) -> Change[list[str]]:
    """Files to remove now: none while anybody holds deletion."""
    found = yield _DUE, (now, most)
    return [cast("str", location) for (location,) in found]


def forget(locations: Collection[str]) -> Change[None]:
    """The files are gone; their locations are never used again."""
    yield _FORGET, (column(sorted(locations)),)


def hold(name: str, until: int) -> Change[None]:
    """No file is removed before `until`."""
    yield _HOLD, (name, until)


def renew(name: str, now: int, until: int) -> Change[bool]:
    """False when the hold ran out before: files may be gone."""
    return bool((yield _RENEW, (until, name, now)))


def release(name: str, now: int) -> Change[None]:
    yield _RELEASE, (name,)
    yield _EXPIRED_HOLDS, (now,)
