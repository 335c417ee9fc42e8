"""Batches: who shares a commit, who is told what, and what a failing disk does to them."""

import asyncio
import threading
from collections.abc import Sequence

import apsw
import pytest

from failing_vfs import Call, Disk
from holding import PUT, put
from retinue.registry.catalog import groupcommit
from retinue.registry.catalog.db import CatalogUnavailable, Change, Sql
from retinue.registry.catalog.sqlite import SqliteCatalog, SqliteFile
from retinue.registry.catalog.turns import Turn

NAMES = Sql("select name from hold where name > :after order by name limit :most")

FULL_OR_BROKEN = pytest.mark.parametrize("error", [apsw.FullError, apsw.IOError])


async def names(catalog: SqliteCatalog) -> Sequence[object]:
    return [row[0] for row in await catalog.rows(NAMES, "", 10_000)]


@pytest.fixture
def turn(file: SqliteFile) -> Turn:
    """What another process would hold while it commits."""
    return file.turn()


def ask(catalog: SqliteCatalog, *asked: str) -> "list[asyncio.Task[str]]":
    return [asyncio.ensure_future(catalog.commit(put(name))) for name in asked]


async def in_one_batch(
    catalog: SqliteCatalog, turn: Turn, *asked: str
) -> Sequence[str | BaseException]:
    with turn.taken():
        tasks = ask(catalog, *asked)
        await asyncio.sleep(0)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_waits_for_its_turn_shares_one_commit(
    catalog: SqliteCatalog, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = []
    wake = groupcommit._wake

    def watch(waiters: Sequence[groupcommit.Waiter]) -> None:
        batches.append(len(waiters))
        wake(waiters)

    monkeypatch.setattr(groupcommit, "_wake", watch)
    outcomes = await in_one_batch(catalog, turn, *(f"{n:03}" for n in range(100)))
    assert outcomes == [f"{n:03}" for n in range(100)]
    assert batches == [100]


async def test_a_batch_is_bounded(
    catalog: SqliteCatalog, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groupcommit, "BATCH", 4)
    asked = [f"{n:02}" for n in range(11)]
    assert await in_one_batch(catalog, turn, *asked) == asked
    assert await names(catalog) == asked


async def test_too_many_waiting_are_refused_at_once(
    catalog: SqliteCatalog, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groupcommit, "WAITING", 5)
    outcomes = await in_one_batch(catalog, turn, *(f"{n:02}" for n in range(10)))
    refused = [each for each in outcomes if isinstance(each, CatalogUnavailable)]
    assert 4 <= len(refused) <= 5
    assert [each for each in outcomes if isinstance(each, str)] == await names(catalog)


@FULL_OR_BROKEN
@pytest.mark.parametrize("call", list(Call))
async def test_a_failing_disk_fails_the_whole_batch_and_wakes_everyone(
    catalog: SqliteCatalog, turn: Turn, disk: Disk, call: Call, error: type[apsw.Error]
) -> None:
    await catalog.commit(put("before"))
    with disk.failing(call, error):
        outcomes = await in_one_batch(catalog, turn, *(f"{n:02}" for n in range(20)))
    assert disk.failed
    assert all(isinstance(outcome, CatalogUnavailable) for outcome in outcomes)
    assert await names(catalog) == ["before"]
    assert await catalog.commit(put("00")) == "00"
    assert await names(catalog) == ["00", "before"]


@FULL_OR_BROKEN
@pytest.mark.parametrize("call", list(Call))
async def test_failing_at_the_nth_call_keeps_a_batch_whole_or_not_at_all(
    catalog: SqliteCatalog, turn: Turn, disk: Disk, call: Call, error: type[apsw.Error]
) -> None:
    kept: list[object] = []
    for after in range(200):
        asked = [f"{after:03}-{n}" for n in range(3)]
        with disk.failing(call, error, after):
            outcomes = await in_one_batch(catalog, turn, *asked)
        kept += [each for each in outcomes if isinstance(each, str)]
        assert await names(catalog) == kept
        if not disk.failed:
            break
    assert after > 0
    assert len(kept) == 3


@FULL_OR_BROKEN
async def test_nothing_of_a_failed_batch_is_there_after_a_restart(
    file: SqliteFile, turn: Turn, disk: Disk, error: type[apsw.Error]
) -> None:
    catalog = SqliteCatalog(file)
    await catalog.commit(put("before"))
    with disk.failing(Call.WRITE, error):
        await in_one_batch(catalog, turn, "a", "b")
    await catalog.close()
    again = SqliteCatalog(file)
    assert await names(again) == ["before"]
    await again.close()
    connection = file.reader()
    assert connection.pragma("integrity_check") == "ok"
    connection.close()


async def test_a_catalog_that_cannot_be_opened_again_fails_each_batch_until_it_can(
    catalog: SqliteCatalog, disk: Disk, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_file: SqliteFile) -> apsw.Connection:
        raise apsw.CantOpenError

    with monkeypatch.context() as patched:
        patched.setattr(SqliteFile, "writer", refuse)
        with disk.failing(Call.WRITE, apsw.IOError):
            [first] = await in_one_batch(catalog, turn, "a")
        [second] = await in_one_batch(catalog, turn, "b")
        assert isinstance(first, CatalogUnavailable)
        assert isinstance(second, CatalogUnavailable)
    [third] = await in_one_batch(catalog, turn, "c")
    assert isinstance(third, CatalogUnavailable)  # it found the closed connection, and opened one
    assert await catalog.commit(put("d")) == "d"
    assert await names(catalog) == ["d"]


class Refused(Exception):
    pass


@pytest.mark.parametrize(
    ("writes", "runs"), [(True, 2), (False, 1)], ids=["had written", "had only read"]
)
async def test_a_change_that_fails_takes_nobody_along(
    catalog: SqliteCatalog, turn: Turn, *, writes: bool, runs: int
) -> None:
    """And when it has written nothing, nobody has to run again."""
    ran = []

    def fails() -> Change[str]:
        if writes:
            yield PUT, ("gone", 1)
        else:
            yield NAMES, ("", 1)
        raise Refused

    def counted() -> Change[str]:
        ran.append(1)
        return (yield from put("kept")())

    with turn.taken():
        tasks = [asyncio.ensure_future(catalog.commit(each)) for each in (counted, fails)]
        await asyncio.sleep(0)
    kept, failed = await asyncio.gather(*tasks, return_exceptions=True)
    assert kept == "kept"
    assert isinstance(failed, Refused)
    assert await names(catalog) == ["kept"]
    assert len(ran) == runs


async def test_a_change_whose_caller_has_gone_is_not_run(
    catalog: SqliteCatalog, turn: Turn
) -> None:
    with turn.taken():
        first, gone, last = ask(catalog, "a", "b", "c")
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait({gone})
    assert [await first, await last] == ["a", "c"]
    assert await names(catalog) == ["a", "c"]


async def test_close_commits_what_waits_and_refuses_what_comes_later(file: SqliteFile) -> None:
    catalog = SqliteCatalog(file)
    tasks = ask(catalog, "a", "b")
    await asyncio.sleep(0)
    await catalog.close()
    assert await asyncio.gather(*tasks) == ["a", "b"]
    with pytest.raises(CatalogUnavailable, match="closed"):
        await catalog.commit(put("c"))


async def test_waiters_of_several_loops_are_told_on_their_own(
    catalog: SqliteCatalog, turn: Turn
) -> None:
    told = []
    asking = threading.Event()

    async def elsewhere() -> None:
        task = asyncio.ensure_future(catalog.commit(put("other")))
        await asyncio.sleep(0)
        asking.set()
        told.append((await task, asyncio.get_running_loop() is not here))

    here = asyncio.get_running_loop()
    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    with turn.taken():
        thread.start()
        await asyncio.to_thread(asking.wait)
        tasks = ask(catalog, "mine")
        await asyncio.sleep(0)
    assert await asyncio.gather(*tasks) == ["mine"]
    await asyncio.to_thread(thread.join)
    assert told == [("other", True)]


async def test_a_loop_that_has_ended_does_not_stop_the_thread(
    catalog: SqliteCatalog, turn: Turn
) -> None:
    def leave() -> None:
        loop = asyncio.new_event_loop()

        async def ask_and_leave() -> None:
            catalog._writer.submit(put("left"))

        loop.run_until_complete(ask_and_leave())
        loop.close()

    with turn.taken():
        await asyncio.to_thread(leave)
    assert await catalog.commit(put("a")) == "a"


# ---- a file that is not where it was


async def test_nothing_is_acknowledged_that_nobody_would_find_again(
    catalog: SqliteCatalog, file: SqliteFile, caplog: pytest.LogCaptureFixture
) -> None:
    await catalog.commit(put("before"))
    elsewhere = file.path.with_name("elsewhere.db")
    file.path.rename(elsewhere)
    for _ in range(3):
        with pytest.raises(CatalogUnavailable, match="moved or deleted"):
            await catalog.commit(put("a"))
    assert not file.path.exists()
    assert await names(catalog) == ["before"]
    elsewhere.rename(file.path)
    assert await catalog.commit(put("b")) == "b"
    assert await names(catalog) == ["b", "before"]
    told = [(record.levelname, record.message.partition(" was")[0]) for record in caplog.records]
    assert told == [("ERROR", str(file.path)), ("WARNING", f"{file.path} is back")]


async def test_another_file_in_its_place_is_not_taken_for_it(
    catalog: SqliteCatalog, file: SqliteFile
) -> None:
    file.path.rename(file.path.with_name("elsewhere.db"))
    file.path.write_bytes(b"")
    with pytest.raises(CatalogUnavailable, match="moved or deleted"):
        await catalog.commit(put("a"))
    assert catalog.gone() is not None


async def test_a_failure_does_not_make_an_empty_catalog_where_there_is_none(
    catalog: SqliteCatalog, file: SqliteFile, disk: Disk
) -> None:
    def move(_call: Call) -> None:
        if file.path.exists():
            file.path.rename(file.path.with_name("elsewhere.db"))

    disk.watch = move
    with disk.failing(Call.WRITE, apsw.IOError), pytest.raises(CatalogUnavailable):
        await catalog.commit(put("a"))
    with pytest.raises(CatalogUnavailable):
        await catalog.commit(put("b"))
    assert not file.path.exists()
