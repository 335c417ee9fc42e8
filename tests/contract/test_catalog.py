"""What every `Catalog` does, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import apsw
import psycopg
import pytest

from databases import PostgresServer
from retinue.errors import RetinueError
from retinue.registry.catalog import locks, meta, migrate
from retinue.registry.catalog.db import (
    Catalog,
    Change,
    Constraint,
    ConstraintViolated,
    Sql,
)
from retinue.registry.catalog.opening import open_catalog

PUT = Sql("insert into hold (name, until) values (:name, :until)")
ADD = Sql("update hold set until = until + :more where name = :name returning until")
GET = Sql("select name, until from hold where name = :name")
LIST = Sql("select name, until from hold where name > :after order by name limit :most")
SUM = Sql("select sum(until), count(*), max(name) from hold", scans=True)
PROJECT = Sql("insert into project (name) values (:name) returning id")
REPOSITORY = Sql("insert into repository (project, name) values (:project, :name) returning id")
OBJECT = Sql("insert into object (digest, size, location) values (:digest, :size, :location)")
READ_OBJECT = Sql("select digest, size, location from object where digest = :digest")
UNHOLD = Sql("update hold set until = :until where name = :name")

MIGRATED = Sql("insert into migration (number, sha256) values (:number, :sha256)")
EDITED = Sql("update migration set sha256 = :sha256 where number = 1")


class Refused(RetinueError):
    pass


def put(name: str, until: int = 1) -> Callable[[], Change[str]]:
    def change() -> Change[str]:
        yield PUT, (name, until)
        return name

    return change


async def names(catalog: Catalog) -> list[object]:
    return [row[0] for row in await catalog.rows(LIST, "", 1000)]


async def test_a_commit_is_seen_by_the_next_read(catalog: Catalog) -> None:
    assert await catalog.commit(put("a", 7)) == "a"
    assert await catalog.one(GET, "a") == ("a", 7)


async def test_one_is_none_and_rows_are_empty_where_nothing_is(catalog: Catalog) -> None:
    assert await catalog.one(GET, "a") is None
    assert list(await catalog.rows(LIST, "", 10)) == []


async def test_a_change_that_yields_nothing_has_a_result(catalog: Catalog) -> None:
    def change() -> Change[int]:
        return 3
        yield PUT, ("never", 1)

    assert await catalog.commit(change) == 3


async def test_rows_come_back_as_tuples_of_str_int_bytes_and_none(catalog: Catalog) -> None:
    digest = bytes(range(33))

    def change() -> Change[None]:
        yield OBJECT, (digest, 1 << 40, None)

    await catalog.commit(change)
    row = await catalog.one(READ_OBJECT, digest)
    assert row == (digest, 1 << 40, None)
    assert [type(value) for value in row or ()] == [bytes, int, type(None)]


async def test_a_sum_is_an_int(catalog: Catalog) -> None:
    await catalog.commit(put("a", 1 << 50))
    await catalog.commit(put("b", 2))
    row = await catalog.one(SUM)
    assert row == ((1 << 50) + 2, 2, "b")
    assert [type(value) for value in row or ()] == [int, int, str]


async def test_a_bool_is_stored_as_a_number(catalog: Catalog) -> None:
    await catalog.commit(put("a", until=True))
    assert await catalog.one(GET, "a") == ("a", 1)


async def test_text_sorts_by_code_point(catalog: Catalog) -> None:
    for name in ["b", "A", "a-1", "a1", "B", "é", "_"]:
        await catalog.commit(put(name))
    assert await names(catalog) == ["A", "B", "_", "a-1", "a1", "b", "é"]


async def test_what_a_change_raises_undoes_it_alone(catalog: Catalog) -> None:
    def refused() -> Change[None]:
        yield PUT, ("refused", 1)
        raise Refused

    outcomes = await asyncio.gather(
        catalog.commit(put("a")),
        catalog.commit(refused),
        catalog.commit(put("b")),
        return_exceptions=True,
    )
    assert outcomes[0] == "a"
    assert outcomes[2] == "b"
    assert isinstance(outcomes[1], Refused)
    assert await names(catalog) == ["a", "b"]


@pytest.mark.parametrize("error", [StopIteration, KeyError, asyncio.CancelledError])
async def test_a_change_that_fails_before_it_starts_hurts_nobody(
    catalog: Catalog, error: type[BaseException]
) -> None:
    def broken() -> Change[None]:
        raise error

    task = asyncio.ensure_future(catalog.commit(broken))
    other = asyncio.ensure_future(catalog.commit(put("a")))
    done, _ = await asyncio.wait({task})
    assert done == {task}
    assert task.cancelled() or isinstance(task.exception(), (error, RuntimeError))
    assert await other == "a"


async def test_concurrent_changes_of_one_row_all_count(catalog: Catalog) -> None:
    await catalog.commit(put("a", 0))

    def add() -> Change[object]:
        [(until,)] = yield ADD, (1, "a")
        return until

    seen = await asyncio.gather(*(catalog.commit(add) for _ in range(40)))
    assert set(seen) == set(range(1, 41))


@pytest.mark.parametrize(
    ("sql", "args", "kind"),
    [
        (PUT, ("a", 2), Constraint.UNIQUE),
        (PUT, ("b", None), Constraint.NOT_NULL),
        (REPOSITORY, (99, "p/r"), Constraint.FOREIGN_KEY),
    ],
)
async def test_a_broken_constraint_is_raised_into_the_change_which_says_what_it_means(
    catalog: Catalog, sql: Sql, args: tuple[object, ...], kind: Constraint
) -> None:
    await catalog.commit(put("a"))
    seen = []

    def change() -> Change[None]:
        yield PUT, ("before", 1)
        try:
            yield sql, args
        except ConstraintViolated as violated:
            seen.append(violated.kind)
            raise Refused from violated

    with pytest.raises(Refused):
        await catalog.commit(change)
    assert seen == [kind]
    assert await names(catalog) == ["a"]


@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_change_that_swallows_a_broken_constraint_is_undone(
    catalog: Catalog, *, goes_on: bool
) -> None:
    await catalog.commit(put("a"))

    def change() -> Change[None]:
        yield PUT, ("before", 1)
        try:
            yield PUT, ("a", 2)
        except ConstraintViolated:
            if goes_on:
                yield PUT, ("after", 1)

    with pytest.raises(ConstraintViolated) as raised:
        await catalog.commit(change)
    assert raised.value.kind is Constraint.UNIQUE
    assert await names(catalog) == ["a"]


async def test_a_broken_constraint_in_the_first_statement(catalog: Catalog) -> None:
    await catalog.commit(put("a"))
    with pytest.raises(ConstraintViolated):
        await catalog.commit(put("a"))
    assert await catalog.commit(put("b")) == "b"


async def test_a_cancelled_caller_does_not_disturb_the_others(catalog: Catalog) -> None:
    tasks = [asyncio.ensure_future(catalog.commit(put(f"{n:02}"))) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[1::2] == [f"{n:02}" for n in range(1, 20, 2)]
    assert set(outcomes[1::2]) <= set(await names(catalog))
    assert await catalog.commit(put("later")) == "later"


async def test_pages_give_every_row_once_in_order(catalog: Catalog) -> None:
    expected = [f"{number:05}" for number in range(1250)]

    def change() -> Change[None]:
        for name in expected:
            yield PUT, (name, 1)

    await catalog.commit(change)
    pages = [page async for page in catalog.pages(LIST, "")]
    assert [len(page) for page in pages] == [500, 500, 250]
    assert expected == [row[0] for page in pages for row in page]


async def test_pages_start_behind_what_they_are_given(catalog: Catalog) -> None:
    for name in "abc":
        await catalog.commit(put(name))
    assert [list(page) async for page in catalog.pages(LIST, "a")] == [[("b", 1), ("c", 1)]]


async def test_pages_refuse_a_statement_without_keyset(catalog: Catalog) -> None:
    with pytest.raises(ValueError, match="after and most"):
        async for _ in catalog.pages(GET, "a"):
            pass


async def test_a_faulty_read_fails_alone(catalog: Catalog) -> None:
    await catalog.commit(put("a"))
    outcomes = await asyncio.gather(
        catalog.one(GET, "a"),
        catalog.one(GET, "a", "one too many"),
        catalog.one(GET, "a"),
        catalog.one(LIST, "", "not a number"),
        catalog.rows(GET, "a"),
        return_exceptions=True,
    )
    assert [outcomes[0], outcomes[2], outcomes[4]] == [("a", 1), ("a", 1), [("a", 1)]]
    assert isinstance(outcomes[1], Exception)
    assert isinstance(outcomes[3], Exception)


async def test_reads_cannot_write(catalog: Catalog) -> None:
    with pytest.raises(Exception, match=r"(?i)read-?only|readonly"):
        await catalog.one(PUT, "a", 1)
    assert await names(catalog) == []


async def test_more_reads_than_connections_are_all_answered(catalog: Catalog) -> None:
    for number in range(10):
        await catalog.commit(put(str(number), number))
    rows = await asyncio.gather(*(catalog.one(GET, str(n % 10)) for n in range(500)))
    assert [(str(n % 10), n % 10) for n in range(500)] == rows


async def test_locks_are_taken_and_let_go_with_the_transaction(catalog: Catalog) -> None:
    def change(name: str) -> Callable[[], Change[None]]:
        def steps() -> Change[None]:
            yield from locks.shared(1)
            yield from locks.exclusive(1)
            yield PUT, (name, 1)

        return steps

    await catalog.commit(change("a"))
    await catalog.commit(change("b"))
    assert await names(catalog) == ["a", "b"]


async def test_ids_are_not_used_twice(catalog: Catalog) -> None:
    drop = Sql("delete from project where id = :id")

    def change() -> Change[object]:
        [(first,)] = yield PROJECT, ("a",)
        yield drop, (first,)
        [(second,)] = yield PROJECT, ("b",)
        return int(str(second)) > int(str(first))

    assert await catalog.commit(change)


async def test_a_new_catalog_has_its_numbers_and_a_secret_of_its_own(database: str) -> None:
    catalog = await open_catalog(database, durable=False)
    first = await meta.secret(catalog)
    assert await meta.schema(catalog) == len(migrate.known())
    assert await meta.min_code(catalog) <= len(migrate.known())
    assert await meta.links_version(catalog) == 1
    assert len(first) == 32
    await catalog.commit(lambda: meta.set_links_version(2))
    await catalog.close()
    again = await open_catalog(database, durable=False)
    assert await meta.secret(again) == first
    assert await meta.links_version(again) == 2
    await again.close()


async def test_several_catalogs_may_open_the_same_database_at_once(database: str) -> None:
    catalogs = await asyncio.gather(*(open_catalog(database, durable=False) for _ in range(4)))
    await asyncio.gather(
        *(one.commit(put(f"{n}")) for n, one in enumerate(catalogs)),
    )
    assert [await names(one) for one in catalogs] == [["0", "1", "2", "3"]] * 4
    await asyncio.gather(*(one.close() for one in catalogs))


async def test_an_empty_server_database_is_migrated_once_by_several(
    postgres_server: PostgresServer,
) -> None:
    with postgres_server.database("template0") as url:
        catalogs = await asyncio.gather(*(open_catalog(url, durable=False) for _ in range(3)))
        secrets = {await meta.secret(one) for one in catalogs}
        await asyncio.gather(*(one.close() for one in catalogs))
    assert len(secrets) == 1


async def test_a_newer_schema_that_needs_newer_code_is_refused(database: str) -> None:
    catalog = await open_catalog(database, durable=False)

    def newer() -> Change[None]:
        yield MIGRATED, (len(migrate.known()) + 1, "0" * 64)
        yield meta.WRITE, ("min_code", str(len(migrate.known()) + 1))

    await catalog.commit(newer)
    await catalog.close()
    with pytest.raises(migrate.SchemaTooNew, match="start a newer version"):
        await open_catalog(database, durable=False)


async def test_a_newer_schema_that_allows_this_code_is_used_as_it_is(database: str) -> None:
    catalog = await open_catalog(database, durable=False)

    def newer() -> Change[None]:
        yield MIGRATED, (len(migrate.known()) + 1, "0" * 64)
        yield meta.WRITE, ("schema", str(len(migrate.known()) + 1))

    await catalog.commit(newer)
    await catalog.close()
    again = await open_catalog(database, durable=False)
    assert await meta.schema(again) == len(migrate.known()) + 1
    await again.close()


async def test_an_edited_migration_is_refused(database: str) -> None:
    catalog = await open_catalog(database, durable=False)

    def edited() -> Change[None]:
        yield EDITED, ("0" * 64,)

    await catalog.commit(edited)
    await catalog.close()
    with pytest.raises(migrate.MigrationEdited):
        await open_catalog(database, durable=False)


async def test_a_database_of_somebody_else_is_refused_and_left_alone(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    path = tmp_path / "catalog.db"
    connection = apsw.Connection(str(path))
    connection.execute("create table theirs (x)")
    connection.close()
    with postgres_server.database("template0") as url:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as server:
            await server.execute("create table theirs (x int)")
        for database in (f"sqlite:{path}", url):
            for _ in range(2):
                with pytest.raises(migrate.ForeignData, match="theirs"):
                    await open_catalog(database)
