"""Papers by subject: what lists need, derived from links of kind `subject`."""

from collections.abc import Collection
from typing import TypeAlias

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog.bulk import bulk, hexa, rows
from retinue.registry.catalog.db import Change, Sql

Pair: TypeAlias = tuple[Digest, Digest]
"""A paper and its subject."""

MAX_ENTRY = 8 * 1024
"""Characters of an entry that is kept in the list; a larger one is made from the manifest."""

# The sum of distinct powers of two is their union.
_DERIVE = bulk("""
    insert into paper (repository, subject, digest, listed, ways, artifact_type, entry)
    select l.repository, l.target, l.source,
        max(case when l.witness = l.source then 1 else 0 end),
        sum(distinct cast(1 as bigint) << cast(l.way - 1 as integer)),
        max(m.artifact_type), null
    from json_each(:pairs) e
    join link l on l.repository = :repository and l.source = unhex(e.value ->> 0)
        and l.kind = 3 and l.target = unhex(e.value ->> 1)
    left join manifest m on m.repository = l.repository and m.digest = l.source
    group by l.repository, l.target, l.source
    on conflict (repository, subject, digest) do update
    set listed = excluded.listed, ways = excluded.ways""")
_UNSTATED = bulk("""
    delete from paper where repository = :repository
    and (subject, digest) in (
        select unhex(e.value ->> 1), unhex(e.value ->> 0) from json_each(:pairs) e)
    and not exists (
        select 1 from link l where l.repository = paper.repository and l.source = paper.digest
        and l.kind = 3 and l.target = paper.subject)""")
_DESCRIBE = Sql(
    """
    update paper set artifact_type = :artifact_type, entry = :entry
    where repository = :repository and digest = :digest returning digest""",
    grows="subjects of a paper",
)


def _pairs(pairs: Collection[Pair]) -> str:
    return rows(sorted((hexa(paper), hexa(subject)) for paper, subject in pairs))


def derive(repository: int, pairs: Collection[Pair]) -> Change[None]:
    """Bring the rows of these pairs in line with links that were added."""
    if pairs:
        yield _DERIVE, (_pairs(pairs), repository)


def withdraw(repository: int, pairs: Collection[Pair]) -> Change[None]:
    """The same after links were removed."""
    if pairs:
        yield _UNSTATED, (repository, _pairs(pairs))
        yield from derive(repository, pairs)


def describe(
    repository: int, paper: Digest, artifact_type: str | None, entry: str | None
) -> Change[bool]:
    """What lists say about a paper whose bytes have arrived; False when none lists it."""
    cells = (artifact_type, entry, repository, digests.to_bytes(paper))
    return bool((yield _DESCRIBE, cells))
