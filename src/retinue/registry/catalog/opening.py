"""From `--database` to a catalog that is ready: `sqlite:PATH` or `postgresql://…`."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from retinue.errors import RetinueError
from retinue.registry.catalog import sqlite
from retinue.registry.catalog.db import Catalog

SQLITE = "sqlite:"
POSTGRES = ("postgresql://", "postgres://")


class DatabaseUnknown(RetinueError):
    """`--database` names no kind of database that there is."""

    def __init__(self, scheme: str) -> None:
        super().__init__(f"database {scheme!r} is unknown: use sqlite:PATH or postgresql://…")
        self.scheme = scheme


def sqlite_path(database: str) -> Path | None:
    """The file of a `sqlite:PATH`; None for `postgresql://…`. Raises DatabaseUnknown."""
    if database.startswith(SQLITE) and database != SQLITE:
        return Path(database.removeprefix(SQLITE))
    if database.startswith(POSTGRES):
        return None
    raise DatabaseUnknown(database.partition(":")[0])  # the rest may hold a password


async def open_catalog(
    database: str, *, durable: bool = True, random: Callable[[int], bytes] = os.urandom
) -> Catalog:
    """Migrate where needed, and connect. Called in the process that will use it, after any fork.

    `durable`: a commit is on the disk when it returns. Raises DatabaseUnknown, CatalogUnavailable,
    SchemaTooNew, MigrationEdited, NetworkFilesystem, LibraryTooOld, DriverMissing.
    """
    path = sqlite_path(database)
    if path is not None:
        file = sqlite.SqliteFile(path, durable=durable)
        await asyncio.to_thread(sqlite.upgrade, file, random)
        return sqlite.SqliteCatalog(file)
    raise DatabaseUnknown(database.partition(":")[0])


def migrate_now(database: str, *, random: Callable[[int], bytes] = os.urandom) -> Sequence[int]:
    """Migrate, outside of any event loop; nothing stays open. Returns the numbers applied."""
    path = sqlite_path(database)
    if path is not None:
        return sqlite.upgrade(sqlite.SqliteFile(path), random)
    raise DatabaseUnknown(database.partition(":")[0])
