"""Rows against rows: what one table says twice, or of another, and what the database says itself."""

from collections.abc import Collection, Mapping, Sequence
from typing import cast

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog import locks, manifests, papers, repositories
from retinue.registry.catalog.bulk import bulk, column, hexa, rows
from retinue.registry.catalog.db import Change, Row, Sql

MOST = 1_000
"""Rows of one kind of damage that are told; after a repair the next run tells more."""

INTEGRITY = Sql(
    "select integrity_check from pragma_integrity_check limit :most",
    postgres="""
    select 'constraint ' || conname || ' of ' || cast(conrelid as regclass)::text || ' is not valid'
    from pg_constraint where contype in ('f', 'c') and not convalidated
    union all
    select checksum_failures || ' pages have wrong checksums' from pg_stat_database
    where datname = current_database() and checksum_failures > 0
    limit :most""",
    scans=True,
)
_REINDEX = Sql("reindex", postgres="select 1", scans=True)
MANIFESTS = Sql("""
    select m.id, m.repository, m.digest, o.digest from manifest m
    left join object o on o.id = m.object
    where m.id > :after order by m.id limit :most""")
BLOBS = Sql("""
    select b.digest, o.digest, b.size, o.size, o.quarantined from repo_blob b
    left join object o on o.id = b.object
    where b.repository = :repository and b.digest > :after order by b.digest limit :most""")
BYTES = Sql("""
    select b.object, o.id, o.location from object_bytes b left join object o on o.id = b.object
    where b.object > :after order by b.object limit :most""")
UPLOADS = Sql("""
    select id, location, size from upload where state = 1 and id > :after
    order by id limit :most""")
TIMES = Sql("""
    select id, digest, scrubbed from object where location is not null and id > :after
    order by id limit :most""")
_DESCRIBED = bulk(
    """
    select p.digest, p.artifact_type, p.entry from json_each(:digests) e
    join paper p on p.repository = :repository and p.digest = unhex(e.value ->> 0)""",
    grows="subjects of a paper",
)
_RETYPE = Sql("""
    update manifest set media_type = :media_type
    where repository = :repository and digest = :digest and media_type = :before returning id""")
_STRAY_MANIFEST = Sql("""
    select 1 from manifest m left join object o on o.id = m.object
    where m.repository = :repository and m.digest = :digest
    and (o.id is null or o.digest <> m.digest)""")
_STRAY_BLOB = Sql("""
    select 1 from repo_blob b left join object o on o.id = b.object
    where b.repository = :repository and b.digest = :digest
    and (o.id is null or o.digest <> b.digest or o.size <> b.size and o.quarantined is null)""")
_PROMISE = Sql("""
    insert into object (digest, size, location, quarantined)
    values (:digest, :size, null, :now) on conflict (digest) do nothing""")
_POINT_MANIFEST = Sql("""
    update manifest set object = (select o.id from object o where o.digest = :digest)
    where repository = :repository and digest = :digest""")
_POINT_BLOB = Sql("""
    update repo_blob set object = (select o.id from object o where o.digest = :digest),
        size = (select case when o.quarantined is null then o.size else repo_blob.size end
            from object o where o.digest = :digest)
    where repository = :repository and digest = :digest""")
_LIVE = bulk("""
    select o.location from json_each(:wanted) e
    join object o on o.digest = unhex(e.value ->> 1) and o.location = e.value ->> 0""")
_TAKE_OUT = bulk("""
    delete from trash where location in (select e.value ->> 0 from json_each(:wanted) e)
    returning location""")
_SURPLUS = Sql("""
    delete from object_bytes where object = :object
    and not exists (select 1 from object o where o.id = :object and o.location is null)
    returning object""")
_STILL_OPEN = Sql("""
    select 1 from upload where id = :id and state = 1 and size = :size and location = :location
    and lease = ''""")
_END = Sql("""
    update upload set state = 3, location = :left, expires = 0
    where id = :id and state = 1 and size = :size and location = :location and lease = ''
    returning id""")
_RESET = Sql("""
    update object set scrubbed = 0 where id = :id and scrubbed > :now returning id""")


