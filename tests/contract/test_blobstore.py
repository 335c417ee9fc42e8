"""What every blob store promises. A new store is a line in `STORES`."""

import asyncio
import resource
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from retinue.oci import digest as digests
from retinue.oci.stores import DigestMismatch
from retinue.registry.storage.blobstore import (
    BlobStore,
    CopyLost,
    Kept,
    LocalFile,
    UploadBusy,
    UploadLost,
)
from retinue.registry.storage.files import FileBlobStore

SESSION = "01J0000000000000000000000A"
OTHER = "01J0000000000000000000000B"
SMALL = bytes(range(256)) * 40
LARGE = bytes(range(251)) * 4217  # 1,058,467 bytes: past one buffer, and no multiple of a block


@asynccontextmanager
async def durable_files(folder: Path) -> AsyncGenerator[BlobStore]:
    store = FileBlobStore(folder / "store", threads=4)
    yield store
    await store.close()


@asynccontextmanager
async def quick_files(folder: Path) -> AsyncGenerator[BlobStore]:
    store = FileBlobStore(folder / "store", durable=False, threads=4)
    yield store
    await store.close()


STORES = [durable_files, quick_files]


@pytest.fixture(params=STORES, ids=lambda store: store.__name__)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BlobStore]:
    async with request.param(tmp_path) as opened:
        yield opened


async def push(
    store: BlobStore, data: bytes, session: str = SESSION, algorithm: str = "sha256"
) -> Kept:
    upload = await store.upload(session, algorithm=algorithm, size=len(data))
    try:
        await upload.append([data])
        return await upload.keep(digests.of(data, algorithm))
    finally:
        await upload.close()


async def pull(store: BlobStore, location: str, start: int = 0, end: int | None = None) -> bytes:
    async with store.read(location, start, end) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def stop_at(store: BlobStore, data: bytes, session: str = SESSION) -> None:
    """An upload that was interrupted after `data`."""
    upload = await store.upload(session)
    await upload.append([data])
    await upload.close()


@pytest.mark.parametrize("data", [b"x", SMALL, LARGE], ids=["a byte", "small", "large"])
async def test_what_was_kept_is_read_back(store: BlobStore, data: bytes) -> None:
    kept = await push(store, data)
    assert len(data) == kept.size
    assert data == await pull(store, kept.location)


async def test_no_bytes_at_all_are_a_blob(store: BlobStore) -> None:
    upload = await store.upload(SESSION)
    kept = await upload.keep(digests.of(b""))
    await upload.close()
    assert Kept(kept.location, 0) == kept
    assert await pull(store, kept.location) == b""


async def test_appending_says_offset_and_digest_so_far(store: BlobStore) -> None:
    upload = await store.upload(SESSION)
    assert (3, digests.of(b"abc")) == await upload.append([b"ab", b"c"])
    assert (3, digests.of(b"abc")) == await upload.append([])
    assert (5, digests.of(b"abcde")) == await upload.append([b"", b"de"])
    assert upload.offset == 5
    await upload.close()


@pytest.mark.parametrize("step", [1000, 4096, 100_000, 300_001])
@pytest.mark.parametrize("known", [True, False], ids=["size known", "size unknown"])
async def test_the_cut_into_parts_does_not_matter(store: BlobStore, step: int, known: bool) -> None:
    upload = await store.upload(SESSION, size=len(LARGE) if known else None)
    parts = [LARGE[at : at + step] for at in range(0, len(LARGE), step)]
    for at in range(0, len(parts), 50):
        await upload.append(parts[at : at + 50])
    kept = await upload.keep(digests.of(LARGE))
    assert await pull(store, kept.location) == LARGE


async def test_many_small_parts_in_one_append(store: BlobStore) -> None:
    upload = await store.upload(SESSION)
    await upload.append([bytes([number % 256]) for number in range(5000)])
    expected = bytes(number % 256 for number in range(5000))
    kept = await upload.keep(digests.of(expected))
    assert expected == await pull(store, kept.location)


async def test_a_wrong_size_hint_does_no_harm(store: BlobStore) -> None:
    upload = await store.upload(SESSION, size=10_000_000)
    await upload.append([SMALL])
    kept = await upload.keep(digests.of(SMALL))
    assert Kept(kept.location, len(SMALL)) == kept
    assert await pull(store, kept.location) == SMALL


