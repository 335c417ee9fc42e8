"""What collection asks about the manifests and blobs of one repository, and how it deletes them."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import cast

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.links import Link
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.readers import table
from retinue.registry.catalog import candidates, links
from retinue.registry.catalog.bulk import bulk, column, hexa, rows
from retinue.registry.catalog.db import Change, Sql

MOST_LINKS = 50_000
"""Links, or tags that say something about others, that one question may bring up."""

_TIMES = bulk("""
    select m.digest, m.touched, m.pushed, m.locked,
        coalesce(u.last_pull, 0), coalesce(c.due, 0), o.size
    from json_each(:wanted) e
    join manifest m on m.repository = :repository and m.digest = unhex(e.value ->> 0)
    join object o on o.id = m.object
    left join usage u on u.repository = m.repository and u.digest = m.digest
    left join candidate c on c.repository = m.repository and c.kind = 1 and c.digest = m.digest""")
# A manifest may carry very many tags, of either kind: those between the two prefixes are sought.
_ORDINARY = bulk("""
    select unhex(e.value ->> 0) from json_each(:wanted) e where coalesce((
        select 1 from tag t
        where t.repository = :repository and t.digest = unhex(e.value ->> 0)
        and t.name < 'sha256-' limit 1), (
        select 1 from tag t
        where t.repository = :repository and t.digest = unhex(e.value ->> 0)
        and t.name >= 'sha256.' and t.name < 'sha512-' limit 1), (
        select 1 from tag t
        where t.repository = :repository and t.digest = unhex(e.value ->> 0)
        and t.name >= 'sha512.' limit 1)) = 1""")
_SPECIAL = bulk("""
    select t.digest, t.name from json_each(:wanted) e
    join tag t on t.repository = :repository and t.digest = unhex(e.value ->> 0)
    where t.name >= 'sha256-' and t.name < 'sha256.'
    or t.name >= 'sha512-' and t.name < 'sha512.' limit :most""")
_PARENTS = bulk("""
    select l.target, l.source from json_each(:wanted) e
    join link l on l.repository = :repository and l.target = unhex(e.value ->> 0)
    and l.kind in (1, 2) where l.source <> l.target limit :most""")
_SAID = bulk("""
    select l.source, l.target, l.witness from json_each(:wanted) e
    join link l on l.repository = :repository and l.source = unhex(e.value ->> 0)
    and l.kind = 3 where l.source <> l.target limit :most""")
_CURRENT = bulk("""
    select t.name, t.digest from json_each(:tags) e
    join tag t on t.repository = :repository and t.name = e.value ->> 0""")
_BODIES = bulk("""
    select m.digest, m.media_type, b.body from json_each(:wanted) e
    join manifest m on m.repository = :repository and m.digest = unhex(e.value ->> 0)
    join object_bytes b on b.object = m.object""")
# Tags for sha512 subjects are cut to 64 characters: they name whatever begins like that.
_BEGINNING = bulk("""
    select e.value ->> 0, m.digest from json_each(:ranges) e
    join manifest m on m.repository = :repository
    and m.digest >= unhex(e.value ->> 0) and m.digest < unhex(e.value ->> 1) limit :most""")
_ELSEWHERE = bulk("""
    select unhex(e.value ->> 0) from json_each(:wanted) e where exists (
        select 1 from object o join manifest m on m.object = o.id
        where o.digest = unhex(e.value ->> 0) and m.repository <> :repository)""")
# An index that lists nothing but papers that all say themselves that they are about one subject.
_LISTS_PAPERS = bulk(
    """
    select m.digest from json_each(:wanted) e
    join manifest m on m.repository = :repository and m.digest = unhex(e.value ->> 0)
    and m.artifact_type is null and m.media_type = :index
    join link c on c.repository = m.repository and c.source = m.digest and c.kind = 2
    left join link p on p.repository = c.repository and p.source = c.target and p.kind = 3
    and p.witness = p.source
    group by m.digest
    having count(distinct c.target) = count(distinct p.source) and count(distinct p.target) = 1""",
    grows="children of an index",
)
_OTHER_VERSION = Sql("""
    select links_version from manifest
    where repository = :repository and links_version < :version
    union all
    select links_version from manifest
    where repository = :repository and links_version > :version
    limit 1""")
_DROP_SOURCES = bulk(
    """
    delete from link where repository = :repository
    and source in (select unhex(e.value ->> 0) from json_each(:sources) e)
    returning source, kind, target, witness, way, size""",
    grows="edges of a manifest",
)
_BLOBS = bulk("""
    select b.digest, b.touched, b.size, coalesce(c.due, 0),
        coalesce((
            select 1 from link l where l.repository = b.repository
            and l.target = b.digest and l.kind in (1, 2) limit 1), 0)
    from json_each(:wanted) e
    join repo_blob b on b.repository = :repository and b.digest = unhex(e.value ->> 0)
    left join candidate c on c.repository = b.repository and c.kind = 2 and c.digest = b.digest""")
_DROP_BLOBS = bulk("""
    delete from repo_blob where repository = :repository
    and digest in (select unhex(e.value ->> 0) from json_each(:gone) e)""")


class Times(Struct, frozen=True):
    """What the rows of a manifest say about its use; microseconds, 0 for never. `size`: bytes."""

    digest: Digest
    touched: int
    pushed: int
    locked: bool
    pulled: int
    waits: int
    size: int


class Said(Struct, frozen=True):
    """`source` is said to be a paper of `target`, by itself, another manifest, or a tag."""

    source: Digest
    target: Digest
    witness: Digest | str


class Blob(Struct, frozen=True):
    """A blob of a repository. `waits`: when its candidate is due; `linked`: a manifest has it."""

    digest: Digest
    touched: int
    size: int
    waits: int
    linked: bool


def _digest(value: object) -> Digest:
    return digests.from_bytes(cast("bytes", value))


def times(repository: int, wanted: Collection[Digest]) -> Change[tuple[Times, ...]]:
    """Those of `wanted` that are present."""
    found = yield _TIMES, (column(map(hexa, wanted)), repository)
    return tuple(
        Times(digests.from_bytes(d), touched, pushed, bool(locked), pulled, due, size)
        for d, touched, pushed, locked, pulled, due, size in cast(
            "list[tuple[bytes, int, int, int, int, int, int]]", found
        )
    )


def elsewhere(repository: int, wanted: Collection[Digest]) -> Change[set[Digest]]:
    """Those of `wanted` that are manifests of another repository."""
    found = yield _ELSEWHERE, (column(map(hexa, wanted)), repository)
    return {_digest(row[0]) for row in found}


def ordinary(repository: int, wanted: Collection[Digest]) -> Change[set[Digest]]:
    """Those of `wanted` with a tag that cannot be an implied one."""
    found = yield _ORDINARY, (column(map(hexa, wanted)), repository)
    return {_digest(row[0]) for row in found}


def special(repository: int, wanted: Collection[Digest]) -> Change[list[tuple[Digest, str]]]:
    """Tags of `wanted` that begin as implied ones do. At most MOST_LINKS and one."""
    found = yield _SPECIAL, (column(map(hexa, wanted)), repository, MOST_LINKS + 1)
    return [(_digest(raw), cast("str", name)) for raw, name in found]


def parents(repository: int, wanted: Collection[Digest]) -> Change[list[tuple[Digest, Digest]]]:
    """Pairs of one of `wanted` and who refers to it. At most MOST_LINKS and one."""
    found = yield _PARENTS, (column(map(hexa, wanted)), repository, MOST_LINKS + 1)
    return [(_digest(target), _digest(source)) for target, source in found]


def said(repository: int, wanted: Collection[Digest]) -> Change[list[Said]]:
    """What is said about `wanted` as papers. At most MOST_LINKS and one."""
    found = yield _SAID, (column(map(hexa, wanted)), repository, MOST_LINKS + 1)
    return [
        Said(_digest(source), _digest(target), links.stated_by(cast("bytes", witness)))
        for source, target, witness in found
    ]


def current(repository: int, tags: Collection[str]) -> Change[Mapping[str, Digest]]:
    """What these tags name now."""
    found = yield _CURRENT, (column(sorted(tags)), repository)
    return {cast("str", name): _digest(raw) for name, raw in found}


def bodies(
    repository: int, wanted: Collection[Digest]
) -> Change[Mapping[Digest, tuple[str, bytes]]]:
    """Media type and bytes of those of `wanted` that are present."""
    found = yield _BODIES, (column(map(hexa, wanted)), repository)
    return {_digest(raw): cast("tuple[str, bytes]", (kind, body)) for raw, kind, body in found}


def readable(repository: int, wanted: Collection[Digest]) -> Change[Mapping[Digest, Manifest]]:
    """The same, read; what cannot be read is left out."""
    found: dict[Digest, Manifest] = {}
    for digest, (kind, body) in (yield from bodies(repository, wanted)).items():
        with suppress(Unreadable):
            found[digest] = table.read(body, kind)
    return found


def beginning(repository: int, prefixes: Collection[bytes]) -> Change[dict[bytes, list[Digest]]]:
    """Present manifests by the first bytes of their digests (algorithm byte included)."""
    found: dict[bytes, list[Digest]] = {each: [] for each in prefixes}
    if found:
        ranges = rows((each.hex(), _after(each).hex()) for each in sorted(found))
        for start, raw in (yield _BEGINNING, (ranges, repository, MOST_LINKS)):
            found[bytes.fromhex(cast("str", start))].append(_digest(raw))
    return found


def _after(prefix: bytes) -> bytes:
    return (int.from_bytes(prefix, "big") + 1).to_bytes(len(prefix), "big")


def lists_of_papers(repository: int, wanted: Collection[Digest]) -> Change[set[Digest]]:
    """Those of `wanted` that say no more than what papers of one subject say themselves."""
    found = yield _LISTS_PAPERS, (column(map(hexa, wanted)), repository, names.OCI_INDEX)
    return {_digest(row[0]) for row in found}


def other_version(repository: int) -> Change[int | None]:
    """A version of derived links in this repository that is not ours (storage rule 16)."""
    found = yield _OTHER_VERSION, (repository, links.VERSION)
    return cast("int", found[0][0]) if found else None


def drop_sources(repository: int, sources: Collection[Digest]) -> Change[list[Link]]:
    """Remove all edges that start at these manifests; returns them."""
    gone = yield _DROP_SOURCES, (repository, column(sorted(map(hexa, sources))))
    return [links.link(row) for row in gone]


def blobs(repository: int, wanted: Collection[Digest]) -> Change[list[Blob]]:
    """Those of `wanted` that this repository holds as blobs."""
    found = yield _BLOBS, (column(map(hexa, wanted)), repository)
    return [
        Blob(digests.from_bytes(raw), touched, size, due, bool(linked))
        for raw, touched, size, due, linked in cast("list[tuple[bytes, int, int, int, int]]", found)
    ]


def drop_blobs(repository: int, gone: Collection[Digest], now: int) -> Change[None]:
    """This repository holds these no longer; their objects are candidates."""
    yield _DROP_BLOBS, (repository, column(sorted(map(hexa, gone))))
    yield from candidates.enqueue(
        (candidates.NOWHERE, candidates.OBJECT, digest, now) for digest in gone
    )
