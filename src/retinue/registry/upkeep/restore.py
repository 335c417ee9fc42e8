"""From a backup to a registry (storage rule 9)."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path

from retinue.errors import RetinueError
from retinue.files import Root, make_folders
from retinue.oci.digest import Digest
from retinue.registry.catalog import check, meta, migrate, snapshot
from retinue.registry.catalog.check import StoredObject
from retinue.registry.catalog.db import Catalog
from retinue.registry.catalog.migrate import SchemaTooNew
from retinue.registry.catalog.opening import open_catalog, sqlite_path
from retinue.registry.storage import copying, identity, places, unfinished
from retinue.registry.storage.copying import CopyDamaged
from retinue.registry.storage.unfinished import require_finished
from retinue.registry.upkeep.backup import CATALOG, FORMAT, NOTE, Note, TargetNotEmpty
from retinue.registry.upkeep.datareport import DataReport
from retinue.registry.upkeep.soundness import unsound_rows

MAX_NOTE = 64 * 1024


class NoBackup(RetinueError):
    """The folder holds no complete backup."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"{folder} is no complete backup: {reason}")
        self.folder = folder
        self.reason = reason


class OtherDatabase(RetinueError):
    """A backup of a registry on one kind of database is restored to another."""

    def __init__(self, made: str, wanted: str) -> None:
        super().__init__(
            f"the backup is of a registry on {made}, and cannot be restored to {wanted}"
        )
        self.made = made
        self.wanted = wanted


def read_note(folder: Path) -> Note:
    """What a backup says of itself. Raises NoBackup, and SchemaTooNew when it is too new for us."""
    try:
        with Root(folder) as root:
            found = json.loads(root.read(NOTE, MAX_NOTE))
    except (OSError, ValueError) as error:
        raise NoBackup(folder, f"{NOTE}: {error}") from error
    try:
        note = Note(**{each.name: found[each.name] for each in fields(Note)})
    except (KeyError, TypeError) as error:
        raise NoBackup(folder, f"{NOTE} lacks {error}") from error
    code = len(migrate.known())
    if note.format > FORMAT or note.min_code > code:
        raise SchemaTooNew(note.schema, note.min_code, code)
    return note


async def restore(
    folder: Path,
    data: Path,
    database: str,
    *,
    now: int,
    grace: int,
    entropy: Callable[[int], bytes] = os.urandom,
) -> DataReport:
    """Make a registry in `data`, which is new or empty, of the backup in `folder`.

    It has an identity of its own: its catalog is not one for the folder that was backed up.

    All bytes are hashed while they are copied. What is damaged or missing is reported, and is
    quarantined in the new catalog: it is not served, and a push brings it back. Uploads, leases
    and holds are forgotten, and collection begins `grace` microseconds from `now`.
    With PostgreSQL, restore the dump to `database` first. Until the end the folder is marked, and
    nothing serves it. Raises NoBackup, SchemaTooNew, OtherDatabase, TargetNotEmpty,
    CatalogUnavailable, OSError.
    """
    note = await asyncio.to_thread(read_note, folder)
    path = sqlite_path(database)
    kind = "postgresql" if path is None else "sqlite"
    if note.database != kind:
        raise OtherDatabase(note.database, kind)
    await asyncio.to_thread(_require_empty, data, path)
    work = Restoring(folder, data, entropy(identity.BYTES).hex())
    await asyncio.to_thread(work.files, path)
    if path is not None:
        await asyncio.to_thread(_catalog, folder / CATALOG, path)
    catalog = await open_catalog(database)
    try:
        await work.condemn(catalog, now)
        await catalog.commit(lambda: meta.renew_identity(work.identity))
        await catalog.commit(lambda: snapshot.settle(now + grace))
    finally:
        await catalog.close()
    await asyncio.to_thread(work.finish)
    return work.report


def _require_empty(data: Path, catalog: Path | None) -> None:
    require_finished(data)
    if not copying.is_empty(data):
        raise TargetNotEmpty(data)
    if catalog is not None and catalog.exists():
        raise TargetNotEmpty(catalog)


class Restoring:
    """Files from `folder` to `data`, and what the report says of them. Blocks, but for `condemn`."""

    def __init__(self, folder: Path, data: Path, identity: str) -> None:
        self.report = DataReport()
        self.identity = identity
        self._folder = folder
        self._data = data
        self._damaged: set[str] = set()

    def files(self, catalog: Path | None) -> None:
        """All that the catalog names; without one (PostgreSQL), all that there are."""
        make_folders(self._data)
        with Root(self._folder) as taking, Root(self._data) as giving:
            unfinished.begin(giving)
            identity.mark(giving, self.identity)
            copying.make_places(giving)
            for location, digest, size in _named(taking, catalog):
                self._file(taking, giving, location, digest, size)
            copying.sync_places(giving)

    def _file(
        self, taking: Root, giving: Root, location: str, digest: Digest, size: int | None
    ) -> None:
        try:
            copied = copying.copy(taking, giving, location, size=size, digest=digest)
        except CopyDamaged as damage:
            self._damaged.add(location)
            self.report.spoilt(digest, location, damage.reason)
        else:
            if copied is not None:
                self.report.copied(copied)

    async def condemn(self, catalog: Catalog, now: int) -> None:
        """Quarantine what the catalog names and this restore does not have."""
        with Root(self._data) as root:
            async for page in catalog.pages(check.ALL_OBJECTS, 0):
                objects = check.stored_objects(page)
                sound = [one for one in objects if not one.quarantined]
                lost = [one for one in objects if not _there(root, one)]
                for one in lost:
                    if one.location not in self._damaged:
                        self.report.lacks(one.digest, one.location or "")
                async for one, problem in unsound_rows(catalog, sound):
                    self.report.spoilt(one.digest, "", problem.what)
                    lost.append(one)
                if lost:
                    await catalog.commit(partial(check.condemn, lost, now))

    def finish(self) -> None:
        with Root(self._data) as root:
            unfinished.end(root)


def _there(root: Root, one: StoredObject) -> bool:
    """Files that were not whole were not copied."""
    if one.location is None:
        return True
    if not places.is_location(one.location):
        return False
    status = root.status(places.blob_name(one.location))
    return status is not None and status.st_size == one.size


def _named(taking: Root, catalog: Path | None) -> Iterator[tuple[str, Digest, int | None]]:
    """Locations, what their bytes should hash to, and their sizes where these are known."""
    if catalog is not None:
        for page in snapshot.copies(taking.path / CATALOG):
            for one in page:
                yield one.location, one.digest, one.size
        return
    for fan in places.FANOUT:
        for name, _ in taking.entries(f"{places.BLOBS}/{fan}"):
            location = f"{fan}/{name}"
            if places.is_location(location):
                yield location, places.digest_of(location), None


def _catalog(source: Path, target: Path) -> None:
    """Under its own name only when it is whole and on the disk."""
    make_folders(target.parent)
    passing = f".{target.name}.restoring"
    with Root(target.parent) as root:
        root.unlink(passing)
        snapshot.vacuum_into(source, root.path / passing)
        copying.sync_file(root, passing)
        root.link(passing, target.name)
        root.unlink(passing)
        root.sync_folder()
