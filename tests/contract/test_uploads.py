"""Uploads and mounts, on both databases."""

import asyncio
from typing import Any

import pytest

from counting import Counted
from retinue.oci import digest as digests
from retinue.registry.catalog.db import Sql
from retinue.registry.storage.files import FileBlobStore
from rig import HOUR, NAME, UPLOADS, Answer, Rig, Wire

SMALL = b"small enough for a row"
LARGE = bytes(range(256)) * 1024
"""256 KiB: a file."""


def ending(location: str, data: bytes, algorithm: str = "sha256") -> str:
    return f"{location}?digest={digests.of(data, algorithm)}"


async def get(rig: Rig, data: bytes, name: str = NAME, algorithm: str = "sha256") -> Answer:
    return await rig.call("GET", f"/v2/{name}/blobs/{digests.of(data, algorithm)}")


async def received(rig: Rig, location: str) -> tuple[int, str]:
    answer = await rig.call("GET", location)
    return answer.status, answer.headers.get("range", "")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
async def test_a_blob_in_one_request(rig: Rig, data: bytes, algorithm: str) -> None:
    digest = digests.of(data, algorithm)
    answer = await rig.call("POST", f"{UPLOADS}?digest={digest}", data)
    assert (answer.status, answer.headers["docker-content-digest"]) == (201, digest)
    assert answer.location == f"/v2/{NAME}/blobs/{digest}"
    assert (await get(rig, data, algorithm=algorithm)).body == data


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
async def test_a_blob_by_post_and_put(rig: Rig, data: bytes, algorithm: str) -> None:
    answer = await rig.call("PUT", ending(await rig.begin(), data, algorithm), data)
    assert answer.status == 201
    assert (await get(rig, data, algorithm=algorithm)).body == data


