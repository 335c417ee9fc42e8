"""What only a server can do to a catalog: restart, drop a connection, report a conflict."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import psycopg
import pytest

from databases import PostgresServer
from retinue.registry.catalog import postgres
from retinue.registry.catalog.db import Catalog, CatalogBusy, CatalogUnavailable, Change, Sql
from retinue.registry.catalog.opening import open_catalog
from retinue.registry.catalog.pgconnections import Pool, connect
from retinue.registry.catalog.pgreads import PIPELINE, Reads
from retinue.registry.catalog.postgres import TRIES, WRITERS, PostgresCatalog

PUT = Sql("insert into hold (name, until) values (:name, :until)")
MOVE = Sql("update hold set until = :until where name = :name")
GET = Sql("select until from hold where name = :name")
DIE = Sql("select 1", postgres="select pg_terminate_backend(pg_backend_pid())")
FAIL = Sql("select 1", postgres="do $$ begin raise exception using errcode = '40001'; end $$")
FULL = Sql("select 1", postgres="do $$ begin raise exception using errcode = '53100'; end $$")


@pytest.fixture
def url(postgres_server: PostgresServer) -> Iterator[str]:
    with postgres_server.database() as made:
        yield made


@pytest.fixture
async def server_catalog(url: str) -> AsyncIterator[Catalog]:
    opened = PostgresCatalog(url, durable=False, random=lambda: 0.0)
    yield opened
    await opened.close()


def put(name: str, first: Sql | None = None, times: int = 0) -> Callable[[], Change[int]]:
    """A change that runs `first` in the first `times` of its runs; gives the number of runs."""
    runs = 0

    def change() -> Change[int]:
        nonlocal runs
        runs += 1
        yield PUT, (name, 1)
        if first is not None and runs <= times:
            yield first, ()
        return runs

    return change


async def test_after_a_restart_reads_and_writes_go_on(
    server_catalog: Catalog, postgres_server: PostgresServer
) -> None:
    await server_catalog.commit(put("a"))
    await asyncio.gather(*(server_catalog.one(GET, "a") for _ in range(300)))
    await asyncio.to_thread(postgres_server.restart)
    rows = await asyncio.gather(*(server_catalog.one(GET, "a") for _ in range(300)))
    assert rows == [(1,)] * 300
    assert await server_catalog.commit(put("b")) in {1, 2}
    assert await server_catalog.one(GET, "b") == (1,)


async def test_a_connection_lost_before_commit_is_made_again_once(server_catalog: Catalog) -> None:
    assert await server_catalog.commit(put("a", DIE, times=1)) == 2
    with pytest.raises(CatalogUnavailable):
        await server_catalog.commit(put("b", DIE, times=2))
    assert await server_catalog.one(GET, "a") == (1,)
    assert await server_catalog.one(GET, "b") is None


async def test_a_connection_lost_while_committing_is_not_tried_again(
    server_catalog: Catalog, url: str
) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            """create function die() returns trigger language plpgsql as
            $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$"""
        )
        await connection.execute(
            """create constraint trigger dies after insert on hold
            deferrable initially deferred for each row execute function die()"""
        )
    runs = []

    def change() -> Change[None]:
        runs.append(1)
        yield PUT, ("a", 1)

    with pytest.raises(CatalogUnavailable, match="while committing"):
        await server_catalog.commit(change)
    assert len(runs) == 1


async def test_a_conflict_is_run_again_and_given_up_in_the_end(server_catalog: Catalog) -> None:
    assert await server_catalog.commit(put("a", FAIL, times=3)) == 4
    assert await server_catalog.commit(put("b", FAIL, times=TRIES - 1)) == TRIES
    with pytest.raises(CatalogUnavailable, match="conflicts"):
        await server_catalog.commit(put("c", FAIL, times=TRIES))
    assert await server_catalog.one(GET, "c") is None


class Holder:
    """Somebody who holds the row of hold `name`."""

    def __init__(self, url: str, name: str) -> None:
        self._connection = psycopg.connect(url)
        self._connection.execute("select 1 from hold where name = %s for update", (name,))

    def let_go(self) -> None:
        self._connection.close()


def move(name: str) -> Change[None]:
    yield MOVE, (2, name)


async def test_changes_of_what_somebody_holds_hold_up_no_others(
    server_catalog: Catalog, url: str
) -> None:
    await server_catalog.commit(put("held"))
    holder = Holder(url, "held")
    try:
        moves = [
            asyncio.create_task(server_catalog.commit(lambda: move("held")))
            for _ in range(4 * WRITERS)
        ]
        async with asyncio.timeout(60):
            for number in range(3 * WRITERS):
                await server_catalog.commit(put(f"other{number}"))
        assert not any(each.done() for each in moves)
    finally:
        holder.let_go()
    assert await asyncio.gather(*moves) == [None] * len(moves)
    assert await server_catalog.one(GET, "held") == (2,)


async def test_who_waits_too_long_is_told_so(
    server_catalog: Catalog, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_LONG", "set lock_timeout = '1ms'")
    await server_catalog.commit(put("held"))
    catalog = PostgresCatalog(url, durable=False, random=lambda: 0.0)
    holder = Holder(url, "held")
    try:
        with pytest.raises(CatalogBusy):
            await catalog.commit(lambda: move("held"))
        assert await catalog.commit(put("other")) == 1
    finally:
        holder.let_go()
        await catalog.close()


async def test_a_full_disk_is_not_tried_again(server_catalog: Catalog) -> None:
    change = put("a", FULL, times=1)
    with pytest.raises(CatalogUnavailable):
        await server_catalog.commit(change)
    assert await server_catalog.one(GET, "a") is None
    assert await server_catalog.commit(put("b")) == 1


async def test_a_server_that_is_not_there(postgres_server: PostgresServer) -> None:
    url = postgres_server.url("no_such_database")
    with pytest.raises(CatalogUnavailable, match="no_such_database"):
        await open_catalog(url)
    catalog = PostgresCatalog(url, durable=True, random=lambda: 0.0)
    with pytest.raises(CatalogUnavailable):
        await catalog.one(GET, "a")
    with pytest.raises(CatalogUnavailable):
        await catalog.commit(put("a"))
    await catalog.close()


@pytest.mark.parametrize(("durable", "expected"), [(True, "on"), (False, "off")])
async def test_commits_are_synced_when_durable(url: str, expected: str, *, durable: bool) -> None:
    # the test server's own default is off
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        name = (await (await connection.execute("select current_database()")).fetchall())[0][0]
        await connection.execute(f"alter database {name} set synchronous_commit = on".encode())
    show = Sql("select 1", postgres="show synchronous_commit")
    catalog = PostgresCatalog(url, durable=durable, random=lambda: 0.0)

    def change() -> Change[object]:
        [(setting,)] = yield show, ()
        return setting

    assert await catalog.commit(change) == expected
    await catalog.close()


class CountingPool(Pool):
    def __init__(self, url: str, most: int) -> None:
        super().__init__(url, most)
        self.turns = 0

    async def _turn(self) -> None:
        self.turns += 1
        await super()._turn()


async def test_the_reads_of_a_tick_share_a_pipeline(url: str) -> None:
    pool = CountingPool(url, 2)
    reads = Reads(pool)
    asked = [reads.ask("select $1::bigint", (number,)) for number in range(PIPELINE)]
    assert await asyncio.gather(*asked) == [[(number,)] for number in range(PIPELINE)]
    assert pool.turns == 1
    asked = [reads.ask("select $1::bigint", (number,)) for number in range(PIPELINE * 2 + 1)]
    assert await asyncio.gather(*asked) == [[(n,)] for n in range(PIPELINE * 2 + 1)]
    assert pool.turns == 1 + 3
    await reads.close()
    await pool.forget()


async def test_a_reader_that_is_cancelled_does_not_disturb_the_others(url: str) -> None:
    pool = Pool(url, 1)
    reads = Reads(pool)
    tasks = [asyncio.ensure_future(reads.ask("select $1::bigint", (n,))) for n in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [outcomes[0], *outcomes[2:]] == [[(0,)], [(2,)], [(3,)]]
    await reads.close()
    await pool.forget()


async def test_a_pool_makes_no_more_connections_than_it_may(url: str) -> None:
    pool = Pool(url, 2)
    seen = set()

    async def use() -> None:
        async with pool.taken() as connection:
            seen.add(connection.info.backend_pid)
            await connection.execute("select 1")

    await asyncio.gather(*(use() for _ in range(20)))
    assert len(seen) <= 2
    await pool.forget()


async def test_a_connection_in_the_middle_of_something_is_not_given_to_the_next(url: str) -> None:
    pool = Pool(url, 1)
    async with pool.taken() as connection:
        await connection.execute("begin")
        first = connection.info.backend_pid
    async with pool.taken() as connection:
        assert connection.info.backend_pid != first
    await pool.forget()


async def test_a_session_that_cannot_be_set_up_is_closed(url: str) -> None:
    with pytest.raises(psycopg.Error):
        await connect(url, session="set no_such_setting = 1")
