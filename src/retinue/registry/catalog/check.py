"""What fsck, the scrubber and an upgrade read of the catalog, and what they put right."""

from collections.abc import Collection, Iterable
from typing import cast

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel
from retinue.oci.manifest import Manifest
from retinue.registry.catalog import candidates, collect, links, locks, manifests, objects, papers
from retinue.registry.catalog import repositories as repos
from retinue.registry.catalog.bulk import bulk, column, hexa, rows
from retinue.registry.catalog.db import Change, Row, Sql

ALL_OBJECTS = Sql("""
    select id, digest, size, location, quarantined from object
    where id > :after order by id limit :most""")
ALL_MANIFESTS = Sql("""
    select id, repository, digest, media_type, artifact_type, links_version from manifest
    where id > :after order by id limit :most""")
OLD_MANIFESTS = Sql("""
    select id, repository, digest, media_type, artifact_type, links_version from manifest
    where links_version <> :version and id > :after order by id limit :most""")
ALL_REPOSITORIES = Sql("""
    select id, name from repository where id > :after order by id limit :most""")
ALL_TAGS = Sql("""
    select t.name, t.digest, m.media_type from tag t
    left join manifest m on m.repository = t.repository and m.digest = t.digest
    where t.repository = :repository and t.name > :after order by t.name limit :most""")
# A digest begins with 1 or 2, the name of a tag with 0: the first `:after` is one byte 1.
# Each half is read in the order of its index, and no further than a page.
UNWITNESSED = Sql(
    """
    select x.witness from (
        select distinct l.source as witness from link l
        where l.repository = :repository and l.witness = l.source and l.source > :after
        and not exists (
            select 1 from manifest m where m.repository = l.repository and m.digest = l.source)
        order by l.source limit :most) x
    union
    select y.witness from (
        select distinct l.witness from link l
        where l.repository = :repository and l.witness <> l.source and l.witness > :after
        and not exists (
            select 1 from manifest m where m.repository = l.repository and m.digest = l.witness)
        order by l.witness limit :most) y
    order by witness limit :most""",
    grows="links",
)
# First the rest of one subject, then those after it: in the order of the index, so that no page
# reads what those before it have read. (With `kind = 3` SQLite sees no such order, and sorts.)
_SUBJECTS = Sql(
    """
    select l.target, l.source, max(case when l.witness = l.source then 1 else 0 end),
        sum(distinct cast(1 as bigint) << cast(l.way - 1 as integer))
    from (
        select z.target, z.source from (
            select x.target, x.source from (
                select distinct target, source from link
                where repository = :repository and target = :target and kind = 3
                and source > :source order by source limit :most) x
            union all
            select y.target, y.source from (
                select distinct target, kind, source from link
                where repository = :repository and target > :target and kind >= 3
                order by target, kind, source limit :most) y) z
        order by z.target, z.source limit :most) page
    cross join link l
    where l.repository = :repository and l.target = page.target and l.source = page.source
    and l.kind = 3
    group by l.target, l.source order by l.target, l.source""",
    grows="links",
)
_PAPERS = Sql("""
    select subject, digest, listed, ways from paper
    where repository = :repository and (subject, digest) > (:subject, :digest)
    order by subject, digest limit :most""")
_PAPERS_OF = bulk("""
    select p.subject, p.digest, p.listed, p.ways from json_each(:pairs) e
    join paper p on p.repository = :repository and p.subject = unhex(e.value ->> 0)
    and p.digest = unhex(e.value ->> 1)""")
_SUBJECTS_OF = bulk("""
    select distinct l.target, l.source from json_each(:pairs) e
    join link l on l.repository = :repository and l.source = unhex(e.value ->> 1)
    and l.kind = 3 and l.target = unhex(e.value ->> 0)""")
_STATED = bulk(
    """
    select l.source, l.kind, l.target, l.witness, l.way, l.size from json_each(:witnesses) e
    join link l on l.repository = :repository and l.source = unhex(e.value ->> 0)
    and l.witness = l.source
    union all
    select l.source, l.kind, l.target, l.witness, l.way, l.size from json_each(:witnesses) e
    join link l on l.repository = :repository and l.witness = unhex(e.value ->> 0)
    and l.witness <> l.source""",
    grows="what is stated",
)
_INLINE = bulk("""
    select o.id, b.body from json_each(:ids) e
    join object o on o.id = cast(e.value ->> 0 as bigint)
    join object_bytes b on b.object = o.id""")
_STILL = Sql("""
    select 1 from object where id = :id and coalesce(location, '') = :location
    and quarantined is null and (location is not null
        or (select b.body from object_bytes b where b.object = object.id)
            is not distinct from :seen)""")
_LOST = Sql("""
    update object set quarantined = coalesce(quarantined, :now) where id = :id""")
