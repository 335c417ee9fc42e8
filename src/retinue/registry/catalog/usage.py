"""When manifests were pulled last, and how often."""

from collections.abc import Iterable

from retinue.registry.catalog.bulk import bulk, rows
from retinue.registry.catalog.db import Change

# The upsert adds; a manifest that was deleted meanwhile gets no row.
_ADD = bulk("""
    insert into usage (repository, digest, last_pull, pulls)
    select m.repository, m.digest, cast(e.value ->> 2 as bigint), cast(e.value ->> 3 as bigint)
    from json_each(:rows) e
    join manifest m on m.repository = cast(e.value ->> 0 as bigint)
        and m.digest = unhex(e.value ->> 1)
    where true
    on conflict (repository, digest) do update
    set pulls = usage.pulls + excluded.pulls,
        last_pull = case when excluded.last_pull > usage.last_pull
            then excluded.last_pull else usage.last_pull end""")


def add(pulls: Iterable[tuple[int, bytes, int, int]]) -> Change[None]:
    """Repository, digest, time of the last pull, how many; each pair once, in order."""
    cells = rows((repository, raw.hex(), last, count) for repository, raw, last, count in pulls)
    yield _ADD, (cells,)
