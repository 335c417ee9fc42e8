"""The migrations make the same schema on both databases: the one in `schema.txt`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from contract.schema import FILE, export_new_sqlite, export_postgres
from databases import PostgresServer

EXPECTED = FILE.read_text(encoding="utf-8")


def test_on_sqlite(tmp_path: Path) -> None:
    assert export_new_sqlite(tmp_path) == EXPECTED


def test_on_postgres(postgres_server: PostgresServer) -> None:
    with (
        postgres_server.database() as url,
        psycopg.connect(url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection,
    ):

        def ask(text: str, *args: str) -> Sequence[tuple[Any, ...]]:
            return connection.execute(text.encode(), args).fetchall()

        assert export_postgres(ask) == EXPECTED
