"""What only the file store does: O_DIRECT with its fallbacks, races, foreign files."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from retinue.files import Bytes, Calls
from retinue.oci import digest as digests
from retinue.registry.storage import places
from retinue.registry.storage.blobstore import CopyLost, StorageFailed, UploadBusy
from retinue.registry.storage.direct import BLOCK, DIRECT_FROM, SPAN
from retinue.registry.storage.files import FileBlobStore
from retinue.registry.storage.places import InvalidPlace

LARGE = bytes(range(251)) * 4217


class Recording(Calls):
    """Remembers which writes were direct; may refuse, as some file systems do."""

    def __init__(
        self, *, refuse_flag: bool = False, refuse_write: bool = False, refuse_read: bool = False
    ) -> None:
        self.refuse_flag = refuse_flag
        self.refuse_write = refuse_write
        self.refuse_read = refuse_read
        self.direct: set[int] = set()
        self.written: list[tuple[bool, int, int]] = []
        self.read_again: list[tuple[bool, int]] = []

    def set_direct(self, fd: int, direct: bool) -> None:
        if direct and self.refuse_flag:
            raise OSError(errno.EINVAL, "no")
        (self.direct.add if direct else self.direct.discard)(fd)

    def write(self, fd: int, parts: Sequence[Bytes], offset: int) -> int:
        if fd in self.direct and self.refuse_write:
            raise OSError(errno.EINVAL, "no")
        size = sum(map(len, parts))
        self.written.append((fd in self.direct, offset, size))
        return super().write(fd, parts, offset)

    def read_into(self, fd: int, buffer: memoryview, offset: int) -> int:
        if fd in self.direct and self.refuse_read:
            raise OSError(errno.EINVAL, "no")
        self.read_again.append((fd in self.direct, offset))
        return super().read_into(fd, buffer, offset)


async def push(calls: Calls, folder: Path, batches: list[bytes], size: int | None) -> bytes:
    store = FileBlobStore(folder / "store", threads=1, calls=calls)
    upload = await store.upload("session", size=size)
    for batch in batches:
        await upload.append([batch])
    kept = await upload.keep(digests.of(b"".join(batches)))
    found = await store.locate(kept.location)
    await store.close()
    assert found is not None
    return found.path.read_bytes()


async def test_large_files_are_written_in_aligned_spans(tmp_path: Path) -> None:
    calls = Recording()
    assert await push(calls, tmp_path, [LARGE], len(LARGE)) == LARGE
    rest = -(-(len(LARGE) - SPAN) // BLOCK) * BLOCK
    assert calls.written == [(True, 0, SPAN), (True, SPAN, rest)]


async def test_the_last_block_is_written_again_when_more_comes(tmp_path: Path) -> None:
    calls = Recording()
    assert (
        await push(calls, tmp_path, [LARGE[:5000], LARGE[5000:9000]], DIRECT_FROM) == LARGE[:9000]
    )
    assert calls.written == [(True, 0, 8192), (True, 4096, 8192)]


async def test_small_files_go_through_the_page_cache(tmp_path: Path) -> None:
    calls = Recording()
    small = LARGE[: DIRECT_FROM - 1]
    assert await push(calls, tmp_path, [small], None) == small
    assert calls.written == [(False, 0, len(small))]


async def test_what_turns_out_large_is_written_directly_from_there_on(tmp_path: Path) -> None:
    calls = Recording()
    assert await push(calls, tmp_path, [LARGE[:100_001], LARGE[100_001:]], None) == LARGE
    assert [direct for direct, _, _ in calls.written] == [False, True]
    assert all(offset % BLOCK == 0 for _, offset, _ in calls.written)


@pytest.mark.parametrize("size", [None, len(LARGE)])
@pytest.mark.parametrize(
    "calls", [Recording(refuse_flag=True), Recording(refuse_write=True)], ids=["flag", "write"]
)
async def test_a_file_system_without_direct_writes(
    tmp_path: Path, calls: Recording, size: int | None
) -> None:
    calls.written.clear()
    batches = [LARGE[:700_001], LARGE[700_001:]]
    assert await push(calls, tmp_path, batches, size) == LARGE
    assert not any(direct for direct, _, _ in calls.written)


@pytest.mark.parametrize(
    ("size", "calls", "reads"),
    [
        (len(LARGE), Recording(), [(True, 0), (True, SPAN)]),
        (len(LARGE), Recording(refuse_flag=True), [(False, 0), (False, SPAN)]),
        (len(LARGE), Recording(refuse_read=True), [(False, 0), (False, SPAN)]),
        (DIRECT_FROM - 1, Recording(), [(False, 0)]),
    ],
    ids=["large", "no flag", "no read", "small"],
)
async def test_bytes_whose_hash_is_not_at_hand_are_read_again(
    tmp_path: Path, size: int, calls: Recording, reads: list[tuple[bool, int]]
) -> None:
    store = FileBlobStore(tmp_path / "store", threads=1, calls=calls)
    data, cut = LARGE[:size], size // 2
    for offset, part in ((0, data[:cut]), (cut, data[cut:])):
        upload = await store.upload("session", offset, size=size)
        await upload.append([part])
        await upload.close()
    upload = await store.upload("session", size)
    kept = await upload.keep(digests.of(data))
    found = await store.locate(kept.location)
    await store.close()
    assert found is not None
    assert found.path.read_bytes() == data
    assert calls.read_again == reads
    assert not calls.direct  # it is synced the usual way


class KeptMeanwhile(Calls):
    """Between opening and locking, another writer gives the file its place."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def lock(self, fd: int) -> None:
        os.link(self.root / "uploads" / "session", self.root / "copy")
        super().lock(fd)


