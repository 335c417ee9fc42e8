"""What SQLite believes about the tables: numbers of ours, so that plans never depend on the data.

The text of a statement says in which order its tables are read; these choose the index (ADR 7).

Without statistics SQLite takes a repository for ten rows and reads all of one; with measured ones
a plan is as good as the day on which it was measured. These say what a registry is like: a
repository is large, and whatever comes after it in a key narrows it to a few rows.
"""

import apsw

_TABLE_ROWS = 1_000_000
_PER_REPOSITORY = 100_000
_PER_PREFIX = 10

_INDEXES = """
    select s.name, i.name, i."unique" from sqlite_schema s, pragma_index_list(s.name) i
    where s.type = 'table' and s.name not like 'sqlite_%'"""
_COLUMNS = "select name from pragma_index_info(?) order by seqno"


def teach(connection: apsw.Connection) -> None:
    """Write the numbers for every index; connections that are opened later plan by them."""
    connection.execute("analyze meta")  # makes the table that holds them
    connection.execute("delete from sqlite_stat1")
    for table, index, unique in connection.execute(_INDEXES).fetchall():
        columns = [str(name) for (name,) in connection.execute(_COLUMNS, (index,))]
        connection.execute(
            "insert into sqlite_stat1 (tbl, idx, stat) values (?, ?, ?)",
            (table, index, _numbers(columns, unique=bool(unique))),
        )


def _numbers(columns: list[str], *, unique: bool) -> str:
    """Rows of the table, then rows for each longer prefix of the index (sqlite.org/fileformat2)."""
    rows = [_PER_REPOSITORY if name == "repository" else _PER_PREFIX for name in columns]
    if unique:
        rows[-1] = 1
    return " ".join(str(number) for number in (_TABLE_ROWS, *rows))
