"""No statement does more where every column is at its worst, unless it says so (ADR 7).

Each is run in tables of two sizes: the larger may cost what a deeper tree costs, and no more.
"""

import ast
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import apsw
import psycopg
import pytest

import retinue.registry
from contract import worst
from contract.statements import Statement, every_statement
from contract.work import Postgres, parameter_types, postgres_work, sqlite_work
from databases import PostgresServer
from retinue.registry.catalog import check
from retinue.registry.catalog.db import Sql
from retinue.registry.catalog.opening import migrate_now
from retinue.registry.catalog.pgconnections import PLANS

FEW, MANY = 400, 2_000
SOME, VERY_MANY = 4_000, 12_000
"""On PostgreSQL, which plans by size, and is right to read a small table whole."""
MORE = 300
"""Steps, or rows, that may come on top: of deeper trees, or of pages that were not full."""


@pytest.fixture(scope="module")
def statements() -> Sequence[Statement]:
    return [each for each in every_statement() if not each.idle]


@pytest.fixture(scope="module", params=[False, True], ids=["sound", "quarantined"])
def quarantined(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def _sqlite(path: Path, many: int, *, quarantined: bool) -> apsw.Connection:
    migrate_now(f"sqlite:{path}")
    connection = apsw.Connection(str(path))
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)

    def insert(table: str, rows: Sequence[tuple[object, ...]]) -> None:
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"insert into {table} values ({marks})", rows)

    with connection:
        worst.fill(insert, many, quarantined=quarantined)
    return connection


@pytest.fixture(scope="module")
def sqlite(
    tmp_path_factory: pytest.TempPathFactory, quarantined: bool
) -> Iterator[tuple[apsw.Connection, apsw.Connection]]:
    folder = tmp_path_factory.mktemp("worst")
    few = _sqlite(folder / "few.db", FEW, quarantined=quarantined)
    many = _sqlite(folder / "many.db", MANY, quarantined=quarantined)
    yield few, many
    few.close()
    many.close()


def _postgres(connection: Postgres, many: int, *, quarantined: bool) -> Postgres:
    connection.prepare_threshold = None  # else psycopg deallocates what is prepared here
    connection.execute("set session_replication_role = replica")

    def insert(table: str, rows: Sequence[tuple[object, ...]]) -> None:
        columns = table.partition("(")[2].rstrip(")")
        with connection.cursor().copy(
            f"copy {table.partition(' ')[0]} ({columns}) from stdin".encode()
        ) as copy:
            for row in rows:
                copy.write_row(row)

    worst.fill(insert, many, quarantined=quarantined)
    for table in ("project", "repository", "object"):
        connection.execute(f"alter table {table} alter id restart with 1000000".encode())
    connection.execute("analyze")
    connection.execute(PLANS.encode())
    return connection


@pytest.fixture(scope="module")
def postgres(
    postgres_server: PostgresServer, quarantined: bool
) -> Iterator[tuple[Postgres, Postgres]]:
    with ExitStack() as stack:
        few, many = (
            _postgres(
                stack.enter_context(
                    psycopg.connect(
                        stack.enter_context(postgres_server.database()), autocommit=True
                    )
                ),
                number,
                quarantined=quarantined,
            )
            for number in (SOME, VERY_MANY)
        )
        yield few, many


def _grown(
    statements: Sequence[Statement], work: Callable[[Statement, int], int]
) -> list[tuple[int, int, str]]:
    found = []
    for each in statements:
        few, many = work(each, 0), work(each, 1)
        if many > few * 1.2 + MORE and not each.scans and not each.grows:
            found.append((few, many, each.sqlite))
    return found


def _arguments(postgres: Postgres, each: Statement) -> Sequence[object]:
    types = parameter_types(postgres, each.postgres)
    return worst.arguments(each.sqlite, each.names, types)


def test_sqlite_does_not_do_more(
    sqlite: tuple[apsw.Connection, ...],
    postgres: tuple[Postgres, ...],
    statements: Sequence[Statement],
) -> None:
    def work(each: Statement, which: int) -> int:
        return sqlite_work(sqlite[which], each.sqlite, _arguments(postgres[0], each))

    assert _grown(statements, work) == []


def test_postgres_does_not_do_more(
    postgres: tuple[Postgres, ...], statements: Sequence[Statement]
) -> None:
    def work(each: Statement, which: int) -> int:
        return postgres_work(postgres[which], each.postgres, _arguments(postgres[0], each))

    assert _grown(statements, work) == []


def test_none_is_quadratic(
    sqlite: tuple[apsw.Connection, ...],
    postgres: tuple[Postgres, ...],
    statements: Sequence[Statement],
) -> None:
    """Also not those that say that they grow."""
    problems = []
    for each in statements:
        args = _arguments(postgres[0], each)
        few, many = (sqlite_work(one, each.sqlite, args) for one in sqlite)
        if many > few * 1.5 * MANY / FEW + MORE:
            problems.append((few, many, each.sqlite))
        few, many = (postgres_work(one, each.postgres, args) for one in postgres)
        if many > few * 1.5 * VERY_MANY / SOME + MORE:
            problems.append((few, many, each.postgres))
    assert problems == []


@pytest.mark.parametrize("sql", [check._SUBJECTS, check.UNWITNESSED], ids=["subjects", "strays"])
def test_pages_of_a_scan_do_not_read_again_what_others_read(
    sqlite: tuple[apsw.Connection, ...], sql: Sql
) -> None:
    """All pages together cost what there is, not what there is for each of them."""
    few, many = (_whole(connection, sql) for connection in sqlite)
    assert many < few * 1.2 * MANY / FEW + MORE


def _whole(connection: apsw.Connection, sql: Sql) -> int:
    place: tuple[object, ...] = (b"",) * (len(sql.names) - 2)
    work = 0
    for _ in range(MANY):
        args = (1, *place, worst.MOST)
        work += sqlite_work(connection, sql.sqlite, args)
        page = connection.execute(sql.sqlite, args).fetchall()
        if len(page) < worst.MOST:
            return work
        place = page[-1][: len(place)]
    raise AssertionError("it does not end")


def test_what_grows_is_not_asked_on_the_event_loop() -> None:
    """`one` and `rows` are inline on SQLite; all of it is: what they are given by name is looked
    up."""
    modules = [
        importlib.import_module(each.name)
        for each in pkgutil.walk_packages(retinue.registry.__path__, "retinue.registry.")
    ]
    asked = [found for module in modules for found in _inline(module)]
    assert len(asked) > 10
    assert [sql.sqlite for sql in asked if sql.scans or sql.grows] == []


def _inline(module: ModuleType) -> Iterator[Sql]:
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text("utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"one", "rows"}
            and node.args
            and isinstance(node.args[0], ast.Name)
        ):
            sql = getattr(module, node.args[0].id, None)
            if isinstance(sql, Sql):
                yield sql