async def test_sha512_while_receiving(store: BlobStore) -> None:
    kept = await push(store, LARGE, algorithm="sha512")
    assert await pull(store, kept.location) == LARGE


async def test_an_algorithm_named_at_the_end_reads_again(store: BlobStore) -> None:
    upload = await store.upload(SESSION, algorithm="sha256")
    await upload.append([LARGE])
    kept = await upload.keep(digests.of(LARGE, "sha512"))
    assert await pull(store, kept.location) == LARGE


async def test_keeping_twice_gives_the_same_copy(store: BlobStore) -> None:
    upload = await store.upload(SESSION)
    await upload.append([SMALL])
    assert await upload.keep(digests.of(SMALL)) == await upload.keep(digests.of(SMALL))
    with pytest.raises(DigestMismatch):
        await upload.keep(digests.of(b"other"))


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
async def test_a_session_kept_by_a_process_that_died_is_kept(store: BlobStore, data: bytes) -> None:
    kept = await push(store, data)
    upload = await store.upload(SESSION, len(data))
    assert kept == await upload.keep(digests.of(data))
    with pytest.raises(DigestMismatch):
        await upload.keep(digests.of(b"other"))
    await upload.close()


async def test_nothing_is_appended_to_what_was_kept(store: BlobStore) -> None:
    kept = await push(store, SMALL)
    upload = await store.upload(SESSION, len(SMALL))
    with pytest.raises(UploadLost):
        await upload.append([b"more"])
    await upload.close()
    assert await pull(store, kept.location) == SMALL


async def test_a_session_used_again_never_touches_its_first_copy(store: BlobStore) -> None:
    first = await push(store, SMALL)
    second = await push(store, SMALL)
    third = await push(store, LARGE)
    assert len({first.location, second.location, third.location}) == 3
    await store.remove(first.location)
    assert await pull(store, second.location) == SMALL


async def test_another_digest_keeps_the_bytes_for_another_try(store: BlobStore) -> None:
    upload = await store.upload(SESSION)
    await upload.append([SMALL])
    with pytest.raises(DigestMismatch) as raised:
        await upload.keep(digests.of(b"other"))
    assert digests.of(SMALL) == raised.value.actual
    assert [name async for name in store.stored()] == []
    await upload.append([b"more"])
    kept = await upload.keep(digests.of(SMALL + b"more"))
    assert await pull(store, kept.location) == SMALL + b"more"


@pytest.mark.parametrize("size", [1, 5000, 262_144, 700_001, len(LARGE)])
async def test_resuming_at_every_alignment(store: BlobStore, size: int) -> None:
    await stop_at(store, LARGE[:size])
    upload = await store.upload(SESSION, size)
    assert (len(LARGE), None) == await upload.append([LARGE[size:]])
    kept = await upload.keep(digests.of(LARGE))
    assert await pull(store, kept.location) == LARGE


@pytest.mark.parametrize("offset", [0, 10, 4096, 500_000])
async def test_resuming_drops_what_was_not_acknowledged(store: BlobStore, offset: int) -> None:
    await stop_at(store, LARGE)
    upload = await store.upload(SESSION, offset)
    await upload.append([b"end"])
    kept = await upload.keep(digests.of(LARGE[:offset] + b"end"))
    assert LARGE[:offset] + b"end" == await pull(store, kept.location)


async def test_resuming_past_what_is_left_is_refused(store: BlobStore) -> None:
    await stop_at(store, SMALL)
    with pytest.raises(UploadLost) as raised:
        await store.upload(SESSION, len(SMALL) + 1)
    assert (SESSION, len(SMALL) + 1, len(SMALL)) == (
        raised.value.session,
        raised.value.offset,
        raised.value.found,
    )
    with pytest.raises(UploadLost):
        await store.upload(OTHER, 1)


async def test_a_recorded_digest_spares_reading_again(store: BlobStore) -> None:
    await stop_at(store, SMALL)
    told = digests.of(b"told")
    upload = await store.upload(SESSION, len(SMALL), reached=told)
    with pytest.raises(DigestMismatch) as raised:
        await upload.keep(digests.of(SMALL))
    assert raised.value.actual == told
    assert len(SMALL) == (await upload.keep(told)).size


