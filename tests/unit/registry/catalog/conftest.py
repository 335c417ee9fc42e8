"""A catalog of its own for each test, on a disk that fails when told."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from failing_vfs import Disk
from retinue.registry.catalog.sqlite import SqliteCatalog, SqliteFile, upgrade


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def file(tmp_path: Path, disk: Disk) -> SqliteFile:
    file = SqliteFile(tmp_path / "catalog.db", vfs=disk.name)
    upgrade(file, bytes)
    return file


@pytest.fixture
async def catalog(file: SqliteFile) -> AsyncIterator[SqliteCatalog]:
    opened = SqliteCatalog(file)
    yield opened
    await opened.close()
