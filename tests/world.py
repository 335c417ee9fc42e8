"""A registry without its HTTP: real catalog, real blob store, real use cases, a clock by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.registry.catalog import candidates, locks, objects
from retinue.registry.catalog import repositories as repos
from retinue.registry.catalog.db import ALL, Catalog, Change, Sql
from retinue.registry.content.delete import delete_blob, delete_manifest
from retinue.registry.content.push import Push, push
from retinue.registry.content.tags import delete_tag
from retinue.registry.content.times import Times
from retinue.registry.gc.execute import Settings, collect_once
from retinue.registry.gc.plan import SECOND, Terms
from retinue.registry.gc.report import Report
from retinue.registry.storage.blobstore import BlobStore

HOUR = 3600 * SECOND
DAY = 24 * HOUR
NAME = "team/app"


def statement(text: str) -> Sql:
    """A statement that is no part of the program (the program's are all checked)."""
    sql = Sql(text, scans=True)
    ALL.remove(sql)
    return sql


MANIFESTS = statement("select digest from manifest order by digest")
BLOBS = statement("select digest from repo_blob order by digest")
OBJECTS = statement("select digest from object order by digest")
TAGS = statement("select name from tag order by name")
TRASH = statement("select location from trash order by location")
CANDIDATES = statement("select kind, digest, due from candidate order by kind, digest")
PAPERS = statement("select subject, digest from paper order by subject, digest")
LOCATIONS = statement("select location from object where location is not null order by location")
DANGLING = statement(
    """select l.source, l.target from link l where l.kind in (1, 2)
    and not exists (select 1 from manifest m
        where m.repository = l.repository and m.digest = l.target)
    and not exists (select 1 from repo_blob b
        where b.repository = l.repository and b.digest = l.target)"""
)
LOOSE_LINKS = statement(
    """select l.source from link l where not exists (
        select 1 from manifest m where m.repository = l.repository and m.digest = l.source)"""
)


@dataclass(slots=True)
class World:
    """`now` moves only by hand. `terms` are those of collection."""

    catalog: Catalog
    blobs: BlobStore
    now: int = 1_000 * DAY
    terms: Terms = field(default_factory=Terms)
    delay: int = DAY
    numbers: Any = field(default_factory=lambda: count(1))

    @property
    def times(self) -> Times:
        return Times(self.now, self.terms.grace, self.terms.paper_grace, self.delay, 7 * DAY)

    def order(self, manifest: Manifest, *tags: str, name: str = NAME) -> Push:
        return Push(name, manifest, None, "tester", self.times, tuple(tags))

    async def push(self, manifest: Manifest, *tags: str, name: str = NAME) -> Digest:
        """The manifest, after all of its blobs that `builders` makes."""
        await self.catalog.commit(lambda: push(self.order(manifest, *tags, name=name)))
        return manifest.digest

    async def blob(self, data: bytes, name: str = NAME) -> Digest:
        digest = digests.of(data)
        await self.catalog.commit(lambda: hold_inline(name, data, self.times))
        return digest

    async def contents(self, *contents: bytes, name: str = NAME) -> None:
        for data in contents:
            await self.blob(data, name)

    async def large(self, data: bytes, name: str = NAME) -> tuple[Digest, str]:
        """A blob whose bytes are a file; returns its location too."""
        digest = digests.of(data)
        upload = await self.blobs.upload(f"session{next(self.numbers)}")
        await upload.append([data])
        kept = await upload.keep(digest)
        await upload.close()
        await self.catalog.commit(
            lambda: hold_file(name, digest, kept.location, len(data), self.times)
        )
        return digest, kept.location

    async def untag(self, tag: str, name: str = NAME) -> None:
        await self.catalog.commit(lambda: delete_tag(name, tag, self.times))

    async def delete(self, digest: Digest, name: str = NAME) -> None:
        await self.catalog.commit(lambda: delete_manifest(name, digest, self.times))

    async def delete_blob(self, digest: Digest, name: str = NAME) -> None:
        await self.catalog.commit(lambda: delete_blob(name, digest, self.times))

    async def collect(self, *, dry_run: bool = False) -> Report:
        settings = Settings(self.terms, self.delay, self.now)
        return await collect_once(self.catalog, self.blobs, settings, dry_run=dry_run)

    async def collect_all(self, days: int = 30) -> None:
        """Collect every day, until all that is dead is gone."""
        for _ in range(days):
            self.now += DAY
            await self.collect()

    async def digests(self, sql: Sql) -> set[Digest]:
        found = await self.catalog.rows(sql)
        return {digests.from_bytes(cast("bytes", row[0])) for row in found}

    async def manifests(self) -> set[Digest]:
        return await self.digests(MANIFESTS)

    async def tags(self) -> list[object]:
        return [row[0] for row in await self.catalog.rows(TAGS)]

    async def stored(self) -> set[str]:
        return {location async for location, _, _ in self.blobs.stored()}

    async def execute(self, text: str, *args: object) -> Sequence[Any]:
        """Something that no use case does."""
        sql = statement(text)

        def change() -> Change[Sequence[Any]]:
            return (yield sql, args)

        return await self.catalog.commit(change)

    async def sound(self) -> None:
        """No manifest lacks a part, and no link starts at nothing."""
        assert await self.catalog.rows(DANGLING) == []
        assert await self.catalog.rows(LOOSE_LINKS) == []


def hold_inline(name: str, data: bytes, times: Times) -> Change[None]:
    """What pushing a small blob does."""
    digest = digests.of(data)
    repository = yield from repos.ensure(name)
    yield from locks.shared(repository)
    trash = objects.Trash(times.now, times.trash_delay)
    number = yield from objects.put_inline(digest, data, trash)
    yield from objects.hold(repository, digest, number, len(data), times.now)
    yield from candidates.enqueue([(repository, candidates.BLOB, digest, times.due)])


def hold_file(name: str, digest: Digest, location: str, size: int, times: Times) -> Change[None]:
    """What pushing a large blob does at its end."""
    repository = yield from repos.ensure(name)
    yield from locks.shared(repository)
    trash = objects.Trash(times.now, times.trash_delay)
    placed = yield from objects.put_file(digest, location, size, trash)
    assert isinstance(placed, objects.Placed)
    yield from objects.hold(repository, digest, placed.object, size, times.now)
    yield from candidates.enqueue([(repository, candidates.BLOB, digest, times.due)])
