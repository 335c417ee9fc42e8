"""Manifests of a repository."""

from collections.abc import Collection, Mapping
from typing import cast

from msgspec import Struct

from retinue.errors import RetinueError
from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.registry.catalog import links
from retinue.registry.catalog.bulk import bulk, column, hexa
from retinue.registry.catalog.db import Change, Sql

# Nothing is put while it, or what it is about, is being deleted.
_PUT = Sql("""
    insert into manifest (repository, digest, object, media_type, artifact_type, links_version,
        pushed, pushed_by, touched)
    select :repository, :digest, :object, :media_type, :artifact_type, :version,
        :now, :principal, :now
    where not exists (
        select 1 from deletion d
        where d.repository = :repository and d.subject in (:digest, :subject))
    on conflict (repository, digest) do nothing returning id""")
_KNOWN = Sql("""
    select m.media_type, m.links_version, coalesce((
        select 1 from deletion d where d.repository = m.repository and d.subject = :subject), 0)
    from manifest m where m.repository = :repository and m.digest = :digest""")
_AGAIN = Sql("""
    update manifest set touched = :now, object = :object, artifact_type = :artifact_type,
        links_version = :version
    where repository = :repository and digest = :digest""")
# Blobs may also name manifests: /blobs/<digest> serves those too (storage rule 11).
_HELD = bulk("""
    select b.digest, b.size, 0 from json_each(:wanted) e
    join repo_blob b on b.repository = :repository and b.digest = unhex(e.value ->> 0)
    join object o on o.id = b.object where o.quarantined is null
    union all
    select m.digest, o.size, 1 from json_each(:wanted) e
    join manifest m on m.repository = :repository and m.digest = unhex(e.value ->> 0)
    join object o on o.id = m.object where o.quarantined is null""")
_STATE = bulk("""
    select m.digest, m.locked from json_each(:wanted) e
    join manifest m on m.repository = :repository and m.digest = unhex(e.value ->> 0)""")
_DROP = bulk("""
    delete from manifest where repository = :repository
    and digest in (select unhex(e.value ->> 0) from json_each(:gone) e)""")
_DROP_USAGE = bulk("""
    delete from usage where repository = :repository
    and digest in (select unhex(e.value ->> 0) from json_each(:gone) e)""")
_TOUCH = bulk("""
    update manifest set touched = :now where repository = :repository
    and digest in (select unhex(e.value ->> 0) from json_each(:digests) e)""")
_TOUCH_ONE = Sql("""
    update manifest set touched = :now where repository = :repository and digest = :digest""")
# Papers of papers, down to the last, and the indexes at their fallback tags: what a deletion may
# have to take along. Names of sha512 digests are cut to 64 characters.
_RETINUE = Sql(
    """
    with recursive kept (digest) as (
        select :digest
        union
        select m.digest from kept k
        join link l on l.repository = :repository and l.target = k.digest and l.kind = 3
        join manifest m on m.repository = l.repository and m.digest = l.source
        union
        select t.digest from kept k
        join tag t on t.repository = :repository
        and t.name = case when substr(k.digest, 1, 1) = x'01' then 'sha256-' else 'sha512-' end
            || substr(lower(hex(substr(k.digest, 2))), 1, 64)
    ) select digest from kept limit :most""",
    postgres="""
    with recursive kept (digest) as (
        select cast(:digest as bytea)
        union
        select x.digest from kept k cross join lateral (
            select m.digest from link l
            join manifest m on m.repository = l.repository and m.digest = l.source
            where l.repository = :repository and l.target = k.digest and l.kind = 3
            union all
            select t.digest from tag t where t.repository = :repository
            and t.name = case when get_byte(k.digest, 0) = 1 then 'sha256-' else 'sha512-' end
                || substr(encode(substr(k.digest, 2), 'hex'), 1, 64)
        ) x
    ) select digest from kept limit :most""",
    grows="papers of a manifest",
)


class BeingDeleted(RetinueError):
    """What is pushed, or what it is about, was deleted a moment ago, and its papers still go."""

    def __init__(self, repository: int) -> None:
        super().__init__("its deletion is under way")
        self.repository = repository


class Known(Struct, frozen=True):
    """What the catalog said of a manifest that is pushed again."""

    media_type: str
    links_version: int


class Held(Struct, frozen=True):
    """What a repository has under a digest; `size` in bytes."""

    size: int
    is_manifest: bool


def put(
    repository: int, manifest: Manifest, object_id: int, by: str, now: int
) -> Change[Known | None]:
    """Record a manifest, or that it was pushed again; None when it is new here.

    Otherwise returns what was known of it. Its row then says that its links are of our version,
    so the caller writes them when they were not. Raises BeingDeleted.
    """
    digest = digests.to_bytes(manifest.digest)
    subject = digest if manifest.subject is None else digests.to_bytes(manifest.subject.digest)
    described = (manifest.media_type, manifest.artifact_type, links.VERSION)
    if (yield _PUT, (repository, digest, object_id, *described, now, by, subject)):
        return None
    found = yield _KNOWN, (subject, repository, digest)
    if not found or found[0][2]:
        raise BeingDeleted(repository)
    yield _AGAIN, (now, object_id, *described[1:], repository, digest)
    return Known(*cast("tuple[str, int]", found[0][:2]))


def held(repository: int, wanted: Collection[Digest]) -> Change[Mapping[Digest, Held]]:
    """What this repository has of these, as blob or manifest; a manifest wins."""
    if not wanted:
        return {}
    found = yield _HELD, (column(map(hexa, wanted)), repository)
    result: dict[Digest, Held] = {}
    for raw, size, is_manifest in cast("list[tuple[bytes, int, int]]", found):
        digest = digests.from_bytes(raw)
        if is_manifest or digest not in result:
            result[digest] = Held(size, bool(is_manifest))
    return result


def present(repository: int, wanted: Collection[Digest]) -> Change[Mapping[Digest, bool]]:
    """Which of these manifests are here, and whether they are locked."""
    if not wanted:
        return {}
    found = yield _STATE, (column(map(hexa, wanted)), repository)
    return {digests.from_bytes(cast("bytes", raw)): bool(locked) for raw, locked in found}


def retinue(repository: int, digest: Digest, most: int) -> Change[set[Digest]]:
    """A manifest with its present papers, and theirs, by any witness; and fallback indexes.

    At most `most`, which then may be some of them.
    """
    found = yield _RETINUE, (digests.to_bytes(digest), repository, most)
    return {digests.from_bytes(cast("bytes", raw)) for (raw,) in found}


def drop(repository: int, gone: Collection[Digest]) -> Change[None]:
    cells = column(sorted(map(hexa, gone)))
    yield _DROP_USAGE, (repository, cells)
    yield _DROP, (repository, cells)


def touch(repository: int, manifests: Collection[Digest], now: int) -> Change[None]:
    """Their grace counts from now."""
    if len(manifests) == 1:
        [digest] = manifests
        yield _TOUCH_ONE, (now, repository, digests.to_bytes(digest))
    elif manifests:
        yield _TOUCH, (now, repository, column(sorted(map(hexa, manifests))))
