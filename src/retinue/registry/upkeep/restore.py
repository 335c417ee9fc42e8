"""From a backup to a registry (storage rule 9)."""

import asyncio
import json
from dataclasses import dataclass, fields
from pathlib import Path

from retinue.errors import RetinueError
from retinue.files import Root, make_folders
from retinue.registry.catalog import migrate, snapshot
from retinue.registry.catalog.migrate import SchemaTooNew
from retinue.registry.catalog.opening import open_catalog, sqlite_path
from retinue.registry.catalog.snapshot import Copy
from retinue.registry.storage import copying, places
from retinue.registry.upkeep.backup import (
    CATALOG,
    FORMAT,
    NOTE,
    CopyDamaged,
    Note,
    TargetNotEmpty,
    verify_copy,
)

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


@dataclass(slots=True)
class RestoreReport:
    """What was copied; `missing` files were lost before the backup was made."""

    files: int = 0
    bytes: int = 0
    missing: int = 0


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
    verify: bool = False,
) -> RestoreReport:
    """Make a registry in `data`, which is new or empty, of the backup in `folder`.

    Uploads, leases and holds are forgotten, and collection begins `grace` microseconds from `now`.
    With PostgreSQL, restore the dump to `database` first. The catalog comes last, so that a restore
    that was interrupted leaves no registry. Raises NoBackup, SchemaTooNew, OtherDatabase,
    TargetNotEmpty, CopyDamaged, CatalogUnavailable, OSError.
    """
    note = await asyncio.to_thread(read_note, folder)
    path = sqlite_path(database)
    kind = "postgresql" if path is None else "sqlite"
    if note.database != kind:
        raise OtherDatabase(note.database, kind)
    await asyncio.to_thread(_require_empty, data, path)
    report = await asyncio.to_thread(_files, folder, data, path, verify)
    if path is not None:
        await asyncio.to_thread(_catalog, folder / CATALOG, path)
    catalog = await open_catalog(database)
    try:
        await catalog.commit(lambda: snapshot.settle(now + grace))
    finally:
        await catalog.close()
    return report


def _require_empty(data: Path, catalog: Path | None) -> None:
    if not copying.is_empty(data):
        raise TargetNotEmpty(data)
    if catalog is not None and catalog.exists():
        raise TargetNotEmpty(catalog)


def _files(folder: Path, data: Path, catalog: Path | None, verify: bool) -> RestoreReport:
    make_folders(data)
    report = RestoreReport()
    with Root(folder) as taking, Root(data) as giving:
        copying.make_places(giving)
        if catalog is None:
            _every_file(taking, giving, report)
        else:
            for page in snapshot.copies(folder / CATALOG):
                for one in page:
                    _file(taking, giving, one, verify, report)
        copying.sync_places(giving)
    return report


def _file(taking: Root, giving: Root, one: Copy, verify: bool, report: RestoreReport) -> None:
    size = copying.copy(taking, giving, one.location, link=False)
    if size is None:
        report.missing += 1
        return
    if size != one.size:
        raise CopyDamaged(one.location, f"{one.size} bytes long", f"{size}")
    if verify:
        verify_copy(giving, one.location, one.digest)
    report.files += 1
    report.bytes += size


def _every_file(taking: Root, giving: Root, report: RestoreReport) -> None:
    for fan in places.FANOUT:
        for name, _ in taking.entries(f"{places.BLOBS}/{fan}"):
            size = copying.copy(taking, giving, f"{fan}/{name}", link=False)
            report.files += 1
            report.bytes += size or 0


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
