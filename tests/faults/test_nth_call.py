"""The n-th system call fails, or the power goes there: what is left is the old or the new."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from faults.shim import WORLDS, Data, Fault, FaultyCalls, Names, World, build
from retinue.files import write_atomically
from retinue.oci import digest as digests
from retinue.oci.stores import DigestMismatch
from retinue.registry.storage import places
from retinue.registry.storage.blobstore import Kept, StorageFailed, UploadLost
from retinue.registry.storage.files import FileBlobStore

OLD = b"old" * 1000
SMALL = b"small" * 2000
LARGE = bytes(range(251)) * 1200  # 301,200 bytes: written directly, the last block padded
CUT = 270_001
FEW = (Names.SYNCED, Data.SYNCED)


@dataclass
class Acknowledged:
    """What a client was told, or may have had done."""

    kept: dict[bytes, Kept] = field(default_factory=dict)
    offset: int = 0
    removing: bool = False
    written: bool = False


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyCalls]:
    # Hundreds of stores are made here; 256 folders in each would take minutes.
    folders = sorted({digests.of(data)[7:9] for data in (OLD, SMALL, LARGE)})
    monkeypatch.setattr(places, "FANOUT", tuple(folders))
    calls = FaultyCalls(tmp_path / "disk")
    yield calls
    calls.disk.release()


async def prepare(calls: FaultyCalls) -> tuple[FileBlobStore, Acknowledged]:
    """A store that holds one copy and one file, all of it on the disk."""
    root = calls.disk.root
    if root.exists():
        shutil.rmtree(root)
    calls.disk.release()
    calls.disk = type(calls.disk)(root)
    calls.disarm()
    store = FileBlobStore(root, threads=1, calls=calls)
    told = Acknowledged()
    upload = await store.upload("first")
    await upload.append([OLD])
    told.kept[OLD] = await upload.keep(digests.of(OLD))
    write_atomically(root / "meta", b"old", calls=calls)
    calls.disk.sync_all()
    return store, told


async def work(store: FileBlobStore, calls: FaultyCalls, told: Acknowledged) -> None:
    """What a registry does with its store; `told` is brought up to date after each answer."""
    upload = await store.upload("small")
    try:
        await upload.append([SMALL])
        told.kept[SMALL] = await upload.keep(digests.of(SMALL))
    finally:
        await upload.close()
    upload = await store.upload("large", size=len(LARGE))
    try:
        await upload.append([LARGE[:100_000], LARGE[100_000:260_000]])
        await upload.append([LARGE[260_000:CUT]])
    finally:
        await upload.close()
    told.offset = CUT
    await finish(store, told)
    told.removing = True
    await store.remove(told.kept[OLD].location)
    write_atomically(calls.disk.root / "meta", b"new", calls=calls)
    told.written = True


async def finish(store: FileBlobStore, told: Acknowledged) -> None:
    """Send the rest of the large blob."""
    upload = await store.upload("large", told.offset)
    try:
        await upload.append([LARGE[told.offset :]])
        told.kept[LARGE] = await upload.keep(digests.of(LARGE))
    finally:
        await upload.close()


async def check(root: Path, told: Acknowledged) -> None:
    """What must hold on the disk, whatever failed."""
    assert (root / "meta").read_bytes() in ({b"new"} if told.written else {b"old", b"new"})
    store = FileBlobStore(root, threads=1)
    try:
        copies = {location: size async for location, size, _ in store.stored()}
        for location, size in copies.items():
            async with store.read(location) as chunks:
                data = b"".join([chunk async for chunk in chunks])
            assert places.digest_of(location) == digests.of(data)
            assert size == len(data)
        for data, kept in told.kept.items():
            if not (data == OLD and told.removing):
                assert copies.get(kept.location) == len(data)
    finally:
        await store.close()


async def check_goes_on(root: Path, told: Acknowledged) -> None:
    """A client goes on with its upload, if it was told that bytes are there."""
    await check(root, told)
    store = FileBlobStore(root, threads=1)
    try:
        if LARGE not in told.kept:
            with contextlib.suppress(UploadLost, DigestMismatch):
                await finish(store, told)
        upload = await store.upload("again", size=len(LARGE))
        await upload.append([LARGE])
        told.kept[LARGE] = await upload.keep(digests.of(LARGE))
    finally:
        await store.close()
    await check(root, told)


async def failing_at(calls: FaultyCalls, at: int, fault: Fault) -> Acknowledged:
    """Work with one fault, and let go of the store. `calls.hit` says which call it was."""
    store, told = await prepare(calls)
    calls.arm(at, fault)
    try:
        await work(store, calls, told)
    except (StorageFailed, UploadLost):
        assert calls.hit
    except OSError:
        assert told.removing  # only the atomic write speaks of the system's errors
    calls.disarm()
    await store.close()
    assert not calls.opened
    return told


@pytest.mark.parametrize("fault", [Fault.FULL, Fault.BROKEN, Fault.SHORT], ids=lambda f: f.name)
async def test_the_nth_call_fails(calls: FaultyCalls, fault: Fault) -> None:
    at = 0
    while at == 0 or calls.hit:
        at += 1
        told = await failing_at(calls, at, fault)
        if fault is Fault.SHORT:
            assert told.written
        await check_goes_on(calls.disk.root, told)
    assert at > 40


async def test_the_power_is_lost_before_the_nth_call(calls: FaultyCalls, tmp_path: Path) -> None:
    store, told = await prepare(calls)
    left: dict[tuple[World, bool], Acknowledged] = {}

    def remember() -> None:
        for names, data in WORLDS:
            # Of several moments that leave the same, the client was told most at the last.
            moment = calls.disk.world(names, data), told.removing
            left[moment] = replace(told, kept=dict(told.kept))

    calls.watch = remember
    await work(store, calls, told)
    remember()
    calls.watch = None
    await store.close()
    assert len(left) > 25
    for number, ((world, _), told_then) in enumerate(left.items()):
        after = tmp_path / f"world{number}"
        build(world, after)
        await check_goes_on(after, told_then)


async def test_a_failed_sync_is_never_taken_back_by_a_later_one(
    calls: FaultyCalls, tmp_path: Path
) -> None:
    """After a sync failed, the next one of the same file succeeds though bytes are gone."""
    at, syncs = 0, 0
    while at == 0 or calls.hit:
        at += 1
        told = await failing_at(calls, at, Fault.BROKEN)
        if calls.hit != "sync":
            continue
        syncs += 1
        store = FileBlobStore(calls.disk.root, threads=1, calls=calls)
        if LARGE not in told.kept and told.offset:
            with pytest.raises(UploadLost):
                await finish(store, told)
        for session, data in (("small", SMALL), ("large", LARGE)):
            if data not in told.kept:
                with pytest.raises(UploadLost):
                    await store.upload(session, len(data))
        await store.close()
        after = tmp_path / f"world{at}"
        build(calls.disk.world(*FEW), after)
        await check(after, told)
    assert syncs == 6


async def test_the_same_upload_does_not_sync_again(calls: FaultyCalls) -> None:
    store, _ = await prepare(calls)
    upload = await store.upload("small")
    await upload.append([SMALL])
    status = (calls.disk.root / "uploads" / "small").stat()
    calls.arm(1, Fault.BROKEN)
    for _ in range(2):
        with pytest.raises(StorageFailed):
            await upload.keep(digests.of(SMALL))
    assert calls.hit == "sync"
    assert status.st_ino not in calls.synced
    await upload.close()
    await store.close()


async def test_what_keep_promises_needs_every_sync(calls: FaultyCalls, tmp_path: Path) -> None:
    """The shim notices: without syncs, a kept copy does not survive."""
    store, _ = await prepare(calls)
    quick = FileBlobStore(calls.disk.root, durable=False, threads=1, calls=calls)
    upload = await quick.upload("small")
    await upload.append([SMALL])
    kept = await upload.keep(digests.of(SMALL))
    await quick.close()
    await store.close()
    told = Acknowledged({SMALL: kept})
    build(calls.disk.world(*FEW), tmp_path / "after")
    with pytest.raises(AssertionError):
        await check(tmp_path / "after", told)
