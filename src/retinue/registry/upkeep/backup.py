"""A backup while the registry serves (storage rule 9).

    TARGET/catalog.db    the catalog at one moment (SQLite only)
    TARGET/blobs/…       every file that this catalog names
    TARGET/backup.json   written last: a folder without it is no backup

On PostgreSQL the database is backed up by its own tools, and *before* this runs, by no more than the
trash delay: whatever that dump names is then still an object or in the trash, and all of both is
copied here.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from retinue.errors import RetinueError
from retinue.files import Root, make_folders
from retinue.registry.catalog import check, meta, snapshot, trash
from retinue.registry.catalog.db import Catalog, Freeing
from retinue.registry.catalog.opening import sqlite_path
from retinue.registry.catalog.readonly import CatalogReadOnly
from retinue.registry.catalog.snapshot import Copy
from retinue.registry.storage import copying, places
from retinue.registry.storage.copying import CopyDamaged
from retinue.registry.upkeep.datareport import DataReport
from retinue.registry.upkeep.soundness import unsound_rows

FORMAT = 1
NOTE = "backup.json"
CATALOG = "catalog.db"
SECOND = 1_000_000
HOLD = 600 * SECOND
"""How long a hold lasts that nobody renews: a backup that dies stops no collection for ever."""


class TargetNotEmpty(RetinueError):
    """A backup, or a restored registry, gets a folder of its own."""

    def __init__(self, target: Path) -> None:
        super().__init__(f"{target} is not empty; name a folder that is new or empty")
        self.target = target


class HoldLost(RetinueError):
    """The backup could not renew its hold in time: files may have been removed meanwhile."""

    def __init__(self, target: Path) -> None:
        super().__init__(
            f"the backup in {target} took too long between two files and is incomplete; "
            "remove it and begin again"
        )
        self.target = target


@dataclass(frozen=True, slots=True)
class Source:
    """What is backed up. `data`: the folder of the blob store; `database` as `--database`."""

    catalog: Catalog
    database: str
    data: Path


@dataclass(frozen=True, slots=True)
class Note:
    """The content of backup.json. `made` in microseconds; `bytes` and `files` count blobs."""

    format: int
    database: str
    schema: int
    min_code: int
    links_version: int
    made: int
    files: int
    bytes: int


async def backup(
    source: Source,
    target: Path,
    *,
    clock: Callable[[], int],
    link: bool = True,
    verify: bool = False,
) -> DataReport:
    """Make one in `target`, which is new or empty.

    `link`: files get a second name where the file system can, instead of a copy. `verify`: hash
    everything. What is damaged is reported, and is no part of the backup. Raises TargetNotEmpty,
    HoldLost, CatalogUnavailable, OSError.
    """
    if not await asyncio.to_thread(copying.is_empty, target):
        raise TargetNotEmpty(target)
    await asyncio.to_thread(make_folders, target)
    hold = Hold(source.catalog, f"backup-{secrets.token_hex(8)}", target, clock)
    await hold.take()
    try:
        with Root(source.data) as taking, Root(target) as giving:
            await asyncio.to_thread(copying.make_places, giving)
            work = Copying(taking, giving, link, verify, DataReport())
            await _copy_all(source, target, hold, work)
            if verify:
                await _check_rows(source.catalog, hold, work.report)
            await _finish(source, hold, work)
    finally:
        await hold.release()
    return work.report


@dataclass(frozen=True, slots=True)
class Copying:
    """From where to where, how, and what was done so far."""

    taking: Root
    giving: Root
    link: bool
    verify: bool
    report: DataReport


class Hold:
    """No file is removed while this is renewed in time.

    A catalog that is only looked at lies where nothing can be removed either: there it is none.
    """

    def __init__(self, catalog: Catalog, name: str, target: Path, clock: Callable[[], int]) -> None:
        self._catalog = catalog
        self._name = name
        self._target = target
        self._clock = clock
        self._renewed = 0
        self._needed = True

    async def take(self) -> None:
        self._renewed = self._clock()
        try:
            await self._catalog.commit(partial(trash.hold, self._name, self._renewed + HOLD))
        except CatalogReadOnly:
            self._needed = False

    async def renew(self, *, now_or_never: bool = False) -> None:
        """Called often; raises HoldLost when it ran out."""
        now = self._clock()
        if not self._needed or (now - self._renewed < HOLD // 4 and not now_or_never):
            return
        if not await self._catalog.commit(partial(trash.renew, self._name, now, now + HOLD)):
            raise HoldLost(self._target)
        self._renewed = now

    def now(self) -> int:
        return self._clock()

    async def release(self) -> None:
        if self._needed:
            await self._catalog.commit(Freeing(trash.release, self._name, self._clock()))


async def _copy_all(source: Source, target: Path, hold: Hold, work: Copying) -> None:
    path = sqlite_path(source.database)
    if path is None:
        pages = _all_copies(source.catalog)
    else:
        await _held(hold, asyncio.to_thread(snapshot.vacuum_into, path, target / CATALOG))
        await asyncio.to_thread(copying.sync_file, work.giving, CATALOG)
        pages = _named_by(target / CATALOG)
    async for page in pages:
        for one in page:
            await _held(hold, asyncio.to_thread(_copy, work, one))


async def _held(hold: Hold, doing: Coroutine[object, object, None]) -> None:
    """Whatever takes long does not outlast the hold."""
    task = asyncio.ensure_future(doing)
    while not (await asyncio.wait({task}, timeout=HOLD / SECOND / 8))[0]:
        await hold.renew()
    await task
    await hold.renew()


async def _named_by(catalog: Path) -> AsyncIterator[Sequence[Copy]]:
    pages = snapshot.copies(catalog)
    while page := await asyncio.to_thread(next, pages, None):
        yield page


async def _all_copies(catalog: Catalog) -> AsyncIterator[Sequence[Copy]]:
    """Objects before trash: what leaves the one meanwhile is met in the other."""
    async for page in catalog.pages(snapshot.LIVE_COPIES, 0):
        yield [snapshot.copy_of(row) for row in page]
    async for page in catalog.pages(snapshot.TRASHED, ""):
        locations = filter(places.is_location, map(snapshot.trashed, page))
        yield [Copy(each, None, places.digest_of(each)) for each in locations]


async def _check_rows(catalog: Catalog, hold: Hold, report: DataReport) -> None:
    """Bytes that are rows are in the copy of the database as they are."""
    async for page in catalog.pages(check.ALL_OBJECTS, 0):
        sound = [one for one in check.stored_objects(page) if not one.quarantined]
        async for one, problem in unsound_rows(catalog, sound):
            report.spoilt(one.digest, "", problem.what)
        await hold.renew()


def _copy(work: Copying, one: Copy) -> None:
    report, digest = work.report, one.digest
    try:
        size = copying.copy(
            work.taking,
            work.giving,
            one.location,
            link=work.link,
            size=one.size,
            digest=digest if work.verify else None,
        )
    except CopyDamaged as damage:
        report.spoilt(digest, one.location, damage.reason)
        return
    if size is not None:
        report.copied(size)
    elif one.size is not None:  # of the trash, a file may be removed already
        report.lacks(digest, one.location)


async def _finish(source: Source, hold: Hold, work: Copying) -> None:
    await _held(hold, asyncio.to_thread(copying.sync_places, work.giving))
    kind = "postgresql" if sqlite_path(source.database) is None else "sqlite"
    note = Note(
        FORMAT,
        kind,
        await meta.schema(source.catalog),
        await meta.min_code(source.catalog),
        await meta.links_version(source.catalog),
        hold.now(),
        work.report.files,
        work.report.bytes,
    )
    await hold.renew(now_or_never=True)
    text = json.dumps(asdict(note), indent=1).encode() + b"\n"
    await asyncio.to_thread(work.giving.write_atomically, NOTE, text)
