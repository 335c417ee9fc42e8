"""How much a statement does: steps of SQLite's machine, rows that nodes of PostgreSQL's plan see."""

from collections.abc import Sequence
from typing import Any

import apsw
import psycopg
from psycopg import sql as literals

_SEEN = ("Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck")
Postgres = psycopg.Connection[tuple[Any, ...]]


def sqlite_work(connection: apsw.Connection, text: str, args: Sequence[Any]) -> int:
    """Nothing of what it does stays."""
    steps: list[int] = []

    def ended(event: Any) -> None:
        steps.append(event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])

    connection.execute("savepoint work")
    connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, ended)
    try:
        connection.execute(text, tuple(args)).fetchall()
    finally:
        connection.trace_v2(0, None)
        connection.execute("rollback to work")
        connection.execute("release work")
    return sum(steps)


def parameter_types(connection: Postgres, text: str) -> Sequence[str]:
    """Of a statement, by position."""
    connection.execute(f"prepare each as {text}".encode())
    try:
        [(types,)] = connection.execute(
            "select parameter_types::text[] from pg_prepared_statements where name = 'each'"
        )
        found: Sequence[str] = types
        return found
    finally:
        connection.execute("deallocate each")


def postgres_work(connection: Postgres, text: str, args: Sequence[Any]) -> int:
    """The same; its plan is the one for any values."""
    connection.execute(f"prepare each as {text}".encode())
    values = ", ".join(literals.Literal(each).as_string(connection) for each in args)
    run = f"execute each({values})" if args else "execute each"
    connection.execute("begin")
    try:
        [([found],)] = connection.execute(
            f"explain (analyze, timing off, format json) {run}".encode()
        )
    finally:
        connection.execute("rollback")
        connection.execute("deallocate each")
    return _rows(found["Plan"])


def _rows(node: Any) -> int:
    seen = node["Actual Rows"] + sum(node.get(key, 0) for key in _SEEN)
    below = sum(_rows(each) for each in node.get("Plans", ()))
    return int(node["Actual Loops"] * seen + below)
