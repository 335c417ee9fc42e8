"""Folder and catalog of one registry, on both databases: storage that is away is not empty."""

import asyncio
import shutil
from pathlib import Path

import pytest

from contract.test_uploads import LARGE, SMALL, ending, get
from retinue.registry.catalog import meta
from retinue.registry.catalog.db import Catalog
from retinue.registry.http import operations
from retinue.registry.metrics import Shared
from retinue.registry.storage.files import FileBlobStore
from retinue.registry.storage.identity import FILE, ForeignStore
from retinue.registry.upkeep.identity import (
    BlobsMissing,
    CatalogMissing,
    FolderTaken,
    establish,
    require_vacant,
)
from rig import UPLOADS, Rig


def entropy(size: int) -> bytes:
    return bytes(range(size))


MADE = entropy(16).hex()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "store"


async def test_the_first_start_makes_one_for_both(catalog: Catalog, data: Path) -> None:
    assert await establish(catalog, data, entropy) == MADE
    assert (data / FILE).read_text() == MADE + "\n"
    assert await meta.identity(catalog) == MADE
    assert await establish(catalog, data, bytes) == MADE


async def test_a_folder_that_is_not_mounted_is_refused(catalog: Catalog, data: Path) -> None:
    await establish(catalog, data, entropy)
    data.rename(data.with_name("away"))
    for make in (False, True):
        if make:
            data.mkdir()
        with pytest.raises(ForeignStore, match=f"mount the right folder.*{MADE}"):
            await establish(catalog, data, entropy)
        with pytest.raises(ForeignStore):
            FileBlobStore(data, identity=MADE)
        assert not make or list(data.iterdir()) == []
    data.rmdir()
    data.with_name("away").rename(data)
    assert await establish(catalog, data, entropy) == MADE


async def test_the_folder_of_another_registry_is_refused(catalog: Catalog, data: Path) -> None:
    await establish(catalog, data, entropy)
    (data / FILE).write_text("0" * 32)
    with pytest.raises(ForeignStore, match="0" * 32):
        await establish(catalog, data, entropy)
    (data / FILE).write_text(MADE)  # as the message says
    assert await establish(catalog, data, entropy) == MADE


async def test_a_start_that_was_interrupted_goes_on(catalog: Catalog, data: Path) -> None:
    data.mkdir()
    (data / FILE).write_text("1" * 32)
    assert await establish(catalog, data, entropy) == "1" * 32
    assert await meta.identity(catalog) == "1" * 32


# ---- data from before


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["rows", "files"])
async def test_data_from_before_gets_one(rig: Rig, data: Path, content: bytes) -> None:
    await rig.blob(content)
    assert await establish(rig.catalog, data, entropy) == MADE
    assert (await get(rig, content)).body == content


async def test_data_from_before_whose_files_are_away_is_refused(rig: Rig, data: Path) -> None:
    await rig.blob(LARGE)
    data.rename(data.with_name("away"))
    FileBlobStore(data)  # what an earlier version made of it
    with pytest.raises(BlobsMissing, match="mount the folder"):
        await establish(rig.catalog, data, entropy)
    assert await meta.identity(rig.catalog) is None
    shutil.rmtree(data)
    data.with_name("away").rename(data)
    assert await establish(rig.catalog, data, entropy) == MADE


async def test_blobs_without_their_catalog_are_refused(rig: Rig, data: Path) -> None:
    await rig.blob(LARGE)
    for table in ("repo_blob", "object"):
        await execute(rig, f"delete from {table}")
    with pytest.raises(CatalogMissing):
        await establish(rig.catalog, data, entropy)


async def execute(rig: Rig, text: str) -> None:
    from world import World

    await World(rig.catalog, rig.blobs).execute(text)


# ---- folders that are no registry's


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    (tmp_path / "photos").mkdir()
    with pytest.raises(FolderTaken, match=r"letter\.txt, photos"):
        require_vacant(tmp_path, [])


def test_a_folder_may_hold_what_was_named_and_what_mounting_brings(tmp_path: Path) -> None:
    for name in ("lost+found", "catalog.db", "catalog.db-wal", "catalog.db.generation", "users"):
        (tmp_path / name).touch()
    require_vacant(tmp_path, [tmp_path / "catalog.db", tmp_path / "users"])
    with pytest.raises(FolderTaken, match="users"):
        require_vacant(tmp_path, [tmp_path / "catalog.db", tmp_path.parent / "users"])
    require_vacant(tmp_path / "new", [])


def test_a_registrys_folder_may_hold_anything_besides(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    (tmp_path / FILE).touch()
    require_vacant(tmp_path, [])


# ---- while serving


async def ready(rig: Rig) -> int:
    handler, _ = operations.table(Shared(1))["/readyz"]["GET"]
    response = await handler(rig.services(), None, "", "")  # type: ignore[arg-type]
    return response.status


@pytest.mark.parametrize("remade", [False, True])
async def test_a_folder_that_goes_away_gives_503_and_comes_back(
    rig: Rig, data: Path, remade: bool
) -> None:
    await establish(rig.catalog, data, entropy)
    rig.blobs = FileBlobStore(data, identity=MADE, threads=2)
    rig.restart()
    digest = await rig.blob(LARGE)
    begun = await rig.begin()
    await rig.call("PATCH", begun, LARGE[:1000])
    assert await ready(rig) == 200
    data.rename(data.with_name("away"))
    if remade:
        FileBlobStore(data)
    rig.restart()
    assert await ready(rig) == 503
    assert (await get(rig, LARGE)).status == 503
    assert (await rig.call("HEAD", f"/v2/team/app/blobs/{digest}")).status == 503
    part = await rig.call("GET", f"/v2/team/app/blobs/{digest}", b"", {"range": "bytes=0-1"})
    assert part.status == 503
    post = await rig.call("POST", f"{UPLOADS}?mount={digest}&from=team/app")
    assert post.status == 503
    assert (await rig.call("PUT", ending(begun, LARGE), LARGE[1000:])).status == 503
    assert (
        await rig.call("PUT", ending(await rig.begin(), LARGE + b"!"), LARGE + b"!")
    ).status == 503
    if remade:
        shutil.rmtree(data)
    data.with_name("away").rename(data)
    assert await ready(rig) == 200
    assert (await get(rig, LARGE)).body == LARGE
    assert (await rig.call("PUT", ending(begun, LARGE), LARGE[1000:])).status == 201
    assert await rig.rows("select id from object where quarantined is not null") == []
    await rig.blobs.close()


async def test_a_folder_that_was_emptied_is_away_too(rig: Rig, data: Path) -> None:
    await establish(rig.catalog, data, entropy)
    rig.blobs = FileBlobStore(data, identity=MADE, threads=2)
    rig.restart()
    await rig.blob(LARGE)
    (data / FILE).unlink()
    for file in (data / "blobs").glob("*/*"):
        file.unlink()
    assert await ready(rig) == 503
    assert (await get(rig, LARGE)).status == 503
    assert await rig.rows("select id from object where quarantined is not null") == []
    await asyncio.sleep(0)
    await rig.blobs.close()
