"""`--database`: what it may be, and what is said of what it may not."""

import sys
from pathlib import Path

import pytest

from retinue.registry.catalog.opening import (
    DatabaseUnknown,
    DriverMissing,
    migrate_now,
    open_catalog,
    sqlite_path,
)


def test_a_file() -> None:
    assert sqlite_path("sqlite:/var/lib/retinue/catalog.db") == Path("/var/lib/retinue/catalog.db")


@pytest.mark.parametrize("database", ["postgresql://host/db", "postgres://host/db"])
def test_a_server(database: str) -> None:
    assert sqlite_path(database) is None


@pytest.mark.parametrize("database", ["mysql://me:hidden@host/db", "catalog.db", "", "sqlite:"])
async def test_anything_else_is_refused_without_its_password(database: str) -> None:
    with pytest.raises(DatabaseUnknown) as raised:
        await open_catalog(database)
    assert "hidden" not in str(raised.value)
    assert "sqlite:PATH" in str(raised.value)


def test_migrating_says_what_was_applied(tmp_path: Path) -> None:
    database = f"sqlite:{tmp_path}/catalog.db"
    assert list(migrate_now(database))[:1] == [1]
    assert list(migrate_now(database)) == []


async def test_a_missing_driver_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "retinue.registry.catalog.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DriverMissing, match=r"retinue\[postgres\]"):
        await open_catalog("postgresql://host/db")
