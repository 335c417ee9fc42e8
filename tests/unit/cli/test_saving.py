"""Files named by others land in one folder, with the right bytes, or not at all."""

from pathlib import Path

import pytest

from retinue.cli.problems import Occupied
from retinue.cli.saving import File, save
from retinue.files import Root, UnsafePath
from retinue.oci import digest as digests
from retinue.oci.descriptor import Descriptor
from retinue.oci.memory import MemoryStore
from retinue.oci.stores import BlobMissing


def blob(data: bytes) -> Descriptor:
    return Descriptor("text/plain", digests.of(data), len(data))


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    made.blobs = {digests.of(data): data for data in (b"one", b"two", bytes(200_000))}
    return made


async def save_in(folder: Path, store: MemoryStore, *files: File) -> None:
    with Root(folder) as root:
        await save(store, root, files)


def everything(folder: Path) -> dict[str, bytes]:
    found = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in found.items()}


async def test_files_are_written_with_their_folders(tmp_path: Path, store: MemoryStore) -> None:
    await save_in(tmp_path, store, File("a", blob(b"one")), File("b/c/d", blob(bytes(200_000))))
    assert everything(tmp_path) == {"a": b"one", "b/c/d": bytes(200_000)}


async def test_again_is_no_problem(tmp_path: Path, store: MemoryStore) -> None:
    for _ in range(2):
        await save_in(tmp_path, store, File("a/b", blob(b"one")))
    assert everything(tmp_path) == {"a/b": b"one"}


async def test_other_content_is_not_overwritten(tmp_path: Path, store: MemoryStore) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(Occupied):
        await save_in(tmp_path, store, File("a", blob(b"one")))
    assert everything(tmp_path) == {"a": b"mine"}


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "", "a//b", "a\0"])
async def test_no_name_leads_out_and_then_nothing_is_written(
    tmp_path: Path, store: MemoryStore, name: str
) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(UnsafePath):
        await save_in(tmp_path / "in", store, File("good", blob(b"one")), File(name, blob(b"two")))
    assert everything(tmp_path) == {}


async def test_no_link_leads_out(tmp_path: Path, store: MemoryStore) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    with pytest.raises(UnsafePath):
        await save_in(tmp_path / "in", store, File("link/a", blob(b"one")))
    assert everything(tmp_path / "out") == {}


async def test_what_is_missing_leaves_nothing_behind(tmp_path: Path, store: MemoryStore) -> None:
    with pytest.raises(BlobMissing):
        await save_in(tmp_path, store, File("a", blob(b"three")))
    assert everything(tmp_path) == {}
