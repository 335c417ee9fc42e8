"""What PostgreSQL is told about the tables: as `planner` does for SQLite, by its own means.

Left alone it takes a repository for as many rows as repositories have on average. Where most are
small and one is large, plans that read all of one look as cheap as a look-up.
"""

from retinue.registry.catalog.pgconnections import Connection

_COLUMNS = """
    select distinct t.relname, a.attname, a.attname = 'repository'
    from pg_index i
    join pg_class t on t.oid = i.indrelid
    join pg_attribute a on a.attrelid = t.oid and a.attnum = any (i.indkey)
    where t.relnamespace = cast(current_schema() as regnamespace) and t.relkind = 'r'
    and i.indnkeyatts > 1 and (a.attname = 'repository' or a.atttypid = 'bytea'::regtype)"""
_ALL_ROWS = 1
_TEN_ROWS = -0.1


async def teach(connection: Connection) -> None:
    """Say it for the columns of every index of several: a repository is the whole table, and any
    other value has ten rows. It counts from the next `analyze` on."""
    cursor = await connection.execute(_COLUMNS)
    columns = await cursor.fetchall()
    for table, column, is_repository in columns:
        rows = _ALL_ROWS if is_repository else _TEN_ROWS
        set_rows = f"alter table {table} alter column {column} set (n_distinct = {rows})"
        await connection.execute(set_rows.encode())
    for table in sorted({table for table, _, _ in columns}):
        await connection.execute(f"analyze {table}".encode())
