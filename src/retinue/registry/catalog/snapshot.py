"""What a backup names, and what a restored catalog forgets (storage rule 9)."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import apsw
from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog.db import CatalogUnavailable, Change, Row, Sql
from retinue.registry.catalog.groupcommit import FAILURES
from retinue.registry.catalog.readonly import connect
from retinue.registry.catalog.sqlite import SqliteFile

PAGE = 500

LIVE_COPIES = Sql("""
    select id, location, size, digest from object
    where id > :after and location is not null order by id limit :most""")
TRASHED = Sql("""
    select location from trash where location > :after order by location limit :most""")

# The index of what is scrubbed has the objects that are files, and no others.
_SOME_COPIES = Sql(
    "select location from object where location is not null order by scrubbed limit :most",
    scans=True,
)
_SOME_TRASH = Sql("select location from trash order by due desc limit :most", scans=True)
_NO_UPLOADS = Sql("delete from upload", scans=True)
_NO_LEASES = Sql("delete from lease", scans=True)
_NO_HOLDS = Sql("delete from hold", scans=True)
_NO_TRASH = Sql("delete from trash", scans=True)
_GRACE = Sql("update candidate set due = :due where due < :due", scans=True)


class Copy(Struct, frozen=True):
    """A file that a backup holds. `size` in bytes; None for trash, which may be gone."""

    location: str
    size: int | None
    digest: Digest


def copy_of(row: Row) -> Copy:
    _, location, size, raw = cast("tuple[int, str, int, bytes]", row)
    return Copy(location, size, digests.from_bytes(raw))


def trashed(row: Row) -> str:
    """The location of a file that waits for its removal."""
    return cast("str", row[0])


def sample(most: int) -> Change[list[str]]:
    """Where some of the files are, of objects and of the trash."""
    found = [*(yield _SOME_COPIES, (most,)), *(yield _SOME_TRASH, (most,))]
    return [cast("str", location) for (location,) in found]


def vacuum_into(source: Path, target: Path) -> None:
    """A consistent copy of a SQLite catalog, made while others write. Blocks; sync it after.

    `target` is new, and for the eyes of its owner alone, whatever the folder lets others see: a
    catalog holds the secret of the registry. Raises CatalogUnavailable, OSError.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        connection = connect(SqliteFile(source))
        connection.execute("pragma query_only = off")  # it takes the copy for a change
        try:
            connection.execute("vacuum into ?", (str(target),))
        finally:
            connection.close()
    except FAILURES as error:
        raise CatalogUnavailable(f"{source} cannot be copied: {error}") from error


def copies(catalog: Path) -> Iterator[Sequence[Copy]]:
    """All files that the catalog of a backup names, by pages. Blocks."""
    connection = apsw.Connection(str(catalog), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        after = 0
        while True:  # each page begins after the one before
            rows = connection.execute(LIVE_COPIES.sqlite, (after, PAGE)).fetchall()
            if not rows:
                return
            yield [copy_of(row) for row in rows]
            after = cast("int", rows[-1][0])
    finally:
        connection.close()


def numbers(catalog: Path) -> tuple[int, int]:
    """Schema and least code of a backup's catalog. Blocks."""
    connection = apsw.Connection(str(catalog), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        query = "select key, value from meta where key in ('schema', 'min_code')"
        found = dict(cast("list[tuple[str, str]]", connection.execute(query).fetchall()))
    finally:
        connection.close()
    return int(found["schema"]), int(found["min_code"])


def settle(due: int) -> Change[None]:
    """Forget what was under way when the backup was made; `due`: when collection begins again."""
    yield _NO_UPLOADS, ()
    yield _NO_LEASES, ()
    yield _NO_HOLDS, ()
    yield _NO_TRASH, ()
    yield _GRACE, (due,)
