"""One bad file or row ends no backup, restore, scrub or fsck (storage.md, rule 21)."""

import errno
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from builders import CONFIG, LAYER, image
from databases import PostgresServer  # noqa: TC001
from retinue.files import Calls
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.registry.catalog.db import Catalog
from retinue.registry.catalog.opening import open_catalog, sqlite_path
from retinue.registry.storage.files import FileBlobStore
from retinue.registry.upkeep.backup import Source, backup
from retinue.registry.upkeep.checks import Checks
from retinue.registry.upkeep.datareport import DataReport
from retinue.registry.upkeep.findings import Kind
from retinue.registry.upkeep.fsck import fsck
from retinue.registry.upkeep.restore import restore
from retinue.registry.upkeep.scrub import Pace, scrub_once
from world import World, statement

QUARANTINED = statement("select digest from object where quarantined is not null")
BAD = b"b" * 5000
GOOD = b"g" * 3000
SECONDS = 1_000_000


@pytest.fixture
async def world(catalog: Catalog, tmp_path: Path) -> AsyncIterator[World]:
    blobs = FileBlobStore(tmp_path / "data", durable=False, threads=2)
    made = World(catalog, blobs)
    await made.contents(CONFIG, LAYER, names.EMPTY_JSON)
    await made.push(image(), "v1")
    yield made
    await blobs.close()


def truncate(path: Path, _: pytest.MonkeyPatch) -> None:
    os.truncate(path, len(BAD) - 1)


def lengthen(path: Path, _: pytest.MonkeyPatch) -> None:
    os.truncate(path, len(BAD) + 1)


def flip(path: Path, _: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"c" + BAD[1:])


def lose(path: Path, _: pytest.MonkeyPatch) -> None:
    path.unlink()


def pipe(path: Path, _: pytest.MonkeyPatch) -> None:
    path.unlink()
    os.mkfifo(path)


def symlink(path: Path, _: pytest.MonkeyPatch) -> None:
    other = path.with_name("elsewhere")
    path.rename(other)
    path.symlink_to(other)


def folder(path: Path, _: pytest.MonkeyPatch) -> None:
    path.unlink()
    path.mkdir()