_RESIZE = Sql("""
    update object set size = :size
    where id = :id and coalesce(location, '') = :location returning id""")
_UNPLACE = Sql("""
    update object set location = null, quarantined = :now
    where id = :id and location = :location returning id""")
_SCRUBBED = Sql("""
    update object set scrubbed = :now where id = :id and coalesce(location, '') = :location""")
_OLDEST = Sql("""
    select id, digest, size, location, quarantined from object
    where location is not null and scrubbed < :before
    order by scrubbed limit :most""")
_VERSION = Sql("""
    update manifest set links_version = :version, artifact_type = :artifact_type
    where repository = :repository and digest = :digest""")
_UNRELIABLE = Sql("""
    update manifest set links_version = 0 where repository = :repository and digest = :digest""")


class StoredObject(Struct, frozen=True):
    """A row of object. `location` is None when its bytes are a row."""

    id: int
    digest: Digest
    size: int
    location: str | None
    quarantined: bool


class StoredManifest(Struct, frozen=True):
    """A row of manifest."""

    repository: int
    digest: Digest
    media_type: str
    artifact_type: str | None
    links_version: int


class PaperRow(Struct, frozen=True):
    """A paper as lists know it; `ways` is a bit mask (see links.ways)."""

    paper: Digest
    subject: Digest
    listed: int
    ways: int


def _digest(value: object) -> Digest:
    return digests.from_bytes(cast("bytes", value))


def stored_objects(page: Iterable[Row]) -> list[StoredObject]:
    """What can be named of a page: other rows are told by their shape (catalog/consistency.py)."""
    found = []
    for row in page:
        number, raw, size, location, quarantined = cast(
            "tuple[int, bytes, int, str | None, int | None]", row
        )
        digest = digests.read_bytes(raw)
        if digest is not None:
            found.append(StoredObject(number, digest, size, location, quarantined is not None))
    return found


def stored_manifests(page: Iterable[Row]) -> list[StoredManifest]:
    """The same of manifests."""
    found = []
    for row in page:
        _, repository, raw, media_type, artifact_type, version = cast(
            "tuple[int, int, bytes, str, str | None, int]", row
        )
        digest = digests.read_bytes(raw)
        if digest is not None:
            made = StoredManifest(repository, digest, media_type, artifact_type, version)
            found.append(made)
    return found


def repository(row: Row) -> tuple[int, str]:
    """Id and name."""
    return cast("tuple[int, str]", row)


def tags(page: Iterable[Row]) -> list[tuple[str, Digest, str | None]]:
    """Name, digest, and the media type of the manifest, None when there is none."""
    found = []
    for name, raw, media_type in cast("Iterable[tuple[str, bytes, str | None]]", page):
        digest = digests.read_bytes(raw)
        if digest is not None:
            found.append((name, digest, media_type))
    return found


def inline(ids: Collection[int]) -> Change[dict[int, bytes]]:
    """Bytes that are rows, quarantined or not."""
    found = yield _INLINE, (rows([each] for each in ids),)
    return cast("dict[int, bytes]", dict(cast("list[tuple[int, bytes]]", found)))


def still(one: StoredObject, seen: bytes | None) -> Change[bool]:
    """Whether the object is as it was read: the same copy (`seen`: its bytes in a row), served."""
    return bool((yield _STILL, (one.id, one.location or "", seen)))


def resize(one: StoredObject, size: int) -> Change[bool]:
    """Its bytes are right, and this many; False when it was replaced or deleted meanwhile."""
    return bool((yield _RESIZE, (size, one.id, one.location or "")))


def unplace(one: StoredObject, now: int) -> Change[bool]:
    """It is not where its row says, and what is there may be another's: the row forgets it."""
    return bool((yield _UNPLACE, (now, one.id, one.location)))


def condemn(lost: Iterable[StoredObject], now: int) -> Change[None]:
    """Serve none of these: for a catalog that nobody else uses."""
    for one in lost:
        yield _LOST, (now, one.id)


def scrubbed(one: StoredObject, now: int) -> Change[None]:
    yield _SCRUBBED, (now, one.id, one.location or "")


def oldest(before: int, most: int) -> Change[list[StoredObject]]:
    """Files that were checked longest ago, and not since `before`."""
    return stored_objects((yield _OLDEST, (before, most)))


def stated(repository: int, witnesses: Collection[Digest | str]) -> Change[list[Link]]:
    """All that these manifests and tags state."""
    cells = column(sorted(links.witness(each).hex() for each in witnesses))
    found = yield _STATED, (cells, repository)
    return [links.link(row) for row in found if links.readable(row)]


