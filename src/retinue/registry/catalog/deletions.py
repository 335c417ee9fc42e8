"""Subjects that were deleted or collected and had more papers than one transaction takes: no list
has these any more, and they go in steps (ADR 19)."""

from collections.abc import Collection
from typing import NamedTuple, cast

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog.bulk import bulk, column, hexa, rows
from retinue.registry.catalog.db import Change, Sql
from retinue.registry.catalog.papers import Pair

_BEGIN = bulk("""
    insert into deletion (repository, subject, before)
    select :repository, unhex(e.value ->> 0), cast(e.value ->> 1 as bigint) from json_each(:rows) e where true
    on conflict (repository, subject) do nothing""")
_FIRST = Sql("""
    select id, subject, before from deletion where repository = :repository and subject > :after
    order by subject limit 1""")
_UNDER_WAY = bulk("""
    select d.id, d.subject, d.before from json_each(:subjects) e
    join deletion d on d.repository = :repository and d.subject = unhex(e.value ->> 0)""")
_PAPERS = Sql("""
    select distinct source from link
    where repository = :repository and target = :subject and kind = 3 and source > :after
    order by source limit :most""")
_WITH_PAPERS = bulk("""
    select unhex(e.value ->> 0) from json_each(:wanted) e where coalesce((
        select 1 from link l where l.repository = :repository
        and l.target = unhex(e.value ->> 0) and l.kind = 3 limit 1), 0) = 1""")
_LEFT = bulk("""
    select l.source, l.target from json_each(:subjects) e
    join link l on l.repository = :repository and l.target = unhex(e.value ->> 0) and l.kind = 3
    join manifest m on m.repository = l.repository and m.digest = l.source limit :most""")
# What a tag said of it before it was moved on is no reason to go.
_IDLE = bulk("""
    select m.digest from json_each(:papers) e
    join manifest m on m.repository = :repository and m.digest = unhex(e.value ->> 0)
    join candidate c on c.repository = m.repository and c.kind = 1 and c.digest = m.digest
    where m.touched <= :before and c.due <= :now and coalesce((
        select 1 from link l where l.repository = m.repository and l.source = m.digest
        and l.kind = 3 and l.target = :subject and l.witness = l.source limit 1), (
        select 1 from tag t where t.repository = m.repository and t.digest = m.digest
        limit 1), 0) = 1""")
_END = Sql("delete from deletion where id = :id")
REPOSITORIES = Sql(
    """
    select repository from deletion where repository > :after
    group by repository order by repository limit :most""",
    grows="deletions under way",
)


class Deletion(NamedTuple):
    """One subject that is gone. `id` is never used again.

    `before`: collection took it, and what was used after that time is not to go; None: everything
    goes that only the subject kept.
    """

    id: int
    subject: Digest
    before: int | None


def _deletion(row: tuple[object, ...]) -> Deletion:
    number, raw, before = cast("tuple[int, bytes, int | None]", row)
    return Deletion(number, digests.from_bytes(raw), before)


def begin(repository: int, subjects: Collection[Digest], before: int | None = None) -> Change[None]:
    """Their papers go in steps from now on. `before`: see Deletion."""
    if subjects:
        cells = rows((each, before) for each in sorted(map(hexa, subjects)))
        yield _BEGIN, (repository, cells)


def first(repository: int) -> Change[Deletion | None]:
    """One of those that are under way in a repository."""
    found = yield _FIRST, (repository, b"")
    return _deletion(found[0]) if found else None


def under_way(repository: int, subjects: Collection[Digest]) -> Change[list[Deletion]]:
    """Those of `subjects` whose papers are not all gone yet."""
    if not subjects:
        return []
    found = yield _UNDER_WAY, (column(sorted(map(hexa, subjects))), repository)
    return [_deletion(row) for row in found]


def papers(repository: int, subject: Digest, after: bytes, most: int) -> Change[list[Digest]]:
    """What is said to be about a subject, after one; whether it is there or not."""
    found = yield _PAPERS, (repository, digests.to_bytes(subject), after, most)
    return [digests.from_bytes(cast("bytes", raw)) for (raw,) in found]


def with_papers(repository: int, wanted: Collection[Digest]) -> Change[set[Digest]]:
    """Those of `wanted` that something is about."""
    found = yield _WITH_PAPERS, (column(sorted(map(hexa, wanted))), repository)
    return {digests.from_bytes(cast("bytes", raw)) for (raw,) in found}


def left(repository: int, subjects: Collection[Digest], most: int) -> Change[list[Pair]]:
    """Present papers of these subjects, which need not be there; at most `most`."""
    found = yield _LEFT, (column(sorted(map(hexa, subjects))), repository, most)
    return [
        (digests.from_bytes(p), digests.from_bytes(s))
        for p, s in cast("list[tuple[bytes, bytes]]", found)
    ]


def idle(
    repository: int, deletion: Deletion, those: Collection[Digest], now: int
) -> Change[set[Digest]]:
    """Those of a subject's papers that are to go with it, unless something else keeps them."""
    if deletion.before is None or not those:
        return set(those)
    subject = digests.to_bytes(deletion.subject)
    found = yield (
        _IDLE,
        (column(sorted(map(hexa, those))), repository, deletion.before, now, subject),
    )
    return {digests.from_bytes(cast("bytes", raw)) for (raw,) in found}


def end(deletion: Deletion) -> Change[None]:
    """Nothing that was about it is left that would go with it."""
    yield _END, (deletion.id,)
