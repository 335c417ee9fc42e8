"""The SQLite driver's own promises: safe opening, crash safety, a WAL that does not grow."""

import asyncio
import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from retinue.registry.catalog import checkpoint
from retinue.registry.catalog.db import CatalogUnavailable, Change, Sql
from retinue.registry.catalog.sqlite import (
    LibraryTooOld,
    SqliteCatalog,
    SqliteFile,
    require_library,
    upgrade,
)
from retinue.registry.catalog.turns import Turn

PUT = Sql("insert into lease (name, owner, until) values (:name, :owner, :until)")
READ = Sql("select owner from lease where name = :name")
COUNT = Sql("select count(*) from lease", scans=True)


def put(name: str, owner: str = "") -> Callable[[], Change[None]]:
    def change() -> Change[None]:
        yield PUT, (name, owner, 1)

    return change


@pytest.fixture
def file(tmp_path: Path) -> SqliteFile:
    file = SqliteFile(tmp_path / "catalog.db")
    upgrade(file, bytes)
    return file


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2", "3.7.17"])
def test_a_library_that_can_lose_commits_is_refused(version: str) -> None:
    with pytest.raises(LibraryTooOld, match=version):
        require_library(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.54.0", "4.0.0"])
def test_newer_libraries_are_used(version: str) -> None:
    require_library(version)


@pytest.mark.parametrize(("durable", "expected"), [(True, 2), (False, 1)])
def test_commits_are_synced_when_durable(file: SqliteFile, expected: int, *, durable: bool) -> None:
    connection = SqliteFile(file.path, durable=durable).writer()
    settings = ["synchronous", "journal_mode", "foreign_keys", "wal_autocheckpoint"]
    assert [connection.pragma(name) for name in settings] == [expected, "wal", 1, 0]
    connection.close()


def test_only_the_owner_may_read_the_file_and_its_wal(file: SqliteFile) -> None:
    connection = file.writer()
    connection.execute("insert into hold (name, until) values ('a', 1)")
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in file.path.parent.iterdir()}
    connection.close()
    assert set(modes) >= {"catalog.db", "catalog.db-wal", "catalog.db.lock"}
    assert set(modes.values()) == {0o600}


def test_every_table_is_strict(file: SqliteFile) -> None:
    connection = file.reader()
    loose = connection.execute(
        "select name from pragma_table_list where schema = 'main' and not strict"
        " and name not like 'sqlite_%'"
    ).fetchall()
    connection.close()
    assert loose == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogUnavailable, match="missing"):
        upgrade(SqliteFile(tmp_path / "missing" / "catalog.db"), bytes)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(CatalogUnavailable, match="not a database"):
        upgrade(SqliteFile(path), bytes)


async def test_a_read_never_suspends(file: SqliteFile) -> None:
    catalog = SqliteCatalog(file)
    await catalog.commit(put("a", "me"))
    reading = catalog.one(READ, "a")
    with pytest.raises(StopIteration) as finished:
        reading.send(None)
    assert finished.value.value == ("me",)
    await catalog.close()


async def test_a_read_leaves_no_snapshot_behind(file: SqliteFile) -> None:
    catalog = SqliteCatalog(file)
    for name in "abc":
        await catalog.commit(put(name))
    assert await catalog.one(COUNT) == (3,)
    assert await catalog.one(Sql("select name from lease order by name limit 2"), *()) == ("a",)
    other = file.writer()
    pages, moved = other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    other.close()
    assert (pages, moved) == (0, 0)
    await catalog.close()


async def test_the_wal_begins_anew_while_commits_go_on(
    file: SqliteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "PAGES", 50)
    sizes = [0]
    committed = checkpoint.Checkpointer._committed

    def watch(
        self: checkpoint.Checkpointer, connection: apsw.Connection, database: str, pages: int
    ) -> int:
        sizes.append(pages)
        return committed(self, connection, database, pages)

    monkeypatch.setattr(checkpoint.Checkpointer, "_committed", watch)
    catalog = SqliteCatalog(file)
    shrank = 0
    for number in range(10_000):
        await catalog.commit(put(f"{number}", "x" * 4000))
        shrank += sizes[-1] < sizes[-2]
        if shrank == 3:
            break
    await catalog.close()
    assert shrank == 3
    assert not file.path.with_name("catalog.db-wal").exists()


