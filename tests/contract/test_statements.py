"""Every statement of the program is understood by both databases, and none reads a whole table."""

from collections.abc import Callable, Iterator, Sequence

import apsw
import psycopg
import pytest

from contract.plans import plan, repositories, scans
from contract.statements import Statement, every_statement
from counting import Counted
from databases import PostgresServer
from retinue.registry.catalog.db import Catalog, Change, Sql
from retinue.registry.catalog.opening import migrate_now

LIST = Sql("select name, until from hold where name > :after order by name limit :most")
PUT = Sql("insert into hold (name, until) values (:name, :until)")


@pytest.fixture(scope="module")
def statements() -> Sequence[Statement]:
    return every_statement()


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apsw.Connection]:
    path = tmp_path_factory.mktemp("statements") / "catalog.db"
    migrate_now(f"sqlite:{path}")
    connection = apsw.Connection(str(path))
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def tables(sqlite: apsw.Connection) -> frozenset[str]:
    rows = sqlite.execute("select name from sqlite_schema where type = 'table'")
    return frozenset(str(row[0]) for row in rows)


@pytest.fixture(scope="module")
def postgres(postgres_server: PostgresServer) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with (
        postgres_server.database() as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        yield connection


def test_there_are_statements(statements: Sequence[Statement]) -> None:
    assert len(statements) > 5


def test_sqlite_prepares_each(sqlite: apsw.Connection, statements: Sequence[Statement]) -> None:
    problems = []
    for sql in statements:
        try:
            plan(sqlite, sql.sqlite)
        except apsw.SQLError as error:
            problems.append((str(error), sql.sqlite))
    assert problems == []


def test_postgres_prepares_each(
    postgres: "psycopg.Connection[tuple[object, ...]]", statements: Sequence[Statement]
) -> None:
    problems = []
    for sql in statements:
        try:
            postgres.execute(f"prepare each as {sql.postgres}".encode())
            postgres.execute("deallocate each")
        except psycopg.Error as error:
            problems.append((str(error), sql.postgres))
    assert problems == []


def test_none_scans_a_table_unless_it_says_so(
    sqlite: apsw.Connection, tables: frozenset[str], statements: Sequence[Statement]
) -> None:
    problems = [
        (found, sql.sqlite)
        for sql in statements
        if not sql.scans and (found := scans(plan(sqlite, sql.sqlite), sql.sqlite, tables))
    ]
    assert problems == []


def test_none_reads_a_whole_repository_unless_it_says_so(
    sqlite: apsw.Connection, statements: Sequence[Statement]
) -> None:
    """A push must cost the same in a repository of ten and of a hundred thousand manifests."""
    problems = [
        (found, sql.sqlite)
        for sql in statements
        if not sql.scans and (found := repositories(plan(sqlite, sql.sqlite)))
    ]
    assert problems == []


def test_a_whole_repository_is_recognised(sqlite: apsw.Connection) -> None:
    text = "select media_type from manifest where repository = ?1 and artifact_type is null"
    assert len(repositories(plan(sqlite, text))) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select digest from object where size = :size", ["SCAN object"]),
        ("select t.digest from object t where t.size = :size", ["SCAN t"]),
        ("select t.digest from object as t where t.size = :size", ["SCAN t"]),
        ("select digest from tag where repository = :repository", []),
        ("select 1", []),
        ("with n (i) as (values (1)) select i from n", []),
        (
            """with recursive up (digest) as (select :digest union
            select l.source from up join link l on l.repository = :r and l.target = up.digest)
            select digest from up""",
            [],
        ),
    ],
)
def test_a_scan_is_recognised_for_what_it_is(
    sqlite: apsw.Connection, tables: frozenset[str], text: str, expected: list[str]
) -> None:
    text = Sql(text).sqlite
    found = scans(plan(sqlite, text), text, tables)
    assert [line.split(" USING")[0] for line in found] == expected


async def test_counting_tells_a_query_in_a_loop_from_one_query(catalog: Catalog) -> None:
    counted = Counted(catalog)

    def put(most: int) -> Callable[[], Change[None]]:
        def change() -> Change[None]:
            for number in range(most):
                yield PUT, (f"{most}-{number}", 1)

        return change

    await counted.commit(put(3))
    assert counted.taken() == 3
    await counted.commit(put(30))
    assert counted.taken() == 30
    await counted.rows(LIST, "", 10)
    few = counted.taken()
    await counted.rows(LIST, "", 1000)
    assert counted.taken() == few == 1
    assert [len(page) async for page in counted.pages(LIST, "")] == [33]
    assert counted.statements == [LIST]