@pytest.mark.parametrize("last", [[], [b"more"]], ids=["appended", "at the end"])
async def test_a_recorded_digest_says_nothing_about_more_bytes(
    store: BlobStore, last: list[bytes]
) -> None:
    await stop_at(store, SMALL)
    upload = await store.upload(SESSION, len(SMALL), reached=digests.of(b"told"))
    if not last:
        await upload.append([b"more"])
    kept = await upload.keep(digests.of(SMALL + b"more"), last=last)
    assert await pull(store, kept.location) == SMALL + b"more"


async def test_a_recorded_digest_of_another_algorithm_reads_again(store: BlobStore) -> None:
    await stop_at(store, SMALL)
    upload = await store.upload(SESSION, len(SMALL), reached=digests.of(b"told"))
    kept = await upload.keep(digests.of(SMALL, "sha512"))
    assert await pull(store, kept.location) == SMALL


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_the_running_hash_goes_on_with_the_next_part(
    store: BlobStore, algorithm: str
) -> None:
    offset, reached = 0, None
    for end in (1000, 1000, 300_000, len(LARGE)):
        upload = await store.upload(SESSION, offset, reached=reached, algorithm=algorithm)
        offset, reached = await upload.append([LARGE[offset:end]])
        assert (offset, reached) == (end, digests.of(LARGE[:end], algorithm))
        await upload.close()
    upload = await store.upload(SESSION, offset, reached=reached, algorithm=algorithm)
    kept = await upload.keep(digests.of(LARGE, algorithm))
    assert await pull(store, kept.location) == LARGE


@pytest.mark.parametrize("recorded", [b"of somebody else", LARGE[:2000], None])
async def test_a_running_hash_goes_on_only_from_what_was_recorded(
    store: BlobStore, recorded: bytes | None
) -> None:
    """Another process may have taken parts since: its record names other bytes, or nothing."""
    await stop_at(store, LARGE[:1000])
    reached = None if recorded is None else digests.of(recorded)
    upload = await store.upload(SESSION, 1000, reached=reached)
    assert await upload.append([LARGE[1000:]]) == (len(LARGE), None)
    kept = await upload.keep(digests.of(LARGE))
    assert await pull(store, kept.location) == LARGE


async def test_the_running_hash_of_a_part_that_failed_is_forgotten(store: BlobStore) -> None:
    await stop_at(store, SMALL)
    upload = await store.upload(SESSION, len(SMALL), reached=digests.of(SMALL))
    await cancelled_at_once(lambda: upload.append([b"lost"]))
    await upload.close()
    upload = await store.upload(SESSION, len(SMALL), reached=digests.of(SMALL))
    assert await upload.append([b"more"]) == (len(SMALL) + 4, None)
    kept = await upload.keep(digests.of(SMALL + b"more"))
    assert await pull(store, kept.location) == SMALL + b"more"


async def test_one_writer_per_session(store: BlobStore) -> None:
    first = await store.upload(SESSION)
    await first.append([SMALL])
    with pytest.raises(UploadBusy):
        await store.upload(SESSION, len(SMALL))
    second = await store.upload(SESSION)
    with pytest.raises(UploadBusy):
        await second.append([b"other"])
    await second.close()
    kept = await first.keep(digests.of(SMALL))
    assert await pull(store, kept.location) == SMALL


async def test_a_discarded_session_cannot_be_kept(store: BlobStore) -> None:
    upload = await store.upload(SESSION)
    await upload.append([SMALL])
    await store.discard(SESSION)
    with pytest.raises(UploadLost):
        await upload.keep(digests.of(SMALL))
    await upload.close()
    await store.discard(SESSION)


async def test_a_writer_whose_session_was_begun_anew_keeps_nothing(store: BlobStore) -> None:
    stale = await store.upload(SESSION)
    await stale.append([SMALL])
    await store.discard(SESSION)
    await stop_at(store, b"other bytes")
    with pytest.raises(UploadLost):
        await stale.keep(digests.of(SMALL))
    await stale.close()
    assert [name async for name in store.stored()] == []


async def test_equal_bytes_of_concurrent_sessions_get_locations_of_their_own(
    store: BlobStore,
) -> None:
    copies = await asyncio.gather(*(push(store, LARGE, f"session{n}") for n in range(8)))
    assert len({kept.location for kept in copies}) == 8
    await store.remove(copies[0].location)
    for kept in copies[1:]:
        assert await pull(store, kept.location) == LARGE