@pytest.mark.parametrize("query", ["", "?digest-algorithm=sha512"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_blob_in_chunks(rig: Rig, query: str, algorithm: str) -> None:
    location = await rig.begin(query=query)
    for start in range(0, len(LARGE), 100_000):
        chunk = LARGE[start : start + 100_000]
        last = start + len(chunk) - 1
        headers = {"content-range": f"{start}-{last}", "content-length": str(len(chunk))}
        answer = await rig.call("PATCH", location, chunk, headers)
        assert (answer.status, answer.headers["range"]) == (202, f"0-{last}")
        location = answer.location
    assert (await rig.call("PUT", ending(location, LARGE, algorithm))).status == 201
    assert (await get(rig, LARGE, algorithm=algorithm)).body == LARGE


async def test_the_last_chunk_may_come_with_the_put(rig: Rig) -> None:
    location = await rig.begin()
    await rig.call("PATCH", location, LARGE[:1000])
    headers = {"content-range": f"1000-{len(LARGE) - 1}"}
    answer = await rig.call("PUT", ending(location, LARGE), LARGE[1000:], headers)
    assert answer.status == 201
    assert (await get(rig, LARGE)).body == LARGE


async def test_a_stream_in_many_parts_is_written_in_batches(rig: Rig) -> None:
    parts = [bytes([number]) * 300_000 for number in range(9)]
    whole = b"".join(parts)
    location = await rig.begin()
    answer = await rig.call("PATCH", location, Wire(parts))
    assert answer.headers["range"] == f"0-{len(whole) - 1}"
    assert (await rig.call("PUT", ending(location, whole))).status == 201
    assert (await get(rig, whole)).body == whole


async def test_rule_8_a_small_blob_costs_one_commit_and_is_a_row(rig: Rig) -> None:
    commits = _commits(rig)
    await rig.call("PUT", ending(await rig.begin(), SMALL), SMALL)
    assert len(commits) == 1
    assert await rig.rows("select location from object") == [(None,)]
    await rig.call("PUT", ending(await rig.begin(), LARGE), LARGE)
    assert len(commits) == 2


def _commits(rig: Rig) -> list[Any]:
    made: list[Any] = []

    class Watched(Counted):
        async def commit(self, change: Any) -> Any:
            made.append(change)
            return await super().commit(change)

    rig.catalog = Watched(rig.catalog)
    rig.restart()
    return made


# ---- order


async def test_chunks_out_of_order_are_416_and_the_session_survives(rig: Rig) -> None:
    location = await rig.begin()
    answer = await rig.call("PATCH", location, LARGE[:10], {"content-range": "10-19"})
    assert (answer.status, answer.headers["range"]) == (416, "0-0")
    assert await received(rig, location) == (204, "0-0")
    await rig.call("PATCH", location, LARGE[:10], {"content-range": "0-9"})
    for method in ("PATCH", "PUT"):
        path = ending(location, LARGE) if method == "PUT" else location
        answer = await rig.call(method, path, LARGE[:10], {"content-range": "0-9"})
        assert (answer.status, answer.headers["range"]) == (416, "0-9")
        assert answer.location == location
    assert await received(rig, location) == (204, "0-9")


async def test_a_range_that_is_not_the_length_is_refused(rig: Rig) -> None:
    location = await rig.begin()
    headers = {"content-range": "0-9", "content-length": "11"}
    assert (await rig.call("PATCH", location, b"x" * 11, headers)).status == 400
    answer = await rig.call("PATCH", location, b"x" * 11, {"content-range": "0-9"})
    assert (answer.status, answer.code) == (400, "SIZE_INVALID")
    assert await received(rig, location) == (204, "0-0")
    assert (await rig.call("PATCH", location, b"x", {"content-range": "9-0"})).status == 416


async def test_rule_5_of_two_writers_one_gets_416(rig: Rig) -> None:
    location = await rig.begin()
    await rig.call("PATCH", location, LARGE[:100])
    answers: list[Answer] = []

    async def meanwhile(number: int) -> None:
        if number == 1:
            answers.append(await rig.call("PATCH", location, LARGE[100:200]))

    wire = Wire([LARGE[100:200], LARGE[200:]], before=meanwhile)
    assert (await rig.call("PATCH", location, wire)).status == 202
    assert [answer.status for answer in answers] == [416]
    assert (await rig.call("PUT", ending(location, LARGE))).status == 201


async def test_rule_5_of_two_first_chunks_one_begins_the_session(rig: Rig) -> None:
    location = await rig.begin()

    async def meanwhile(number: int) -> None:
        if number == 1:
            assert (await rig.call("PATCH", location, b"mine")).status == 202

    answer = await rig.call("PATCH", location, Wire([b"the", b"irs"], before=meanwhile))
    assert answer.status == 416
    assert (await rig.call("PUT", ending(location, b"mine"))).status == 201
    assert [name async for name, _, _ in rig.blobs.sessions()] == []


async def test_rule_5_a_lease_that_ran_out_is_taken_over(rig: Rig) -> None:
    location = await rig.begin()
    await rig.call("PATCH", location, LARGE[:100])
    await rig.catalog.commit(lambda: _lease(rig, location))
    assert (await rig.call("PATCH", location, LARGE[100:])).status == 416
    rig.now += 61_000_000
    assert (await rig.call("PATCH", location, LARGE[100:])).status == 202
    assert (await rig.call("PUT", ending(location, LARGE))).status == 201


def _lease(rig: Rig, location: str) -> Any:
    from retinue.registry.catalog import uploads

    session = location.rpartition("/")[2].partition(".")[0]
    return uploads.lease(session, 100, "a writer that died", rig.now + 60_000_000, rig.now)


async def test_rule_5_a_writer_that_was_overtaken_ends_with_416(rig: Rig) -> None:
    location = await rig.begin()
    await rig.call("PATCH", location, LARGE[:100])

    async def stall(number: int) -> None:
        if number == 1:
            rig.now += 120_000_000
            await rig.catalog.commit(lambda: _lease(rig, location))

    wire = Wire([b"x" * (1 << 20), b"y" * (1 << 20)], before=stall)
    assert (await rig.call("PATCH", location, wire)).status == 416
    rig.now += 61_000_000
    assert await received(rig, location) == (204, "0-99")


# ---- whose session


async def test_rule_5_a_session_belongs_to_its_repository(rig: Rig) -> None:
    location = await rig.begin()
    elsewhere = location.replace(NAME, "other/app")
    for method in ("GET", "PATCH", "DELETE"):
        answer = await rig.call(method, elsewhere, b"x" if method == "PATCH" else b"")
        assert (answer.status, answer.code) == (404, "BLOB_UPLOAD_UNKNOWN")
    answer = await rig.call("PUT", ending(elsewhere, b""))
    assert (answer.status, answer.code) == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("made_up", ["x", "01" * 13 + "." + "0" * 32, "a/b"])
async def test_an_id_that_was_made_up_is_unknown(rig: Rig, made_up: str) -> None:
    assert (await rig.call("GET", UPLOADS + made_up)).status == 404


async def test_an_abandoned_session_expires(rig: Rig) -> None:
    fresh, begun = await rig.begin(), await rig.begin()
    await rig.call("PATCH", begun, b"x")
    rig.now += 8 * 24 * HOUR
    assert await received(rig, fresh) == (404, "")
    assert await received(rig, begun) == (404, "")


# ---- the end of a session


async def test_a_wrong_digest_is_400_and_the_session_survives(rig: Rig) -> None:
    for data in (SMALL, LARGE):
        location = await rig.begin()
        answer = await rig.call("PUT", ending(location, b"other"), data)
        assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
        await rig.call("PATCH", location, data)
        answer = await rig.call("PUT", ending(location, b"other"))
        assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
        answer = await rig.call("PUT", ending(location, data + b"!"), b"?")
        assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
        assert (await rig.call("PUT", ending(location, data + b"!"), b"!")).status == 201


async def test_the_put_needs_a_digest_that_is_supported(rig: Rig) -> None:
    location = await rig.begin()
    assert (await rig.call("PUT", location)).status == 400
    for text in ("sha256:bad", "md5:00", "blake3:00"):
        answer = await rig.call("PUT", f"{location}?digest={text}")
        assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    answer = await rig.call("POST", f"{UPLOADS}?digest-algorithm=blake3")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("patched", [True, False])
async def test_rule_5_a_repeated_put_answers_again_for_ten_minutes(
    rig: Rig, data: bytes, patched: bool
) -> None:
    location = await rig.begin()
    if patched:
        await rig.call("PATCH", location, data)
    path = ending(location, data)
    assert (await rig.call("PUT", path, b"" if patched else data)).status == 201
    assert (await rig.call("PUT", path)).status == 201
    assert (await rig.call("PUT", ending(location, b"other"))).status == 404
    assert await received(rig, location) == (404, "")
    rig.now += 11 * 60_000_000
    assert (await rig.call("PUT", path)).status == 404


async def test_a_cancelled_session_is_gone_with_its_bytes(rig: Rig) -> None:
    fresh, begun = await rig.begin(), await rig.begin()
    await rig.call("PATCH", begun, LARGE)
    for location in (fresh, begun):
        assert (await rig.call("DELETE", location)).status == 204
        assert await received(rig, location) == (404, "")
        assert (await rig.call("PATCH", location, b"x")).status == 404
        assert (await rig.call("DELETE", location)).status == 404
    assert [name async for name, _, _ in rig.blobs.sessions()] == []


# ---- connections that end


async def test_rule_6_a_stream_that_was_cut_keeps_what_came(rig: Rig) -> None:
    location = await rig.begin()
    await rig.call("PATCH", location, Wire([LARGE[:1000], LARGE[1000:5000]], whole=False))
    assert await received(rig, location) == (204, "0-4999")
    await rig.call("PATCH", location, Wire([LARGE[5000:9000]], whole=False))
    assert await received(rig, location) == (204, "0-8999")
    assert (await rig.call("PATCH", location, LARGE[9000:])).status == 202
    assert (await rig.call("PUT", ending(location, LARGE))).status == 201


async def test_rule_6_a_chunk_that_was_cut_can_be_sent_again(rig: Rig) -> None:
    location = await rig.begin()
    for start in (0, 1000):
        headers = {"content-range": f"{start}-{start + 999}"}
        chunk = LARGE[start : start + 1000]
        await rig.call("PATCH", location, Wire([chunk[:500]], whole=False), headers)
        assert (await rig.call("PATCH", location, chunk, headers)).status == 202
    assert (await rig.call("PUT", ending(location, LARGE[:2000]))).status == 201


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("begun", [True, False])
async def test_rule_6_a_put_that_was_cut_stores_nothing(rig: Rig, data: bytes, begun: bool) -> None:
    location = await rig.begin()
    if begun:
        await rig.call("PATCH", location, data[:4])
    rest = data[4:] if begun else data
    answer = await rig.call("PUT", ending(location, data), Wire([rest], whole=False))
    assert answer.status != 201
    assert (await get(rig, data)).status == 404
    assert (await rig.call("PUT", ending(location, data), rest)).status == 201


async def test_rule_6_a_post_that_was_cut_leaves_nothing_behind(rig: Rig) -> None:
    for data in (SMALL, LARGE):
        path = f"{UPLOADS}?digest={digests.of(data)}"
        await rig.call("POST", path, Wire([data], whole=False))
        assert (await get(rig, data)).status == 404
    assert [name async for name, _, _ in rig.blobs.sessions()] == []


async def test_a_request_that_is_cancelled_gives_the_lease_back(rig: Rig) -> None:
    location = await rig.begin()
    await rig.call("PATCH", location, LARGE[:100])
    stuck, never = asyncio.Event(), asyncio.Event()

    async def stall(number: int) -> None:
        if number == 1:
            stuck.set()
            await never.wait()

    wire = Wire([LARGE[100:200], b"?"], before=stall)
    task = asyncio.ensure_future(rig.call("PATCH", location, wire))
    await stuck.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await rig.call("PATCH", location, LARGE[100:])).status == 202
    assert (await rig.call("PUT", ending(location, LARGE))).status == 201


# ---- bounds


async def test_a_blob_above_the_limit_is_413(rig: Rig) -> None:
    rig.restart(max_blob=100_000)
    location = await rig.begin()
    declared = {"content-length": str(len(LARGE))}
    for headers in ({}, declared):
        for method, path in (
            ("POST", f"{UPLOADS}?digest={digests.of(LARGE)}"),
            ("PUT", ending(location, LARGE)),
            ("PATCH", location),
        ):
            answer = await rig.call(method, path, Wire([LARGE[:99_999], LARGE[99_999:]]), headers)
            assert (answer.status, answer.code) == (413, "SIZE_INVALID")
    await rig.call("PATCH", location, LARGE[:99_000])
    assert (await rig.call("PATCH", location, LARGE[99_000:])).status == 413
    assert await received(rig, location) == (204, "0-98999")


# ---- digests that were recorded


async def test_rule_5_a_recorded_digest_is_used_only_in_the_same_boot(rig: Rig) -> None:
    for boot, altered, status in (("boot-1", False, 201), ("boot-2", True, 400)):
        location = await rig.begin()
        data = LARGE + boot.encode()
        await rig.call("PATCH", location, data)
        if altered:
            _alter_session(rig)
        rig.boot = boot
        rig.restart()
        assert (await rig.call("PUT", ending(location, data))).status == status


async def test_rule_5_processes_that_take_turns_agree_on_the_bytes(rig: Rig) -> None:
    """Each has the running hash of what it took last, and knows when it is not that of all."""
    one, other = rig.blobs, FileBlobStore(rig.config.data / "store", threads=2)
    location, sent = await rig.begin(), b""
    for store, size in ((one, 100), (other, 100_000), (other, 70_000), (one, 300_000), (one, 1)):
        rig.blobs = store
        rig.restart()
        part = bytes([size % 251]) * size
        assert (await rig.call("PATCH", location, part)).status == 202
        sent += part
    rig.blobs = other
    rig.restart()
    assert await received(rig, location) == (204, f"0-{len(sent) - 1}")
    assert (await rig.call("PUT", ending(location, sent[::-1]))).status == 400
    assert (await rig.call("PUT", ending(location, sent))).status == 201
    assert (await get(rig, sent)).body == sent
    await other.close()


async def test_rule_5_a_hash_of_progress_that_the_catalog_lost_is_not_used(rig: Rig) -> None:
    """A catalog that comes back from a crash may know less than this process."""
    location = await rig.begin()
    await rig.call("PATCH", location, LARGE[:1000])
    before = await rig.rows("select size, reached from upload")
    await rig.call("PATCH", location, LARGE[1000:])
    await rig.catalog.commit(lambda: _put_back(*before[0]))
    assert await received(rig, location) == (204, "0-999")
    whole = LARGE[:1000] + LARGE[:1000]
    assert (await rig.call("PATCH", location, LARGE[:1000])).status == 202
    assert (await rig.call("PUT", ending(location, LARGE))).status == 400
    assert (await rig.call("PUT", ending(location, whole))).status == 201
    assert (await get(rig, whole)).body == whole


_PUT_BACK = Sql("update upload set size = :size, reached = :reached where state = 1")


def _put_back(size: object, reached: object) -> Any:
    yield _PUT_BACK, (size, reached)


def _alter_session(rig: Rig) -> None:
    """What a power loss may do to bytes that were not synced."""
    (file,) = (rig.config.data / "store" / "uploads").iterdir()
    content = file.read_bytes()
    file.write_bytes(bytes(1000) + content[1000:])


async def test_bytes_that_vanished_end_the_session(rig: Rig) -> None:
    location = await rig.begin()
    await rig.call("PATCH", location, LARGE)
    (file,) = (rig.config.data / "store" / "uploads").iterdir()
    file.unlink()
    answer = await rig.call("PUT", ending(location, LARGE))
    assert (answer.status, answer.code) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert await received(rig, location) == (404, "")