def unreadable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a disk with a bad sector answers."""
    bad, read = path.stat().st_ino, Calls.read

    def failing(calls: Calls, fd: int, size: int, offset: int) -> bytes:
        if os.fstat(fd).st_ino == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(calls, fd, size, offset)

    monkeypatch.setattr(Calls, "read", failing)


Harm = Callable[[Path, pytest.MonkeyPatch], None]
HARMS = (truncate, lengthen, flip, lose, pipe, symlink, folder, unreadable)
harms = pytest.mark.parametrize("harm", HARMS)


def file_of(folder: Path, location: str) -> Path:
    return folder / "blobs" / location


async def two_files(world: World) -> tuple[Digest, str, Digest]:
    bad, location = await world.large(BAD)
    good, _ = await world.large(GOOD)
    return bad, location, good


def data_of(world: World) -> Path:
    assert isinstance(world.blobs, FileBlobStore)
    return world.blobs._root.path


async def back_up(world: World, database: str, target: Path, *, link: bool = False) -> DataReport:
    source = Source(world.catalog, database, data_of(world))
    return await backup(source, target, clock=lambda: world.now, link=link, verify=True)


@pytest.mark.parametrize("link", [False, True])
@harms
async def test_21_a_backup_has_all_that_is_sound(
    world: World,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    harm: Harm,
    link: bool,
) -> None:
    bad, location, _ = await two_files(world)
    harm(file_of(data_of(world), location), monkeypatch)
    report = await back_up(world, database, tmp_path / "backup", link=link)
    assert (report.files, report.bytes) == (1, len(GOOD))
    assert report.missing + report.damaged == 1
    assert [one.digest for one in report.lost] == [bad]
    assert not report.whole
    assert not file_of(tmp_path / "backup", location).exists()
    assert (tmp_path / "backup" / "backup.json").exists()


async def test_21_a_location_that_is_none_is_passed_by(
    world: World, database: str, tmp_path: Path
) -> None:
    bad, _, _ = await two_files(world)
    await world.execute(
        "update object set location = '../../etc/passwd' where digest = :digest",
        digests.to_bytes(bad),
    )
    report = await back_up(world, database, tmp_path / "backup")
    assert (report.files, [one.digest for one in report.lost]) == (1, [bad])


async def test_21_a_damaged_row_is_told_by_a_backup(
    world: World, database: str, tmp_path: Path
) -> None:
    digest = await world.blob(b"small")
    await flip_row(world, digest)
    report = await back_up(world, database, tmp_path / "backup")
    assert (report.damaged, [one.digest for one in report.lost]) == (1, [digest])


async def flip_row(world: World, digest: Digest) -> None:
    await world.execute(
        "update object_bytes set body = :body where object ="
        " (select id from object where digest = :digest)",
        b"smell",
        digests.to_bytes(digest),
    )


@harms
async def test_21_a_restore_serves_all_that_is_sound(
    world: World,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    harm: Harm,
) -> None:
    bad, location, good = await two_files(world)
    small = await world.blob(b"small")
    await flip_row(world, small)
    backed = tmp_path / "backup"
    source = Source(world.catalog, database, data_of(world))
    await backup(source, backed, clock=lambda: world.now, link=False)
    harm(file_of(backed, location), monkeypatch)
    data = tmp_path / "restored"
    fresh = await dumped(world, database, data, request)
    report = await restore(backed, data, fresh, now=world.now, grace=SECONDS)
    assert (report.files, report.bytes) == (1, len(GOOD))
    assert {one.digest for one in report.lost} == {bad, small}
    catalog, blobs = await open_catalog(fresh), FileBlobStore(data, durable=False, threads=2)
    try:
        restored = World(catalog, blobs)
        assert await restored.digests(QUARANTINED) == {bad, small}
        assert not (data / "restoring").exists()
        again = await fsck(catalog, blobs, Checks(world.now, SECONDS, SECONDS, hash_files=True))
        assert {one.digest for one in again.findings} == {bad, small}
        assert {one.kind for one in again.findings} == {Kind.QUARANTINED}
        await restored.large(BAD)
        await restored.blob(b"small")
        assert await restored.digests(QUARANTINED) == set()
    finally:
        await blobs.close()
        await catalog.close()
    assert good not in {one.digest for one in report.lost}


async def dumped(world: World, database: str, data: Path, request: pytest.FixtureRequest) -> str:
    """The database to restore to; on PostgreSQL it has the dump already."""
    if sqlite_path(database) is not None:
        return f"sqlite:{data}/catalog.db"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = database.partition("@/")[2].partition("?")[0]
    await world.catalog.close()
    server.execute(f"create database {name}_dump template {name}")
    request.addfinalizer(lambda: server.execute(f"drop database {name}_dump with (force)"))
    return server.url(f"{name}_dump")


@harms
async def test_21_the_scrubber_and_fsck_go_on_after_a_bad_file(
    world: World, monkeypatch: pytest.MonkeyPatch, harm: Harm
) -> None:
    bad, location, _ = await two_files(world)
    harm(file_of(data_of(world), location), monkeypatch)
    told = await fsck(world.catalog, world.blobs, Checks(world.now, 1, 1, hash_files=True))
    assert [(one.digest, one.repaired) for one in told.findings if one.digest == bad] == [
        (bad, False)
    ]
    pace = Pace(rate=1 << 40, before=world.now, budget=1 << 40)
    report = await scrub_once(world.catalog, world.blobs, pace, clock=lambda: world.now)
    assert (report.files, report.damaged, report.finished) == (2, 1, True)
    assert await world.digests(QUARANTINED) == {bad}


async def test_21_a_location_that_is_none_ends_no_scrub(world: World) -> None:
    bad, _, _ = await two_files(world)
    await world.execute(
        "update object set location = 'nowhere' where digest = :digest", digests.to_bytes(bad)
    )
    pace = Pace(rate=1 << 40, before=world.now, budget=1 << 40)
    report = await scrub_once(world.catalog, world.blobs, pace, clock=lambda: world.now)
    assert (report.files, report.damaged) == (2, 1)