async def test_removing_twice_is_fine(store: BlobStore) -> None:
    kept = await push(store, SMALL)
    await store.remove(kept.location)
    await store.remove(kept.location)
    assert await store.locate(kept.location) is None
    with pytest.raises(CopyLost):
        await pull(store, kept.location)


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 1), (5, None), (4095, 4097), (1_048_570, 1_048_580), (len(LARGE), None), (7, 7)],
)
async def test_ranges(store: BlobStore, start: int, end: int | None) -> None:
    kept = await push(store, LARGE)
    assert LARGE[start:end] == await pull(store, kept.location, start, end)


@pytest.mark.parametrize(("start", "end"), [(0, len(SMALL) + 1), (len(SMALL) + 1, None)])
async def test_a_copy_too_short_for_the_range_is_lost(
    store: BlobStore, start: int, end: int | None
) -> None:
    kept = await push(store, SMALL)
    with pytest.raises(CopyLost):
        await pull(store, kept.location, start, end)


async def test_a_reader_may_stop_early(store: BlobStore) -> None:
    kept = await push(store, LARGE * 3)
    async with store.read(kept.location) as chunks:
        first = await anext(aiter(chunks))
    assert LARGE.startswith(first[:100])


async def test_a_copy_removed_while_it_is_read_is_read_to_its_end(store: BlobStore) -> None:
    kept = await push(store, LARGE * 3)
    async with store.read(kept.location) as chunks:
        await store.remove(kept.location)
        assert b"".join([chunk async for chunk in chunks]) == LARGE * 3


async def test_locating_says_what_may_be_sent(store: BlobStore) -> None:
    kept = await push(store, SMALL)
    found = await store.locate(kept.location)
    assert isinstance(found, LocalFile)
    assert len(SMALL) == found.size
    assert found.path.read_bytes() == SMALL


async def test_listing_copies_and_sessions(store: BlobStore) -> None:
    kept = [await push(store, bytes([number]), f"done{number}") for number in range(20)]
    await stop_at(store, SMALL, "open1")
    copies = {name: size async for name, size, _ in store.stored()}
    assert {copy.location: 1 for copy in kept} == copies
    assert {"open1": len(SMALL)} == {name: size async for name, size, _ in store.sessions()}


@pytest.mark.parametrize("steps", [1, 2, 5], ids=lambda steps: f"after {steps} turns of the loop")
async def test_a_cancelled_append_leaves_what_was_acknowledged(
    store: BlobStore, steps: int
) -> None:
    upload = await store.upload(SESSION)
    await upload.append([LARGE])
    late = asyncio.ensure_future(upload.append([LARGE * 4]))
    for _ in range(steps):
        await asyncio.sleep(0)
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late
    await upload.close()
    again = await store.upload(SESSION, len(LARGE))
    kept = await again.keep(digests.of(LARGE))
    assert await pull(store, kept.location) == LARGE


async def cancelled_at_once(act: Callable[[], Awaitable[object]]) -> None:
    task = asyncio.ensure_future(act())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_resume_holds_nothing(store: BlobStore) -> None:
    await stop_at(store, SMALL)
    await cancelled_at_once(lambda: store.upload(SESSION, len(SMALL)))
    upload = await store.upload(SESSION, len(SMALL))
    assert len(SMALL) == (await upload.keep(digests.of(SMALL))).size


async def test_a_cancelled_first_append_holds_nothing(store: BlobStore) -> None:
    upload = await store.upload(SESSION)
    await cancelled_at_once(lambda: upload.append([SMALL]))
    await upload.close()
    assert len(LARGE) == (await push(store, LARGE)).size


def resident() -> int:
    """Bytes of memory that this process holds just now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def test_a_long_stream_needs_little_memory(store: BlobStore) -> None:
    batch = [bytes(65536)] * 16
    upload = await store.upload(SESSION)
    _, digest = await upload.append(batch)
    before, most, size = resident(), 0, 0
    for _ in range(127):
        _, digest = await upload.append(batch)
        most = max(most, resident())
    assert digest is not None
    kept = await upload.keep(digest)
    async with store.read(kept.location) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            most = max(most, resident())
    assert kept.size == size == 128 << 20
    assert most - before < 32 << 20