@pytest.mark.parametrize("offset", [0, 3])
async def test_a_file_that_became_a_copy_meanwhile_is_not_touched(
    tmp_path: Path, offset: int
) -> None:
    store = FileBlobStore(tmp_path, threads=1, calls=KeptMeanwhile(tmp_path))
    (tmp_path / "uploads" / "session").write_bytes(b"kept bytes")
    with pytest.raises(UploadBusy):
        await (await store.upload("session", offset)).append([b"other"])
    await store.close()
    assert (tmp_path / "copy").read_bytes() == b"kept bytes"


async def test_foreign_files_are_passed_over(tmp_path: Path) -> None:
    store = FileBlobStore(tmp_path, threads=1)
    name = places.fresh(digests.of(b""), "session")
    for path in ("blobs/00/README", "blobs/zz", "uploads/.hidden", f"blobs/00/{name[3:]}"):
        (tmp_path / path).write_bytes(b"")
    assert [found async for found in store.stored()] == []
    assert [found async for found in store.sessions()] == []
    await store.close()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "x" * 101, "a\0"])
async def test_names_that_the_store_cannot_have_given_out(tmp_path: Path, name: str) -> None:
    """Nothing is stored under them; a row that has one must end no upkeep."""
    store = FileBlobStore(tmp_path, threads=1)
    with pytest.raises(InvalidPlace):
        await store.upload(name)
    assert await store.locate(name) is None
    assert await store.received(name) is None
    with pytest.raises(CopyLost):
        async with store.read(name):
            pass
    before = sorted(tmp_path.rglob("*"))
    await store.discard(name)
    await store.remove(name)
    assert sorted(tmp_path.rglob("*")) == before
    await store.close()


async def test_two_processes_may_open_the_same_folder(tmp_path: Path) -> None:
    first, second = FileBlobStore(tmp_path, threads=1), FileBlobStore(tmp_path, threads=1)
    upload = await first.upload("session")
    await upload.append([b"abc"])
    kept = await upload.keep(digests.of(b"abc"))
    found = await second.locate(kept.location)
    assert found is not None
    assert found.size == 3
    await first.close()
    await second.close()


@pytest.mark.parametrize("moved", ["store", "store/blobs"])
async def test_what_is_not_found_in_a_folder_that_is_gone_is_not_lost(
    tmp_path: Path, moved: str
) -> None:
    store = FileBlobStore(tmp_path / "store", threads=1)
    first, second = await store.upload("first"), await store.upload("second")
    await first.append([b"first"])
    await second.append([b"second"])
    location = (await first.keep(digests.of(b"first"))).location
    (tmp_path / moved).rename(tmp_path / "elsewhere")
    (tmp_path / moved).mkdir()
    with pytest.raises(StorageFailed, match="moved or deleted"):
        await store.require()
    with pytest.raises(StorageFailed, match="moved or deleted"):
        await store.locate(location)
    with pytest.raises(StorageFailed, match="moved or deleted"):
        await second.keep(digests.of(b"second"))
    (tmp_path / moved).rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / moved)
    await store.require()
    assert await store.locate(location) is not None
    await second.close()
    await store.close()