def _rows_of_papers(found: Iterable[Row]) -> list[PaperRow]:
    pairs = []
    for subject, paper, listed, ways in cast("Iterable[tuple[bytes, bytes, int, int]]", found):
        about, digest = digests.read_bytes(subject), digests.read_bytes(paper)
        if about is not None and digest is not None:
            pairs.append(PaperRow(digest, about, listed, ways))
    return pairs


def derived(
    repository: int, after: PaperRow | None, most: int
) -> Change[tuple[list[PaperRow], list[PaperRow]]]:
    """A page of rows as links say they should be, and those of them that are there."""
    found = yield _SUBJECTS, (repository, *_place(after), most)
    wanted = _rows_of_papers(found)
    cells = rows((hexa(one.subject), hexa(one.paper)) for one in wanted)
    have = yield _PAPERS_OF, (cells, repository)
    return wanted, _rows_of_papers(have)


def listed(
    repository: int, after: PaperRow | None, most: int
) -> Change[tuple[list[PaperRow], list[PaperRow]]]:
    """A page of rows of lists, and those of them that no link states."""
    have = _rows_of_papers((yield _PAPERS, (repository, *_place(after), most)))
    cells = rows((hexa(one.subject), hexa(one.paper)) for one in have)
    found = yield _SUBJECTS_OF, (cells, repository)
    said = {(_digest(target), _digest(source)) for target, source in found}
    return have, [one for one in have if (one.subject, one.paper) not in said]


def _place(after: PaperRow | None) -> tuple[bytes, bytes]:
    if after is None:
        return b"", b""
    return digests.to_bytes(after.subject), digests.to_bytes(after.paper)


# ---- putting right


def rewrite(
    repository: int, manifest: Manifest, entry: str | None, due: int, *, now: int
) -> Change[bool]:
    """Replace what a manifest states by what its bytes say; False when it is gone by now.

    What loses a link here becomes a candidate, due then; its grace starts now.
    """
    yield from locks.exclusive(repository)
    if not (yield from manifests.present(repository, [manifest.digest])):
        return False
    before = yield from links.drop_witnesses(repository, [manifest.digest])
    yield from links.insert(repository, manifest.links)
    yield (
        _VERSION,
        (links.VERSION, manifest.artifact_type, repository, digests.to_bytes(manifest.digest)),
    )
    yield from _papers_follow(repository, [*before, *manifest.links])
    yield from papers.describe(repository, manifest.digest, manifest.artifact_type, entry)
    yield from _let_go(repository, set(before) - set(manifest.links), due, now)
    yield from repos.papers_changed(repository)
    return True


def add(repository: int, name: str, digest: Digest, missing: Collection[Link]) -> Change[bool]:
    """Links that a tag states and that were not there; False when it was moved by now."""
    yield from locks.exclusive(repository)
    if not (yield from names(repository, name, digest)):
        return False
    yield from links.insert(repository, missing)
    yield from _papers_follow(repository, missing)
    yield from repos.papers_changed(repository)
    return True


def names(repository: int, name: str, digest: Digest) -> Change[bool]:
    """Whether a tag is still where it was."""
    return (yield from collect.current(repository, [name])).get(name) == digest


def drop_unwitnessed(repository: int, witness: Digest, due: int, *, now: int) -> Change[bool]:
    """Links of a manifest that is not there; False when it is by now."""
    yield from locks.exclusive(repository)
    if (yield from manifests.present(repository, [witness])):
        return False
    gone = yield from links.drop_witnesses(repository, [witness])
    yield from _papers_follow(repository, gone)
    yield from _let_go(repository, gone, due, now)
    yield from repos.papers_changed(repository)
    return True


def relist(repository: int, pairs: Collection[tuple[Digest, Digest]]) -> Change[None]:
    """Bring lists in line with links, for these pairs of paper and subject."""
    yield from locks.exclusive(repository)
    yield from papers.withdraw(repository, pairs)
    yield from repos.papers_changed(repository)


def distrust(repository: int, digest: Digest) -> Change[None]:
    """Nothing is collected in this repository while its links cannot be read (rule 16)."""
    yield _UNRELIABLE, (repository, digests.to_bytes(digest))


def _papers_follow(repository: int, touched: Collection[Link]) -> Change[None]:
    pairs = {(link.source, link.target) for link in touched if link.rel is Rel.SUBJECT}
    yield from papers.withdraw(repository, pairs)


def _let_go(repository: int, gone: Collection[Link], due: int, now: int) -> Change[None]:
    kept = {link.source if link.rel is Rel.SUBJECT else link.target for link in gone}
    yield from manifests.touch(repository, kept, now)
    yield from objects.touch_blobs(repository, kept, now)
    kinds = (candidates.MANIFEST, candidates.BLOB)
    yield from candidates.enqueue((repository, kind, each, due) for kind in kinds for each in kept)