class Pointer(Struct, frozen=True):
    """What a row says of an object, and what that object says. `actual`: its digest, None when it
    is not there; `known` its size, None when it is not served."""

    digest: Digest
    actual: Digest | None
    size: int = 0
    known: int | None = None

    @property
    def stray(self) -> bool:
        return self.actual != self.digest

    @property
    def wrong(self) -> bool:
        return self.stray or (self.known is not None and self.known != self.size)


class Waiting(Struct, frozen=True):
    """An open upload, and how many of its bytes were acknowledged."""

    session: str
    location: str
    size: int


def manifest(row: Row) -> tuple[int, Pointer] | None:
    """Repository and pointer; None for a row whose digest is none."""
    _, repository, raw, actual = cast("tuple[int, int, bytes, bytes | None]", row)
    digest = digests.read_bytes(raw)
    return None if digest is None else (repository, Pointer(digest, _other(actual)))


def blob(row: Row) -> Pointer | None:
    raw, actual, size, known, quarantined = cast(
        "tuple[bytes, bytes | None, int, int | None, int | None]", row
    )
    digest = digests.read_bytes(raw)
    if digest is None:
        return None
    return Pointer(digest, _other(actual), size, None if quarantined is not None else known)


def _other(raw: bytes | None) -> Digest | None:
    return None if raw is None else digests.read_bytes(raw)


def upload(row: Row) -> Waiting:
    session, location, size = cast("tuple[str, str, int]", row)
    return Waiting(session, location, size)


def surplus(row: Row) -> tuple[int, bool]:
    """Object of a row of bytes, and whether nothing reads that row."""
    number, known, location = cast("tuple[int, int | None, str | None]", row)
    return number, known is None or location is not None


def scrubbed(row: Row) -> tuple[int, Digest | None, int]:
    number, raw, when = cast("tuple[int, bytes, int]", row)
    return number, digests.read_bytes(raw), when


def stray_manifest(repository: int, digest: Digest) -> Change[bool]:
    """Whether its bytes are looked for in another object than its own, or in none."""
    return bool((yield _STRAY_MANIFEST, (repository, digests.to_bytes(digest))))


def stray_blob(repository: int, digest: Digest) -> Change[bool]:
    """The same of a blob, or whether its size is not its object's."""
    return bool((yield _STRAY_BLOB, (repository, digests.to_bytes(digest))))


def point_manifest(repository: int, digest: Digest, now: int) -> Change[bool]:
    """To the object of its digest: one that is quarantined, where there was none."""
    yield from locks.exclusive(repository)
    if not (yield from stray_manifest(repository, digest)):
        return False
    raw = digests.to_bytes(digest)
    yield _PROMISE, (raw, 0, now)
    yield _POINT_MANIFEST, (raw, repository)
    return True


def point_blob(repository: int, pointer: Pointer, now: int) -> Change[bool]:
    """The same, and the size along with it."""
    yield from locks.exclusive(repository)
    if not (yield from stray_blob(repository, pointer.digest)):
        return False
    raw = digests.to_bytes(pointer.digest)
    yield _PROMISE, (raw, pointer.size, now)
    yield _POINT_BLOB, (raw, repository)
    return True


def live(wanted: Mapping[str, Digest]) -> Change[set[str]]:
    """Those of these locations that an object has."""
    if not wanted:
        return set()
    found = yield _LIVE, (rows((place, hexa(digest)) for place, digest in wanted.items()),)
    return {cast("str", location) for (location,) in found}


def save(wanted: Mapping[str, Digest]) -> Change[set[str]]:
    """Take out of the trash what an object has."""
    found = yield from live(wanted)
    return (yield from take_out(found))


def take_out(locations: Collection[str]) -> Change[set[str]]:
    """Out of the trash; returns those that were in it."""
    if not locations:
        return set()
    found = yield _TAKE_OUT, (column(sorted(locations)),)
    return {cast("str", location) for (location,) in found}


def drop_bytes(number: int) -> Change[bool]:
    """Bytes that nothing reads: their object has a file, or is not there."""
    return bool((yield _SURPLUS, (number,)))


def still_open(one: Waiting) -> Change[bool]:
    """Whether an upload is as it was read, and nobody is writing it."""
    return bool((yield _STILL_OPEN, (one.session, one.size, one.location)))


def end(one: Waiting, left: str) -> Change[bool]:
    """Bytes of it are lost: the client has to begin again, and collection takes what is `left`."""
    return bool((yield _END, (left, one.session, one.size, one.location)))


