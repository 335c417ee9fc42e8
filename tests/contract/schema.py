"""The schema as a database has it, in words that are the same for both.

`python tests/contract/schema.py` writes `schema.txt` anew after a migration was added.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

from retinue.registry.catalog.opening import migrate_now

FILE = Path(__file__).with_name("schema.txt")
Ask = Callable[..., Sequence[tuple[Any, ...]]]

_TYPES = {"bigint": "int", "integer": "int", "bytea": "bytes", "blob": "bytes", "text": "text"}

_PG_TABLES = """select relname from pg_class
where relkind = 'r' and relnamespace = 'public'::regnamespace order by relname"""
_PG_COLUMNS = """select attname, format_type(atttypid, null), attnotnull,
  case when attcollation = 'pg_catalog."C"'::regcollation then 'C' else attcollation::text end,
  attidentity <> ''
from pg_attribute where attrelid = $1::text::regclass and attnum > 0 order by attnum"""
_PG_INDEXES = """select indisprimary, indisunique,
  array(select attname::text from unnest(indkey::int[]) with ordinality k (n, o)
    join pg_attribute on attrelid = indrelid and attnum = n order by o)
from pg_index where indrelid = $1::text::regclass"""
_PG_FOREIGN = """select confrelid::regclass::text, confdeltype = 'c',
  array(select attname::text from unnest(conkey) k (n)
    join pg_attribute on attrelid = conrelid and attnum = n)
from pg_constraint where contype = 'f' and conrelid = $1::text::regclass"""


def _table(name: str, columns: Sequence[str], rest: Sequence[str]) -> Iterator[str]:
    yield name
    yield from (f"  {column}" for column in columns)
    yield from (f"  {line}" for line in sorted(rest))


def _index(*, primary: bool, unique: bool, columns: Sequence[str]) -> str:
    word = "key" if primary else "unique" if unique else "index"
    return f"{word} ({', '.join(columns)})"


def _foreign(column: str, table: str, *, cascade: bool) -> str:
    return f"{column} of {table}{' on delete cascade' if cascade else ''}"


def export_sqlite(connection: apsw.Connection) -> str:
    """Reads the schema of an open SQLite database."""

    def ask(text: str, *args: str) -> Sequence[tuple[Any, ...]]:
        return connection.execute(text, args).fetchall()

    names = ask(
        r"select name from sqlite_schema where type = 'table' and name not like 'sqlite\_%' "
        r"escape '\' order by name"
    )
    return "\n".join(line for (name,) in names for line in _from_sqlite(ask, name)) + "\n"


def _from_sqlite(ask: Ask, name: str) -> Iterator[str]:
    columns, key = [], {}
    for column, kind, required, position in ask(
        'select name, lower(type), "notnull", pk from pragma_table_info(?)', name
    ):
        columns.append(f"{column} {_TYPES[kind]}{' not null' if required or position else ''}")
        if position:
            key[position] = column
    rest = [_index(primary=True, unique=True, columns=[key[n] for n in sorted(key)])]
    for index, unique, origin in ask(
        'select name, "unique", origin from pragma_index_list(?)', name
    ):
        if origin != "pk":
            parts = [row[0] for row in ask("select name from pragma_index_info(?)", index)]
            rest.append(_index(primary=False, unique=unique, columns=parts))
    rest += [
        _foreign(column, table, cascade=action == "CASCADE")
        for column, table, action in ask(
            'select "from", "table", on_delete from pragma_foreign_key_list(?)', name
        )
    ]
    return _table(name, columns, rest)


def export_postgres(ask: Ask) -> str:
    """Reads the schema of a PostgreSQL database; every text must be `collate "C"`."""
    names = ask(_PG_TABLES)
    return "\n".join(line for (name,) in names for line in _from_postgres(ask, name)) + "\n"


def _from_postgres(ask: Ask, name: str) -> Iterator[str]:
    columns = []
    for column, kind, required, collation, _identity in ask(_PG_COLUMNS, name):
        if kind == "text" and collation != "C":
            raise ValueError(f"{name}.{column} sorts by locale")
        columns.append(f"{column} {_TYPES[kind]}{' not null' if required else ''}")
    rest = [
        _index(primary=primary, unique=unique, columns=parts)
        for primary, unique, parts in ask(_PG_INDEXES, name)
    ]
    rest += [
        _foreign(column, table, cascade=cascade)
        for table, cascade, [column] in ask(_PG_FOREIGN, name)
    ]
    return _table(name, columns, rest)


def export_new_sqlite(folder: Path) -> str:
    path = folder / "catalog.db"
    migrate_now(f"sqlite:{path}")
    connection = apsw.Connection(str(path))
    try:
        return export_sqlite(connection)
    finally:
        connection.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        FILE.write_text(export_new_sqlite(Path(name)))
    sys.stdout.write(f"{FILE}\n")
