"""Backup while serving, and restore (storage.md, rules 9 and 10)."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from builders import CONFIG, LAYER, artifact, image
from databases import PostgresServer  # noqa: TC001
from retinue.oci import names
from retinue.registry.catalog import meta, snapshot, trash
from retinue.registry.catalog.db import Catalog
from retinue.registry.catalog.migrate import SchemaTooNew
from retinue.registry.catalog.opening import open_catalog, sqlite_path
from retinue.registry.storage.files import FileBlobStore
from retinue.registry.storage.unfinished import RestoreUnfinished, require_finished
from retinue.registry.upkeep.backup import (
    HOLD,
    HoldLost,
    Source,
    TargetNotEmpty,
    backup,
)
from retinue.registry.upkeep.checks import Checks
from retinue.registry.upkeep.datareport import DataReport
from retinue.registry.upkeep.fsck import fsck
from retinue.registry.upkeep.restore import NoBackup, OtherDatabase, restore
from world import CANDIDATES, DAY, HOUR, LOCATIONS, MANIFESTS, World, statement

COUNTS = statement(
    """select (select count(*) from upload), (select count(*) from lease),
    (select count(*) from hold), (select count(*) from trash)"""
)
HOLDS = statement("select name from hold")


@pytest.fixture
async def world(catalog: Catalog, tmp_path: Path) -> AsyncIterator[World]:
    blobs = FileBlobStore(tmp_path / "data", durable=False, threads=2)
    made = World(catalog, blobs)
    await made.contents(CONFIG, LAYER, names.EMPTY_JSON)
    yield made
    await blobs.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture
def fresh(tmp_path: Path) -> tuple[Path, str]:
    """Where to restore to: data folder and SQLite database."""
    data = tmp_path / "restored"
    return data, f"sqlite:{data}/catalog.db"


on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)


async def fill(world: World) -> None:
    subject = image()
    await world.push(subject, "v1")
    await world.push(artifact(subject))
    await world.large(b"x" * 5000)
    await world.large(b"y" * 3000)


async def back_up(world: World, database: str, target: Path, **more: Any) -> DataReport:
    assert isinstance(world.blobs, FileBlobStore)
    source = Source(world.catalog, database, world.blobs._root.path)
    return await backup(source, target, clock=lambda: world.now, **more)


async def bring_back(world: World, target: Path, where: tuple[Path, str]) -> DataReport:
    return await restore(target, *where, now=world.now, grace=world.terms.grace)


@pytest.mark.parametrize("link", [False, True])
@on_sqlite
async def test_9_what_was_backed_up_is_restored(
    world: World, database: str, target: Path, fresh: tuple[Path, str], link: bool
) -> None:
    await fill(world)
    report = await back_up(world, database, target, link=link, verify=True)
    assert (report.files, report.bytes, report.missing) == (2, 8000, 0)
    assert await world.catalog.rows(HOLDS) == []
    restored = await bring_back(world, target, fresh)
    assert (restored.files, restored.bytes, restored.missing) == (2, 8000, 0)
    catalog, blobs = await open_catalog(fresh[1]), FileBlobStore(fresh[0], durable=False)
    try:
        assert await catalog.rows(MANIFESTS) == await world.catalog.rows(MANIFESTS)
        assert await meta.secret(catalog) == await meta.secret(world.catalog)
        checks = Checks(world.now, DAY, DAY, hash_files=True)
        assert (await fsck(catalog, blobs, checks)).findings == []
    finally:
        await blobs.close()
        await catalog.close()


@on_sqlite
async def test_9_uploads_leases_holds_and_trash_are_forgotten(
    world: World, database: str, target: Path, fresh: tuple[Path, str]
) -> None:
    await fill(world)
    await world.execute(
        "insert into upload (id, repository, principal, location, size, algorithm, reached,"
        " boot, lease, leased_until, state, expires) select 'id', id, '', 'p', 5, 'sha256',"
        " :reached, '', '', 0, 1, 7 from repository",
        b"",
    )
    await world.execute("insert into lease (name, owner, until) values ('gc', 'me', 7)")
    await world.execute("insert into trash (location, due) values ('ab/cd', 7)")
    await back_up(world, database, target)
    await bring_back(world, target, fresh)
    catalog = await open_catalog(fresh[1])
    try:
        assert await catalog.rows(COUNTS) == [(0, 0, 0, 0)]
        due = [when for _, _, when in await catalog.rows(CANDIDATES)]
        assert due
        assert all(isinstance(when, int) and when >= world.now + DAY for when in due)
    finally:
        await catalog.close()


@on_sqlite
async def test_9_files_that_are_collected_meanwhile_are_in_the_backup(
    world: World, database: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, location = await world.large(b"x" * 5000)
    vacuum = snapshot.vacuum_into
    loop = asyncio.get_running_loop()

    async def everything_goes() -> None:
        world.now += DAY
        await world.collect()
        world.now += 2 * DAY - HOUR
        await world.catalog.commit(lambda: trash.hold("another", world.now + DAY))
        await world.collect()

    def then_collect(source: Path, into: Path) -> None:
        vacuum(source, into)
        asyncio.run_coroutine_threadsafe(everything_goes(), loop).result()
        world.now -= 3 * DAY - HOUR

    monkeypatch.setattr(snapshot, "vacuum_into", then_collect)
    report = await back_up(world, database, target)
    assert report.files == 1
    assert (target / "blobs" / location).read_bytes() == b"x" * 5000


@on_sqlite
async def test_9_a_hold_that_ran_out_ends_the_backup(
    world: World, database: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(world)
    vacuum = snapshot.vacuum_into

    def slowly(source: Path, into: Path) -> None:
        vacuum(source, into)
        world.now += HOLD

    monkeypatch.setattr(snapshot, "vacuum_into", slowly)
    with pytest.raises(HoldLost):
        await back_up(world, database, target)
    assert not (target / "backup.json").exists()


@on_sqlite
async def test_9_a_backup_that_was_interrupted_is_none(
    world: World, database: str, target: Path, fresh: tuple[Path, str]
) -> None:
    await fill(world)
    await back_up(world, database, target)
    (target / "backup.json").unlink()
    with pytest.raises(NoBackup):
        await bring_back(world, target, fresh)
    assert not fresh[0].exists()


@on_sqlite
async def test_a_lost_file_is_counted_and_the_rest_is_kept(
    world: World, database: str, target: Path, fresh: tuple[Path, str]
) -> None:
    await fill(world)
    digest, location = await world.large(b"z" * 2000)
    await world.blobs.remove(location)
    report = await back_up(world, database, target)
    assert (report.files, report.missing) == (2, 1)
    assert [one.digest for one in report.lost] == [digest]
    assert (await bring_back(world, target, fresh)).missing == 1


@on_sqlite
async def test_folders_with_something_in_them_are_refused(
    world: World, database: str, target: Path, fresh: tuple[Path, str]
) -> None:
    await back_up(world, database, target)
    with pytest.raises(TargetNotEmpty):
        await back_up(world, database, target)
    fresh[0].mkdir()
    (fresh[0] / "something").touch()
    with pytest.raises(TargetNotEmpty):
        await bring_back(world, target, fresh)


@on_sqlite
async def test_10_a_backup_of_newer_data_is_refused(
    world: World, database: str, target: Path, fresh: tuple[Path, str]
) -> None:
    await back_up(world, database, target)
    note = json.loads((target / "backup.json").read_text())
    (target / "backup.json").write_text(json.dumps(note | {"min_code": 10_000}))
    with pytest.raises(SchemaTooNew):
        await bring_back(world, target, fresh)


async def test_a_backup_is_of_one_kind_of_database(
    world: World, database: str, target: Path, tmp_path: Path
) -> None:
    await back_up(world, database, target)
    other = "postgresql://nowhere/x" if sqlite_path(database) else f"sqlite:{tmp_path}/x.db"
    with pytest.raises(OtherDatabase):
        await bring_back(world, target, (tmp_path / "restored", other))


# ---- PostgreSQL: a dump first, then the files


@on_postgres
async def test_9_postgres_a_dump_and_the_files_copied_after_it_belong_together(
    database: str, tmp_path: Path, target: Path, request: pytest.FixtureRequest
) -> None:
    server: PostgresServer = request.getfixturevalue("postgres_server")
    blobs = FileBlobStore(tmp_path / "data", durable=False, threads=2)
    catalog = await open_catalog(database, durable=False)
    world = World(catalog, blobs)
    await world.contents(CONFIG, LAYER, names.EMPTY_JSON)
    await fill(world)
    named = [row[0] for row in await catalog.rows(LOCATIONS)]
    name = database.partition("@/")[2].partition("?")[0]
    await catalog.close()
    dumped = f"{name}_dump"
    server.execute(f"create database {dumped} template {name}")
    world.catalog = await open_catalog(database, durable=False)
    try:
        await _collect_and_restore(world, database, server.url(dumped), target, tmp_path, named)
    finally:
        await blobs.close()
        await world.catalog.close()
        server.execute(f"drop database {dumped} with (force)")


async def _collect_and_restore(
    world: World, database: str, dump: str, target: Path, tmp_path: Path, named: list[object]
) -> None:
    world.now += DAY
    await world.collect()
    assert await world.catalog.rows(LOCATIONS) == []
    report = await back_up(world, database, target, verify=True)
    assert (report.files, report.missing) == (2, 0)
    assert not (target / "catalog.db").exists()
    await bring_back(world, target, (tmp_path / "restored", dump))
    restored = FileBlobStore(tmp_path / "restored", durable=False, threads=2)
    catalog = await open_catalog(dump, durable=False)
    try:
        assert {location async for location, _, _ in restored.stored()} == set(named)
        checks = Checks(world.now, DAY, DAY, hash_files=True)
        assert (await fsck(catalog, restored, checks)).findings == []
        assert await catalog.rows(COUNTS) == [(0, 0, 0, 0)]
    finally:
        await restored.close()
        await catalog.close()


@on_sqlite
async def test_a_copy_of_a_catalog_is_for_its_owner_alone(
    world: World, database: str, target: Path, fresh: tuple[Path, str]
) -> None:
    """It holds the secret that signs sessions: whatever the folder and the umask let others see."""
    await fill(world)
    target.mkdir(0o755)
    before = os.umask(0)
    try:
        await back_up(world, database, target)
        assert (target / "catalog.db").stat().st_mode & 0o077 == 0
        (target / "catalog.db").chmod(0o644)
        fresh[0].mkdir(0o755)
        await bring_back(world, target, fresh)
    finally:
        os.umask(before)
    assert [each.name for each in fresh[0].iterdir() if others_may_read(each)] == []


def others_may_read(path: Path) -> bool:
    return path.stat().st_mode & 0o077 != 0


@on_sqlite
async def test_21_a_restore_that_was_interrupted_is_no_registry(
    world: World,
    database: str,
    target: Path,
    fresh: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await fill(world)
    await back_up(world, database, target)

    def interrupted(_due: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(snapshot, "settle", interrupted)
    with pytest.raises(KeyboardInterrupt):
        await bring_back(world, target, fresh)
    with pytest.raises(RestoreUnfinished):
        require_finished(fresh[0])
    with pytest.raises(RestoreUnfinished):
        await bring_back(world, target, fresh)
