"""Tags: what a name points at, since when, and who moved it last."""

from collections.abc import Collection, Mapping
from typing import cast

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog.bulk import bulk, column, hexa
from retinue.registry.catalog.db import Change, Sql

_CREATE = Sql("""
    insert into tag (repository, name, digest, created, updated, updated_by)
    values (:repository, :name, :digest, :now, :now, :principal)
    on conflict (repository, name) do nothing returning name""")
# Who moves a tag holds its row until the end, so that two movers see each other's links.
_CURRENT = Sql(
    "select digest from tag where repository = :repository and name = :name",
    postgres="""select digest from tag where repository = :repository and name = :name
    for update""",
)
_MOVE = Sql("""
    update tag set digest = :digest, updated = :now, updated_by = :principal
    where repository = :repository and name = :name""")
_DROP = Sql("""
    delete from tag where repository = :repository and name = :name returning digest""")
_DROP_ALL = bulk(
    """
    delete from tag where repository = :repository
    and digest in (select unhex(e.value ->> 0) from json_each(:digests) e)
    returning name""",
    grows="tags of a manifest",
)
_OF = bulk(
    """
    select t.name, t.digest from json_each(:digests) e
    join tag t on t.repository = :repository and t.digest = unhex(e.value ->> 0)""",
    grows="tags of a manifest",
)
_LISTS = Sql("""
    select 1 from tag t cross join link l
    where t.repository = :repository and t.name = :name
    and l.repository = t.repository and l.source = t.digest and l.kind = 2 and l.target = :paper""")


def put(
    repository: int, names: Collection[str], digest: Digest, by: str, now: int
) -> Change[Mapping[str, Digest | None]]:
    """Point tags at a digest; returns where each pointed before, None for a new one."""
    raw = digests.to_bytes(digest)
    before: dict[str, Digest | None] = {}
    for name in sorted(names):  # few: at most as many as one push may set
        before[name] = yield from _put(repository, name, raw, by, now)
    return before


def _put(repository: int, name: str, raw: bytes, by: str, now: int) -> Change[Digest | None]:
    found = yield _CURRENT, (repository, name)
    if not found:
        if (yield _CREATE, (repository, name, raw, now, by)):
            return None
        found = yield _CURRENT, (repository, name)  # somebody else made it meanwhile
    old = cast("bytes", found[0][0])
    if old != raw:
        yield _MOVE, (raw, now, by, repository, name)
    return digests.from_bytes(old)


def drop(repository: int, name: str) -> Change[Digest | None]:
    """Remove a tag; returns what it pointed at, None when there was none."""
    gone = yield _DROP, (repository, name)
    return digests.from_bytes(cast("bytes", gone[0][0])) if gone else None


def drop_of(repository: int, manifests: Collection[Digest]) -> Change[list[str]]:
    """Remove every tag of these manifests; returns the names."""
    gone = yield _DROP_ALL, (repository, column(sorted(map(hexa, manifests))))
    return [cast("str", name) for (name,) in gone]


def of(repository: int, manifests: Collection[Digest]) -> Change[list[tuple[str, Digest]]]:
    """The tags of these manifests."""
    if not manifests:
        return []
    found = yield _OF, (column(map(hexa, manifests)), repository)
    return [(cast("str", n), digests.from_bytes(cast("bytes", raw))) for n, raw in found]


def lists(repository: int, name: str, paper: Digest) -> Change[bool]:
    """Whether the index that a tag points at has this as a child."""
    return bool((yield _LISTS, (repository, name, digests.to_bytes(paper))))
