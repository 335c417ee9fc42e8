"""The queue of candidates: what is due, what is looked at again, and what was missed."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias, cast

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog import candidates, meta
from retinue.registry.catalog.bulk import bulk, column, hexa, rows
from retinue.registry.catalog.db import Change, Sql

Place: TypeAlias = tuple[int, int, bytes]
"""Where a page of candidates ended: due, repository, digest."""

START: Place = (-1, -1, b"")

_DUE = Sql("""
    select repository, digest, due from candidate
    where due <= :now and kind = :kind
    and (due, repository, digest) > (:due, :repository, :digest)
    order by due, repository, digest limit :most""")
_BELOW = bulk(
    """
    select c.digest from json_each(:digests) e
    join link l on l.repository = :repository and l.target = unhex(e.value ->> 0) and l.kind = 3
    join candidate c on c.repository = l.repository and c.kind = 1 and c.digest = l.source
    where c.due <= :now
    union
    select c.digest from json_each(:digests) e
    join link l on l.repository = :repository and l.source = unhex(e.value ->> 0) and l.kind = 2
    join candidate c on c.repository = l.repository and c.kind = 1 and c.digest = l.target
    where c.due <= :now""",
    grows="papers of a manifest",
)
# `+due`: found by digest, not among all that is due.
_DROP = bulk("""
    delete from candidate where repository = :repository and kind = :kind and +due <= :now
    and digest in (select unhex(e.value ->> 0) from json_each(:digests) e)""")
_POSTPONE = bulk("""
    insert into candidate (repository, kind, digest, due)
    select :repository, :kind, unhex(e.value ->> 0), cast(e.value ->> 1 as bigint)
    from json_each(:rows) e where true
    on conflict (repository, kind, digest) do update set due = excluded.due
    where excluded.due > candidate.due""")
_NAMES = bulk("""
    select r.id, r.name from json_each(:ids) e
    join repository r on r.id = cast(e.value ->> 0 as bigint)""")

_PAGE_OF_MANIFESTS = Sql("""
    select id, repository, digest from manifest where id > :after order by id limit :most""")
_PAGE_OF_BLOBS = Sql("""
    select repository, digest from repo_blob
    where (repository, digest) > (:repository, :digest)
    order by repository, digest limit :most""")
_PAGE_OF_OBJECTS = Sql("""
    select id, digest from object where id > :after order by id limit :most""")
_LOOSE_MANIFESTS = bulk("""
    select e.value ->> 0, e.value ->> 1 from json_each(:rows) e where not exists (
        select 1 from tag t where t.repository = cast(e.value ->> 0 as bigint)
        and t.digest = unhex(e.value ->> 1) and t.name < 'sha256-')
    and not exists (
        select 1 from tag t where t.repository = cast(e.value ->> 0 as bigint)
        and t.digest = unhex(e.value ->> 1) and t.name >= 'sha256.' and t.name < 'sha512-')
    and not exists (
        select 1 from tag t where t.repository = cast(e.value ->> 0 as bigint)
        and t.digest = unhex(e.value ->> 1) and t.name >= 'sha512.')""")
_LOOSE_BLOBS = bulk("""
    select e.value ->> 0, e.value ->> 1 from json_each(:rows) e where not exists (
        select 1 from link l where l.repository = cast(e.value ->> 0 as bigint)
        and l.target = unhex(e.value ->> 1) and l.kind in (1, 2))""")
_LOOSE_OBJECTS = bulk("""
    select '0', e.value ->> 1 from json_each(:rows) e
    join object o on o.digest = unhex(e.value ->> 1)
    where not exists (select 1 from repo_blob b where b.object = o.id)
    and not exists (select 1 from manifest m where m.object = o.id)""")


class Page(Struct, frozen=True):
    """Due candidates by repository, and where to go on."""

    found: Mapping[int, tuple[Digest, ...]]
    end: Place | None


def due(now: int, kind: int, after: Place, most: int) -> Change[Page]:
    """A page of candidates of one kind whose time has come, those that waited longest first."""
    by_repository: dict[int, list[Digest]] = {}
    end: Place | None = None
    got = yield _DUE, (now, kind, *after, most)
    for repository, raw, when in cast("list[tuple[int, bytes, int]]", got):
        by_repository.setdefault(repository, []).append(digests.from_bytes(raw))
        end = (when, repository, raw)
    return Page({key: tuple(those) for key, those in by_repository.items()}, end)


def below(repository: int, those: Collection[Digest], now: int) -> Change[set[Digest]]:
    """Manifests whose time has come among the papers and parts of these."""
    if not those:
        return set()
    found = yield _BELOW, (column(sorted(map(hexa, those))), repository, now)
    return {digests.from_bytes(raw) for (raw,) in cast("list[tuple[bytes]]", found)}


def drop(repository: int, kind: int, those: Collection[Digest], now: int) -> Change[None]:
    """They are dealt with, unless somebody has postponed them meanwhile."""
    if those:
        yield _DROP, (repository, kind, now, column(sorted(map(hexa, those))))


def postpone(repository: int, kind: int, when: Mapping[Digest, int]) -> Change[None]:
    """Look at these again at their time; a later one wins."""
    if when:
        cells = rows((hexa(digest), when[digest]) for digest in sorted(when))
        yield _POSTPONE, (repository, kind, cells)


def names(repositories: Iterable[int]) -> Change[Mapping[int, str]]:
    found = yield _NAMES, (rows([each] for each in repositories),)
    return dict(cast("list[tuple[int, str]]", found))


# ---- the sweep


class Swept(Struct, frozen=True):
    """How many were enqueued, and whether every table was gone through to its end."""

    enqueued: int
    done: bool


def sweep(now: int, most: int) -> Change[Swept]:
    """Look at the next `most` rows of each table, and enqueue what nothing obvious keeps.

    Every change enqueues what it lets go of ("Collection" 1): this finds what a change of
    settings, a restore or a fault has left behind.
    """
    found = yield meta.READ, ("sweep",)
    at = json.loads(str(found[0][0])) if found else {}
    enqueued = 0
    for name, step in (("manifest", _manifests), ("blob", _blobs), ("object", _objects)):
        at[name], loose = yield from step(at.get(name), most)
        yield from candidates.enqueue((*one, now) for one in loose)
        enqueued += len(loose)
    yield meta.WRITE, ("sweep", json.dumps(at))
    return Swept(enqueued, all(place is None for place in at.values()))


Loose: TypeAlias = list[tuple[int, int, Digest]]


def _loose(kind: int, found: Iterable[tuple[object, ...]]) -> Loose:
    return [
        (int(str(repository)), kind, digests.from_bytes(bytes.fromhex(cast("str", hexes))))
        for repository, hexes in found
    ]


def _manifests(after: int | None, most: int) -> Change[tuple[int | None, Loose]]:
    page = yield _PAGE_OF_MANIFESTS, (after or 0, most)
    cells = rows((str(r), cast("bytes", raw).hex()) for _, r, raw in page)
    loose = _loose(candidates.MANIFEST, (yield _LOOSE_MANIFESTS, (cells,)))
    return (cast("int", page[-1][0]) if len(page) == most else None), loose


def _blobs(after: list[str] | None, most: int) -> Change[tuple[list[str] | None, Loose]]:
    repository, raw = (int(after[0]), bytes.fromhex(after[1])) if after else (0, b"")
    page = yield _PAGE_OF_BLOBS, (repository, raw, most)
    pairs = [[str(r), cast("bytes", raw).hex()] for r, raw in page]
    loose = _loose(candidates.BLOB, (yield _LOOSE_BLOBS, (rows(pairs),)))
    return (pairs[-1] if len(page) == most else None), loose


def _objects(after: int | None, most: int) -> Change[tuple[int | None, Loose]]:
    page = yield _PAGE_OF_OBJECTS, (after or 0, most)
    cells = rows(("0", cast("bytes", raw).hex()) for _, raw in page)
    loose = _loose(candidates.OBJECT, (yield _LOOSE_OBJECTS, (cells,)))
    return (cast("int", page[-1][0]) if len(page) == most else None), loose