def scrub_again(number: int, now: int) -> Change[bool]:
    """It was scrubbed in the future, and would wait for that."""
    return bool((yield _RESET, (number, now)))


def reindex() -> Change[None]:
    """Make every index anew from its table."""
    yield _REINDEX, ()


class Description(Struct, frozen=True):
    """What lists say of a paper; `entry` is None when it is made when asked for."""

    artifact_type: str | None
    entry: str | None


def described(
    repository: int, wanted: Collection[Digest]
) -> Change[Mapping[Digest, set[Description]]]:
    """What lists say of these, each of its subjects' lists."""
    found: dict[Digest, set[Description]] = {each: set() for each in wanted}
    if found:
        for raw, kind, entry in cast(
            "Sequence[tuple[bytes, str | None, str | None]]",
            (yield _DESCRIBED, (column(map(hexa, found)), repository)),
        ):
            found[digests.from_bytes(raw)].add(Description(kind, entry))
    return found


def describe(repository: int, paper: Digest, true: Description) -> Change[bool]:
    """Let all lists say what its bytes say; False when it is gone by now."""
    yield from locks.exclusive(repository)
    if not (yield from manifests.present(repository, [paper])):
        return False
    yield from papers.describe(repository, paper, true.artifact_type, true.entry)
    yield from repositories.papers_changed(repository)
    return True


def retype(repository: int, digest: Digest, before: str, media_type: str) -> Change[bool]:
    """The media type that its bytes state; False when it is another one by now."""
    return bool((yield _RETYPE, (media_type, repository, digests.to_bytes(digest), before)))


# ---- cells that no statement of the program can have written

_BAD = """not (length({0}) = 33 and substr({0}, 1, 1) = unhex('01')
        or length({0}) = 65 and substr({0}, 1, 1) = unhex('02'){1})"""
_TAG = " or length({0}) > 1 and substr({0}, 1, 1) = unhex('00')"
_PARTS = {
    "link": f"""{_BAD.format("source", "")} or {_BAD.format("target", "")}
        or {_BAD.format("witness", _TAG.format("witness"))}
        or kind not in (1, 2, 3) or way not in (1, 2, 3, 4, 5)""",
    "paper": f"{_BAD.format('subject', '')} or {_BAD.format('digest', '')}",
    "tag": _BAD.format("digest", ""),
    "repo_blob": _BAD.format("digest", ""),
    "manifest": _BAD.format("digest", ""),
    "usage": _BAD.format("digest", ""),
    "object": _BAD.format("digest", ""),
}


def _bad(table: str, what: str) -> Sql:
    made = bulk(f"{what} from {table} where {_PARTS[table]}")
    made.scans = True
    return made


_COUNT_BAD = {table: _bad(table, "select count(*)") for table in _PARTS}
_DROP_BAD = {table: _bad(table, "delete") for table in _PARTS}

MALFORMED: Sequence[str] = tuple(_PARTS)
"""Tables with digests, those that are referred to last."""


def malformed(table: str) -> Change[int]:
    """How many of its rows nothing can ever name, or no reader understands."""
    found = yield _COUNT_BAD[table], ()
    return cast("int", found[0][0])


def drop_malformed(table: str) -> Change[None]:
    yield _DROP_BAD[table], ()


# ---- rows of repositories that are not there

OWNED: Sequence[str] = ("manifest", "tag", "repo_blob", "link", "paper", "usage")
DERIVED = frozenset({"link", "paper", "usage"})
"""What can be made anew, or is a count."""
_NOWHERE = "from {0} where not exists (select 1 from repository r where r.id = {0}.repository)"


def _nowhere(table: str, what: str) -> Sql:
    return Sql(f"{what} {_NOWHERE.format(table)}", scans=True)


_COUNT_NOWHERE = {table: _nowhere(table, "select count(*)") for table in OWNED}
_DROP_NOWHERE = {table: _nowhere(table, "delete") for table in sorted(DERIVED)}


def nowhere(table: str) -> Change[int]:
    """How many of its rows belong to no repository."""
    found = yield _COUNT_NOWHERE[table], ()
    return cast("int", found[0][0])


def drop_nowhere(table: str) -> Change[None]:
    yield _DROP_NOWHERE[table], ()
