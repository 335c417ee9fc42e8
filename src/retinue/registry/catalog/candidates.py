"""What collection has to look at, and when (storage.md, "Collection" 1)."""

from collections.abc import Iterable

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog.bulk import bulk, hexa, rows
from retinue.registry.catalog.db import Change, Sql

MANIFEST = 1
BLOB = 2
OBJECT = 3
NOWHERE = 0
"""The repository of a candidate of kind OBJECT."""

_ENQUEUE = bulk("""
    insert into candidate (repository, kind, digest, due)
    select cast(e.value ->> 0 as bigint), cast(e.value ->> 1 as bigint),
        unhex(e.value ->> 2), cast(e.value ->> 3 as bigint)
    from json_each(:rows) e where true
    on conflict (repository, kind, digest) do update set due = excluded.due
    where excluded.due > candidate.due""")
# The same for one: most pushes enqueue one, and reading JSON would be half of the cost.
_ENQUEUE_ONE = Sql("""
    insert into candidate (repository, kind, digest, due)
    values (:repository, :kind, :digest, :due)
    on conflict (repository, kind, digest) do update set due = excluded.due
    where excluded.due > candidate.due""")


def enqueue(wanted: Iterable[tuple[int, int, Digest, int]]) -> Change[None]:
    """Candidates as (repository, kind, digest, due); a later `due` wins."""
    due: dict[tuple[int, int, Digest], int] = {}
    for repository, kind, digest, when in wanted:
        key = (repository, kind, digest)
        due[key] = max(when, due.get(key, when))
    if len(due) == 1:
        [((repository, kind, digest), when)] = due.items()
        yield _ENQUEUE_ONE, (repository, kind, digests.to_bytes(digest), when)
    elif due:
        cells = sorted((r, kind, hexa(digest), when) for (r, kind, digest), when in due.items())
        yield _ENQUEUE, (rows(cells),)
