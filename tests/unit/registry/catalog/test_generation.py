"""The counter that says whether anything was committed, across connections, processes, deaths."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from failing_vfs import Call, Disk
from holding import put
from retinue.registry.catalog.db import CatalogUnavailable, Sql
from retinue.registry.catalog.generation import SIZE, Generation, prepare
from retinue.registry.catalog.sqlite import SqliteCatalog, SqliteFile, upgrade

HELD = Sql("select count(*) from hold", scans=True)


@pytest.fixture
async def other(file: SqliteFile) -> AsyncIterator[SqliteCatalog]:
    opened = SqliteCatalog(file)
    yield opened
    await opened.close()


async def test_a_commit_of_anyone_is_seen_by_everyone(
    catalog: SqliteCatalog, other: SqliteCatalog
) -> None:
    before = other.generation()
    assert before is not None
    assert before == other.generation() == catalog.generation()
    await catalog.commit(put("a"))
    after = other.generation()
    assert after is not None
    assert after > before
    assert after == catalog.generation()


async def test_nobody_can_tell_while_a_commit_is_under_way(
    catalog: SqliteCatalog, other: SqliteCatalog, disk: Disk
) -> None:
    before = other.generation()
    seen: list[int | None] = []

    def look(call: Call) -> None:
        if call is Call.SYNC:
            seen.append(other.generation())

    disk.watch = look
    await catalog.commit(put("a"))
    assert seen
    assert set(seen) == {None}
    assert before != other.generation()


async def test_what_reads_leaves_it_alone(catalog: SqliteCatalog) -> None:
    before = catalog.generation()
    await catalog.one(HELD)
    assert before == catalog.generation()


@pytest.mark.parametrize("error", [apsw.FullError, apsw.IOError])
async def test_after_a_commit_that_failed_nobody_can_tell_until_one_succeeds(
    catalog: SqliteCatalog, other: SqliteCatalog, disk: Disk, error: type[apsw.Error]
) -> None:
    before = other.generation()
    assert before is not None
    with disk.failing(Call.SYNC, error), pytest.raises(CatalogUnavailable):
        await catalog.commit(put("a"))
    assert (catalog.generation(), other.generation()) == (None, None)
    await other.commit(put("b"))
    after = catalog.generation()
    assert after is not None
    assert after > before


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from retinue.registry.catalog import generation
from retinue.registry.catalog.sqlite import SqliteCatalog, SqliteFile
from retinue.registry.catalog.db import Sql

class Dying(generation.Generation):
    def changing(self):
        real = super().changing()
        class Held:
            def __enter__(self):
                real.__enter__()
                if sys.argv[2] == "before":
                    os.kill(os.getpid(), signal.SIGKILL)
            def __exit__(self, *problem):
                os.kill(os.getpid(), signal.SIGKILL)
        return Held()

def change():
    yield Sql("insert into hold (name, until) values ('late', 1)"), ()

async def main():
    file = SqliteFile(Path(sys.argv[1]))
    file.generation = lambda: Dying(file.path)
    await SqliteCatalog(file).commit(change)

asyncio.run(main())
"""


@pytest.mark.parametrize(("when", "kept"), [("before", 0), ("after", 1)])
async def test_a_writer_that_is_killed_in_its_commit_leaves_nothing_to_rely_on(
    catalog: SqliteCatalog, file: SqliteFile, when: str, kept: int
) -> None:
    before = catalog.generation()
    assert before is not None
    command = [sys.executable, "-c", KILLED, str(file.path), when]
    done = await asyncio.to_thread(subprocess.run, command, check=False)
    assert done.returncode == -9
    assert catalog.generation() is None
    assert await catalog.one(HELD) == (kept,)
    await catalog.commit(put("next"))
    after = catalog.generation()
    assert after is not None
    assert after > before


# ---- its file


def path_of(file: SqliteFile) -> Path:
    return file.path.with_name("catalog.db.generation")


@pytest.mark.parametrize("content", [None, b"", b"abc"])
def test_a_missing_or_short_file_is_made_by_who_opens_the_catalog(
    file: SqliteFile, content: bytes | None
) -> None:
    path_of(file).unlink()
    if content is not None:
        path_of(file).write_bytes(content)
    with pytest.raises(CatalogUnavailable, match="generation"):
        SqliteCatalog(file)
    upgrade(file, bytes)
    assert file.generation().now() is not None
    assert path_of(file).stat().st_size == SIZE


def test_an_old_file_is_gone_on_with(file: SqliteFile) -> None:
    path_of(file).write_bytes((2**40).to_bytes(8, sys.byteorder))
    upgrade(file, bytes)
    now = file.generation().now()
    assert now is not None
    assert now > 2**40


def test_it_is_for_its_owner_alone(file: SqliteFile) -> None:
    assert path_of(file).stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "catalog.db.generation").mkdir()
    with pytest.raises(CatalogUnavailable, match="generation"):
        upgrade(SqliteFile(tmp_path / "catalog.db"), bytes)


def test_a_child_sees_what_its_parent_counts(tmp_path: Path) -> None:
    prepare(tmp_path / "catalog.db")
    here = Generation(tmp_path / "catalog.db")
    with here.changing():
        assert here.now() is None
    script = (
        "import sys, pathlib; from retinue.registry.catalog.generation import Generation\n"
        "print(Generation(pathlib.Path(sys.argv[1])).now())"
    )
    command = [sys.executable, "-c", script, os.fspath(tmp_path / "catalog.db")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == f"{here.now()}\n"
