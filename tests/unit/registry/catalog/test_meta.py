"""What a catalog says about itself, and what is said where it does not."""

from pathlib import Path

import pytest

from retinue.registry.catalog import meta
from retinue.registry.catalog.db import Catalog, Change, Sql
from retinue.registry.catalog.opening import open_catalog

FORGET = Sql("delete from meta where key = :key")


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path}/catalog.db"


async def test_the_secret_is_what_was_drawn(database: str) -> None:
    catalog = await open_catalog(database, durable=False, entropy=lambda n: b"s" * n)
    assert await meta.secret(catalog) == b"s" * 32
    await catalog.close()


async def forget(catalog: Catalog, key: str) -> None:
    def change() -> Change[None]:
        yield FORGET, (key,)

    await catalog.commit(change)


async def test_a_missing_row_is_damage(database: str) -> None:
    catalog = await open_catalog(database, durable=False)
    await forget(catalog, "links_version")
    with pytest.raises(meta.MetaMissing, match="links_version"):
        await meta.links_version(catalog)
    await catalog.close()


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        meta.beginnings(b"short")
