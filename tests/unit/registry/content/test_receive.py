"""Bytes from a connection into an upload."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from retinue.oci.digest import Digest
from retinue.registry.content.errors import UploadTooLarge
from retinue.registry.content.receive import BATCH, Pump, chain, small
from retinue.registry.http.exchange import ClientGone
from retinue.registry.storage.blobstore import Kept, StorageFailed


class Recorded:
    """An `Upload` that remembers what it was given. `gate` holds each write up."""

    def __init__(self, *, fails: bool = False) -> None:
        self.offset = 0
        self.writes: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.writing = 0
        self.most = 0
        self._fails = fails

    async def append(self, parts: Sequence[bytes]) -> tuple[int, Digest | None]:
        self.writing += 1
        self.most = max(self.most, self.writing)
        await self.gate.wait()
        self.writing -= 1
        if self._fails:
            raise StorageFailed("write", "no space left")
        self.writes.append(b"".join(parts))
        self.offset += len(self.writes[-1])
        return self.offset, Digest(f"digest at {self.offset}")

    async def keep(self, expected: Digest, *, last: Sequence[bytes] = ()) -> Kept:
        await self.append(last)
        return Kept(expected, self.offset)

    async def close(self) -> None:
        raise NotImplementedError


async def parts(*sizes: int, cut: bool = False) -> AsyncIterator[bytes]:
    for number, size in enumerate(sizes):
        yield bytes([number]) * size
    if cut:
        raise ClientGone


async def turns(number: int) -> None:
    """Let everything run that can."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_parts_are_collected_into_batches() -> None:
    upload = Recorded()
    pump = Pump(upload, 0)
    assert await pump.fill(parts(*[300_000] * 9)) is None
    assert [len(each) for each in upload.writes] == [1_200_000, 1_200_000, 300_000]
    assert (pump.offset, pump.reached) == (2_700_000, "digest at 2700000")


async def test_one_write_is_under_way_while_the_next_parts_arrive() -> None:
    upload = Recorded()
    upload.gate.clear()
    arrived: list[int] = []

    async def watched() -> AsyncIterator[bytes]:
        for number in range(8):
            arrived.append(number)
            yield bytes(BATCH // 2)

    pump = asyncio.ensure_future(Pump(upload, 0).fill(watched()))
    await turns(50)
    assert (upload.writing, arrived) == (1, [0, 1, 2, 3, 4])
    upload.gate.set()
    await pump
    assert (upload.most, upload.offset) == (1, 4 * BATCH)


async def test_the_last_batch_is_written_by_keeping() -> None:
    upload = Recorded()
    pump = Pump(upload, 0)
    assert await pump.take(parts(BATCH, BATCH, 5)) == 2 * BATCH + 5
    assert [len(each) for each in upload.writes] == [BATCH, BATCH]
    assert await pump.keep(Digest("wanted")) == Kept("wanted", 2 * BATCH + 5)
    assert [len(each) for each in upload.writes] == [BATCH, BATCH, 5]


async def test_rule_6_a_cut_is_raised_where_a_part_is_of_no_use() -> None:
    upload = Recorded()
    with pytest.raises(ClientGone):
        await Pump(upload, 0).take(parts(10, 20, cut=True))
    assert upload.writes == []


async def test_rule_6_a_cut_is_told_and_what_came_before_is_written() -> None:
    upload = Recorded()
    pump = Pump(upload, 0)
    cut = await pump.fill(parts(10, 20, cut=True))
    assert isinstance(cut, ClientGone)
    assert (pump.offset, upload.offset) == (30, 30)


async def test_more_than_the_limit_is_refused_before_it_is_written() -> None:
    upload = Recorded()
    with pytest.raises(UploadTooLarge):
        await Pump(upload, 99).fill(parts(50, 50))
    assert upload.writes == []


async def test_a_failed_write_ends_it() -> None:
    with pytest.raises(StorageFailed):
        await Pump(Recorded(fails=True), 0).fill(parts(BATCH, BATCH))


async def test_the_guard_is_asked_before_each_write() -> None:
    class Stop(Exception):
        pass

    async def guard() -> None:
        raise Stop

    upload = Recorded()
    with pytest.raises(Stop):
        await Pump(upload, 0, guard).fill(parts(BATCH))
    assert upload.writes == []


async def test_a_write_is_waited_for_when_the_request_is_cancelled() -> None:
    upload = Recorded()
    upload.gate.clear()
    task = asyncio.ensure_future(Pump(upload, 0).fill(parts(BATCH, 1)))
    await turns(50)
    assert upload.writing == 1
    task.cancel()
    await turns(50)
    assert not task.done()
    upload.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert upload.writing == 0


async def test_the_first_parts_of_a_body_that_is_not_small_are_not_lost() -> None:
    body = parts(10, 10, 10)
    first, whole = await small(body, 15)
    assert (len(first), whole) == (2, False)
    assert [len(part) async for part in chain(first, body)] == [10, 10, 10]
    assert await small(parts(10, 5), 15) == ([bytes(10), b"\1" * 5], True)
