"""Room that is set aside: on a disk whose size a test chooses."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from retinue.registry.catalog import reserve
from retinue.registry.catalog.reserve import MOST, SHARE, SLICES, Reserve

BLOCK = 4096
SLICE = MOST // SLICES


class Disk:
    """A disk of `size` bytes of which `free` are left, where all that is looked at lies."""

    def __init__(self, size: int, free: int) -> None:
        self.size = size
        self.free = free

    def statvfs(self, _path: Path) -> SimpleNamespace:
        return SimpleNamespace(
            f_frsize=BLOCK, f_blocks=self.size // BLOCK, f_bavail=self.free // BLOCK
        )


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(1 << 30, 1 << 29)
    monkeypatch.setattr(os, "statvfs", disk.statvfs)
    monkeypatch.setattr(reserve, "PAUSE", 0.0)
    return disk


def size(database: Path) -> int:
    return database.with_name(f"{database.name}.reserve").stat().st_size


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


def test_it_takes_room_and_only_its_owner_may_look(disk: Disk, database: Path) -> None:
    Reserve(database).prepare()
    status = database.with_name("catalog.db.reserve").stat()
    assert (status.st_size, status.st_mode & 0o777) == (MOST, 0o600)
    assert status.st_blocks * 512 >= MOST


def test_on_a_small_disk_it_is_a_part(disk: Disk, database: Path) -> None:
    disk.size = 64 << 20
    Reserve(database).prepare()
    assert size(database) == (64 << 20) // SHARE


def test_nothing_is_refused_where_there_never_was_one(disk: Disk, database: Path) -> None:
    disk.free = 0
    assert Reserve(database).full() is None
    assert not Reserve(database).spend()


def test_it_is_spent_bit_by_bit_and_only_on_a_full_disk(disk: Disk, database: Path) -> None:
    kept = Reserve(database)
    kept.prepare()
    assert not kept.spend(), "the disk has room"
    disk.free = 0
    assert kept.full() is None
    for left in range(MOST - SLICE, -1, -SLICE):
        assert kept.spend()
        assert size(database) == left
        assert kept.full() is not None
    assert not kept.spend()


def test_it_is_made_whole_when_there_is_room_for_it_and_more(disk: Disk, database: Path) -> None:
    kept, other = Reserve(database), Reserve(database)
    kept.prepare()
    disk.free = 0
    kept.spend()
    disk.free = 2 * SLICE - BLOCK
    kept.replenish()
    assert other.full() is not None, "what was spent would be spent again at once"
    disk.free = 2 * SLICE
    kept.replenish()
    assert size(database) == MOST
    assert kept.full() is other.full() is None


def test_room_that_somebody_else_took_meanwhile_is_not_taken(
    disk: Disk, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _offset: int, _length: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    kept = Reserve(database)
    kept.prepare()
    assert size(database) == 0
    assert kept.full() is not None