async def test_a_checkpoint_waits_for_the_turn_of_a_writer_of_its_own_process(
    file: SqliteFile,
) -> None:
    mine, checkpointers = file.turn(), file.turn()
    with mine.taken():
        entering = asyncio.create_task(asyncio.to_thread(_take, checkpointers))
        done, _ = await asyncio.wait({entering}, timeout=0.05)
        assert not done
    await entering
    mine.close()
    checkpointers.close()


def _take(turn: Turn) -> None:
    with turn.taken():
        pass


async def test_a_checkpoint_that_fails_is_tried_again(
    file: SqliteFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(checkpoint, "PAGES", 10)
    failures = iter([apsw.FullError("no room")])
    tried = asyncio.Event()
    loop = asyncio.get_running_loop()
    real = checkpoint.Checkpointer._checkpoint

    def flaky(self: checkpoint.Checkpointer) -> None:
        for error in failures:
            raise error
        real(self)
        loop.call_soon_threadsafe(tried.set)

    monkeypatch.setattr(checkpoint.Checkpointer, "_checkpoint", flaky)
    catalog = SqliteCatalog(file)
    number = 0
    while not tried.is_set():
        await catalog.commit(put(f"{number}", "x" * 4000))
        number += 1
    await catalog.close()
    assert "no room" in caplog.text


WORKER = """
import asyncio, sys
from retinue.registry.catalog.db import Sql
from retinue.registry.catalog.opening import open_catalog

PUT = Sql("insert into lease (name, owner, until) values (:name, :owner, :until)")

async def work(catalog, who, lane):
    number = 0
    while True:
        def change():
            yield PUT, (f"{who}-{lane}-{number}", "x" * 500, 1)
        await catalog.commit(change)
        print(f"{who}-{lane}-{number}", flush=True)
        number += 1

async def main():
    catalog = await open_catalog(sys.argv[1])
    await asyncio.gather(*(work(catalog, sys.argv[2], lane) for lane in range(8)))

asyncio.run(main())
"""


def start(path: Path, who: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WORKER, f"sqlite:{path}", who]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def acknowledged(worker: "subprocess.Popen[str]", most: int) -> list[str]:
    assert worker.stdout is not None
    return [worker.stdout.readline().strip() for _ in range(most)]


async def test_what_a_killed_process_acknowledged_is_there(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    told = []
    for round_ in range(3):
        workers = [start(path, f"{round_}{who}") for who in "ab"]
        told += [name for worker in workers for name in acknowledged(worker, 150)]
        workers[0].send_signal(signal.SIGKILL)
        told += acknowledged(workers[1], 50)  # the other goes on
        workers[1].send_signal(signal.SIGKILL)
        for worker in workers:
            rest, _ = worker.communicate()
            told += [line for line in rest.splitlines(keepends=False) if line.count("-") == 2]
    file = SqliteFile(path)
    upgrade(file, os.urandom)
    catalog = SqliteCatalog(file)
    missing = [name for name in told if await catalog.one(READ, name) is None]
    await catalog.close()
    assert len(told) >= 3 * 350
    assert missing == []


def test_a_catalog_that_others_could_read_is_made_private(file: SqliteFile) -> None:
    """As a copy is, that was made by hand."""
    reading = file.reader()
    reading.execute("select 1 from meta").fetchall()
    files = [file.path, *file.path.parent.glob("catalog.db-*")]
    assert len(files) == 3
    for each in files:
        each.chmod(0o644)
    upgrade(file, bytes)
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    reading.close()


def test_who_comes_by_a_symbolic_link_waits_for_the_same_turn(
    file: SqliteFile, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "named.db"
    link.symlink_to(file.path)
    again = tmp_path / "elsewhere" / "again.db"
    again.symlink_to(link)
    for name in (link, again, Path(os.path.relpath(link))):
        other = SqliteFile(name)
        with file.turn().taken(), other.checkpointing().tried() as alone:
            assert alone
            with file.checkpointing().tried() as both:
                assert not both
            assert _locked(other)
        upgrade(other, bytes)
        assert other.generation().now() == file.generation().now()
    assert {each.name for each in link.parent.iterdir()} == {"named.db", "again.db"}


def _locked(file: SqliteFile) -> bool:
    """Whether somebody has the turn at writing."""
    (lock,) = file.path.resolve().parent.glob("*.lock")
    with lock.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
