"""Subjects that were deleted and had more papers than one transaction takes: no list has these any
more, and they go in steps (ADR 19)."""

from collections.abc import Collection
from typing import NamedTuple, cast

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog.bulk import bulk, column, hexa
from retinue.registry.catalog.db import Change, Sql

_BEGIN = bulk("""
    insert into deletion (repository, subject)
    select :repository, unhex(e.value ->> 0) from json_each(:subjects) e where true
    on conflict (repository, subject) do nothing""")
_FIRST = Sql("""
    select id, subject from deletion where repository = :repository and subject > :after
    order by subject limit 1""")
_UNDER_WAY = bulk("""
    select d.id, d.subject from json_each(:subjects) e
    join deletion d on d.repository = :repository and d.subject = unhex(e.value ->> 0)""")
_PAPERS = Sql("""
    select distinct source from link
    where repository = :repository and target = :subject and kind = 3 and source > :after
    order by source limit :most""")
_WITH_PAPERS = bulk("""
    select unhex(e.value ->> 0) from json_each(:wanted) e where coalesce((
        select 1 from link l where l.repository = :repository
        and l.target = unhex(e.value ->> 0) and l.kind = 3 limit 1), 0) = 1""")
_END = Sql("delete from deletion where id = :id")
REPOSITORIES = Sql(
    """
    select repository from deletion where repository > :after
    group by repository order by repository limit :most""",
    grows="deletions under way",
)


class Deletion(NamedTuple):
    """One subject that is gone. `id` is never used again."""

    id: int
    subject: Digest


def _deletion(row: tuple[object, ...]) -> Deletion:
    number, raw = cast("tuple[int, bytes]", row)
    return Deletion(number, digests.from_bytes(raw))


def begin(repository: int, subjects: Collection[Digest]) -> Change[None]:
    if subjects:
        yield _BEGIN, (repository, column(sorted(map(hexa, subjects))))


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


def end(deletion: Deletion) -> Change[None]:
    """Nothing that was about it is left that would go with it."""
    yield _END, (deletion.id,)
