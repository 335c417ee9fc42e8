"""Looking writes nothing (storage.md, rule 21): no schema, no folder, no file, on both databases."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from builders import CONFIG, LAYER, image
from retinue.oci import names
from retinue.registry.catalog import migrate
from retinue.registry.catalog.db import Catalog, CatalogUnavailable
from retinue.registry.catalog.migrate import ForeignData
from retinue.registry.catalog.opening import (
    look_at_catalog,
    migrate_now,
    open_as_it_is,
    open_catalog,
    sqlite_path,
)
from retinue.registry.catalog.readonly import CatalogReadOnly
from retinue.registry.storage.files import FileBlobStore
from retinue.registry.upkeep.backup import Source, backup
from retinue.registry.upkeep.checks import Checks
from retinue.registry.upkeep.fsck import fsck
from retinue.registry.upkeep.restore import restore
from world import HOUR, MANIFESTS, World, statement

NUMBERS = statement("select number from migration order by number")
SEEN = statement("select count(*) from hold where name = 'seen'")
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
async def world(catalog: Catalog, tmp_path: Path) -> AsyncIterator[World]:
    blobs = FileBlobStore(tmp_path / "data", durable=False, threads=2)
    made = World(catalog, blobs)
    await made.contents(CONFIG, LAYER, names.EMPTY_JSON)
    await made.push(image(), "v1")
    await made.large(b"x" * 5000)
    yield made
    await blobs.close()


async def look_over(database: str, data: Path, world: World) -> None:
    """All that looks: fsck, and the reads of a backup."""
    catalog = await look_at_catalog(database)
    blobs = FileBlobStore(data, looking=True, threads=1)
    try:
        report = await fsck(catalog, blobs, Checks(world.now, HOUR, HOUR, hash_files=True))
        assert report.findings == []
        assert (report.manifests, report.files) == (1, 1)
        assert await catalog.rows(MANIFESTS) == await world.catalog.rows(MANIFESTS)
        with pytest.raises(CatalogReadOnly):
            await catalog.commit(lambda: iter(()))  # type: ignore[arg-type,return-value]
    finally:
        await blobs.close()
        await catalog.close()


def files(folder: Path) -> list[tuple[str, int, int]]:
    found = [(str(each), each.lstat()) for each in sorted(folder.rglob("*"))]
    return [(name, status.st_size, status.st_mtime_ns) for name, status in found]


async def test_21_looking_beside_a_server_changes_nothing(
    world: World, database: str, tmp_path: Path
) -> None:
    before = files(tmp_path)
    await look_over(database, tmp_path / "data", world)
    assert files(tmp_path) == before


@on_sqlite
async def test_21_looking_where_nothing_serves_leaves_no_file(
    world: World, database: str, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    made = await backed_up(world, database, tmp_path)
    shutil.copy(made / "catalog.db", copy / "catalog.db")
    migrate_now(f"sqlite:{copy}/catalog.db")
    before = files(copy)
    await look_over(f"sqlite:{copy}/catalog.db", tmp_path / "data", world)
    assert files(copy) == before


async def backed_up(world: World, database: str, tmp_path: Path) -> Path:
    target = tmp_path / "made"
    source = Source(world.catalog, database, tmp_path / "data")
    await backup(source, target, clock=lambda: world.now, link=False)
    return target


@pytest.mark.parametrize("number", range(1, len(migrate.known())))
async def test_21_an_older_schema_is_read_as_it_is(
    tmp_path: Path, number: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = f"sqlite:{tmp_path}/old.db"
    known = migrate.known()
    with monkeypatch.context() as before:
        before.setattr(migrate, "known", lambda: known[:number])
        migrate_now(database)
    for opening in (look_at_catalog, open_as_it_is):
        catalog = await opening(database)
        blobs = FileBlobStore(tmp_path / "data", looking=False, threads=1)
        try:
            assert (await fsck(catalog, blobs, Checks(HOUR, HOUR, HOUR))).findings == []
            source = Source(catalog, database, tmp_path / "data")
            await backup(source, tmp_path / opening.__name__, clock=lambda: HOUR)
            assert [row[0] for row in await catalog.rows(NUMBERS)] == list(range(1, number + 1))
        finally:
            await blobs.close()
            await catalog.close()


async def test_21_what_is_no_catalog_stays_none(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(ForeignData):
        await look_at_catalog(f"sqlite:{tmp_path}/empty.db")
    assert (tmp_path / "empty.db").stat().st_size == 0


# ---- on a file system where nothing can be written


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[Path]:
    """A folder, and what it is seen as at `<name>-sealed` once `seal` was called."""
    folder, seen = tmp_path / "store", tmp_path / "store-sealed"
    folder.mkdir()
    seen.mkdir()
    yield folder
    subprocess.run(["umount", seen], capture_output=True, check=False)


def seal(folder: Path) -> Path:
    seen = folder.with_name(f"{folder.name}-sealed")
    for words in (["--bind", str(folder), str(seen)], ["-o", "remount,ro,bind", str(seen)]):
        if subprocess.run(["mount", *words], capture_output=True, check=False).returncode:
            pytest.skip("mounting needs privileges")
    return seen


async def stored(world: World, database: str, tmp_path: Path, folder: Path) -> None:
    """The registry of `world` in `folder`, and nothing that serves it."""
    made = await backed_up(world, database, tmp_path)
    shutil.rmtree(folder)
    await restore(made, folder, f"sqlite:{folder}/catalog.db", now=world.now, grace=HOUR)


@on_sqlite
async def test_21_looking_and_backup_work_where_nothing_can_be_written(
    world: World, database: str, tmp_path: Path, sealed: Path
) -> None:
    await stored(world, database, tmp_path, sealed)
    seen = seal(sealed)
    before = files(sealed)
    await look_over(f"sqlite:{seen}/catalog.db", seen, world)
    catalog = await open_as_it_is(f"sqlite:{seen}/catalog.db")
    try:
        source = Source(catalog, f"sqlite:{seen}/catalog.db", seen)
        report = await backup(source, tmp_path / "saved", clock=lambda: world.now, verify=True)
    finally:
        await catalog.close()
    assert (report.files, report.whole) == (1, True)
    assert files(sealed) == before
    fresh = tmp_path / "fresh"
    assert (
        await restore(tmp_path / "saved", fresh, f"sqlite:{fresh}/catalog.db", now=1, grace=1)
    ).whole


@on_sqlite
async def test_21_a_wal_is_read_too_where_nothing_can_be_written(
    world: World, database: str, tmp_path: Path, sealed: Path
) -> None:
    await world.execute("insert into hold (name, until) values ('seen', 1)")
    path = sqlite_path(database)
    assert path is not None
    for each in path.parent.glob(f"{path.name}*"):
        shutil.copy(each, sealed / each.name)
    assert (sealed / f"{path.name}-wal").stat().st_size > 0
    seen = seal(sealed)
    catalog = await look_at_catalog(f"sqlite:{seen}/{path.name}")
    try:
        assert await catalog.rows(SEEN) == [(1,)]
    finally:
        await catalog.close()


@on_sqlite
async def test_21_what_is_written_elsewhere_meanwhile_is_noticed(
    world: World, database: str, tmp_path: Path, sealed: Path
) -> None:
    await stored(world, database, tmp_path, sealed)
    catalog = await look_at_catalog(f"sqlite:{seal(sealed)}/catalog.db")
    writer = World(await open_catalog(f"sqlite:{sealed}/catalog.db"), world.blobs)
    try:
        assert catalog.gone() is None
        await writer.execute("insert into hold (name, until) values ('seen', 1)")
        with pytest.raises(CatalogUnavailable):
            await catalog.rows(MANIFESTS)
        assert catalog.gone() is not None
    finally:
        await catalog.close()
        await writer.catalog.close()
