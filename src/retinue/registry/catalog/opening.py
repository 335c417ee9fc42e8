"""From `--database` to a catalog that is ready: `sqlite:PATH` or `postgresql://…`."""

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from retinue.errors import RetinueError
from retinue.registry.catalog import sqlite
from retinue.registry.catalog.db import Catalog
from retinue.registry.catalog.readonly import (
    ReadOnly,
    SqliteLooked,
    on_read_only_disk,
    require_ours,
)

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


class DriverMissing(RetinueError):
    """The extra that the database needs is not installed."""

    def __init__(self, extra: str) -> None:
        super().__init__(f"install retinue[{extra}] to use this database")
        self.extra = extra


class DatabaseMalformed(RetinueError):
    """The URL of a database cannot be read. What is wrong is not told: it may be the password."""

    def __init__(self) -> None:
        super().__init__(
            "the postgresql:// URL cannot be read: percent-encode what is special in user and "
            "password, and use the parameters of libpq alone"
        )


def _postgres(url: str) -> ModuleType:
    """The driver. Raises DriverMissing, DatabaseMalformed."""
    try:
        driver = import_module("retinue.registry.catalog.postgres")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "psycopg":
            raise
        raise DriverMissing("postgres") from error
    if not driver.readable(url):
        raise DatabaseMalformed
    return driver


async def open_catalog(
    database: str, *, durable: bool = True, entropy: Callable[[int], bytes] = os.urandom
) -> Catalog:
    """Migrate where needed, and connect. Called in the process that will use it, after any fork.

    `durable`: a commit is on the disk when it returns. `entropy`: n bytes nobody can guess.
    Raises DatabaseUnknown, DatabaseMalformed, CatalogUnavailable, SchemaTooNew, MigrationEdited, MigrationsBroken,
    NetworkFilesystem, LibraryTooOld, DriverMissing.
    """
    path = sqlite_path(database)
    if path is not None:
        file = sqlite.SqliteFile(path, durable=durable)
        await asyncio.to_thread(sqlite.upgrade, file, entropy)
        return sqlite.SqliteCatalog(file)
    postgres = _postgres(database)
    await postgres.upgrade(database, entropy)
    opened: Catalog = postgres.PostgresCatalog(database, durable=durable, random=random.random)
    return opened


async def look_at_catalog(database: str) -> Catalog:
    """The same without any change: nothing is migrated, and nothing can be committed.

    Raises ForeignData too, where there is no catalog.
    """
    catalog = _looked(database)
    try:
        await require_ours(catalog)
    except BaseException:
        await catalog.close()
        raise
    return catalog


async def open_as_it_is(database: str) -> Catalog:
    """Without migrating it; on a file system where nothing can be written it is only looked at.

    Raises what `look_at_catalog` does.
    """
    looked = await look_at_catalog(database)
    path = sqlite_path(database)
    if path is not None and on_read_only_disk(path):
        return looked
    await looked.close()
    if path is not None:
        return sqlite.SqliteCatalog(sqlite.SqliteFile(path))
    driver = _postgres(database)
    opened: Catalog = driver.PostgresCatalog(database, durable=True, random=random.random)
    return opened


def _looked(database: str) -> Catalog:
    path = sqlite_path(database)
    if path is not None:
        return SqliteLooked(sqlite.SqliteFile(path))
    driver = _postgres(database)
    made: Catalog = driver.PostgresCatalog(database, durable=True, random=random.random)
    return ReadOnly(made)


def migrate_now(database: str, *, entropy: Callable[[int], bytes] = os.urandom) -> Sequence[int]:
    """Migrate, outside of any event loop; nothing stays open. Returns the numbers applied.

    Raises what `open_catalog` does.
    """
    path = sqlite_path(database)
    if path is not None:
        return sqlite.upgrade(sqlite.SqliteFile(path), entropy)
    applied: Sequence[int] = asyncio.run(_postgres(database).upgrade(database, entropy))
    return applied


def keep_reserve(database: str) -> None:
    """Set room aside for changes that give space back: a server of PostgreSQL has its own disk."""
    path = sqlite_path(database)
    if path is not None:
        sqlite.SqliteFile(path).reserve.prepare()
