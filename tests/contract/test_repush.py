"""Bytes that were just verified beat bytes that are stored: a re-push repairs (storage rule 20)."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builders import image
from contract.test_uploads import LARGE, SMALL, ending, get
from counting import Counted
from retinue.oci import digest as digests
from rig import NAME, START, UPLOADS, Rig
from world import World

Harm = Callable[[Path], Any]


def lose(path: Path) -> None:
    path.unlink()


def shorten(path: Path) -> None:
    os.truncate(path, len(LARGE) - 1)


def flip(path: Path) -> None:
    path.write_bytes(b"?" + LARGE[1:])


HARMS = pytest.mark.parametrize("harm", [lose, shorten, flip])


async def execute(rig: Rig, text: str, *args: object) -> None:
    await World(rig.catalog, rig.blobs).execute(text, *args)


async def stored(rig: Rig) -> list[Any]:
    return [row[0] for row in await rig.rows("select location from object order by digest")]


def path_of(rig: Rig, location: str) -> Path:
    return rig.config.data / "store" / "blobs" / location


async def by_post(rig: Rig) -> int:
    answer = await rig.call("POST", f"{UPLOADS}?digest={digests.of(LARGE)}", LARGE)
    return answer.status


async def by_put(rig: Rig) -> int:
    return (await rig.call("PUT", ending(await rig.begin(), LARGE), LARGE)).status


async def by_chunks(rig: Rig) -> int:
    location = await rig.begin()
    await rig.call("PATCH", location, LARGE[:1000])
    await rig.call("PATCH", location, LARGE[1000:])
    return (await rig.call("PUT", ending(location, LARGE))).status


WAYS = pytest.mark.parametrize("push", [by_post, by_put, by_chunks])


@HARMS
@WAYS
async def test_a_file_that_is_damaged_unnoticed_is_replaced(
    rig: Rig, harm: Harm, push: Callable[[Rig], Any]
) -> None:
    await rig.blob(LARGE)
    [before] = await stored(rig)
    harm(path_of(rig, before))
    assert await push(rig) == 201
    [after] = await stored(rig)
    assert after != before
    assert (await get(rig, LARGE)).body == LARGE
    assert await rig.rows("select location from trash") == [(before,)]


@WAYS
async def test_a_file_that_is_whole_stays(rig: Rig, push: Callable[[Rig], Any]) -> None:
    await rig.blob(LARGE)
    [before] = await stored(rig)
    assert await push(rig) == 201
    assert await stored(rig) == [before]
    [(surplus, due)] = await rig.rows("select location, due from trash")
    assert (surplus != before, due) == (True, START)


async def test_a_push_of_new_content_reads_nothing_and_commits_once(rig: Rig) -> None:
    counted = Counted(rig.catalog)
    commits: list[Any] = []

    class Watched(Counted):
        async def commit(self, change: Any) -> Any:
            commits.append(change)
            return await super().commit(change)

    rig.catalog = watched = Watched(counted)
    rig.restart()
    await rig.blob(LARGE)
    first = watched.taken()
    await rig.blob(LARGE + b"!")
    assert len(commits) == 2
    assert watched.taken() <= first


@pytest.mark.parametrize(
    "harm",
    [
        "update object_bytes set body = :body",
        "update object_bytes set body = substr(:body, 1, 3)",
        "delete from object_bytes where body <> :body",
    ],
)
async def test_a_row_that_is_damaged_unnoticed_is_put_right(rig: Rig, harm: str) -> None:
    await rig.blob(SMALL)
    await execute(rig, harm, b"smell enough for a row")
    await rig.blob(SMALL)
    assert (await get(rig, SMALL)).body == SMALL


async def test_a_manifest_that_is_damaged_unnoticed_is_put_right(rig: Rig) -> None:
    await rig.basics()
    made = image()
    await rig.push(made, "v1")
    raw = digests.to_bytes(made.digest)
    of = "(select id from object where digest = :digest)"
    await execute(rig, f"update object_bytes set body = :body where object = {of}", b"{}", raw)
    await rig.push(made, "v1")
    rig.restart()
    assert (await rig.call("GET", f"/v2/{NAME}/manifests/v1")).body == made.raw


async def test_the_size_that_a_row_tells_is_put_right(rig: Rig) -> None:
    for data in (SMALL, LARGE):
        await rig.blob(data)
    for table in ("object", "repo_blob"):
        await execute(rig, f"update {table} set size = 1")
    for data in (SMALL, LARGE):
        await rig.blob(data)
        assert (await get(rig, data)).body == data
    sizes = sorted([len(SMALL), len(LARGE)])
    for table in ("object", "repo_blob"):
        assert sorted(await rig.rows(f"select size from {table}")) == [(n,) for n in sizes]


async def test_a_holding_of_another_object_is_put_right(rig: Rig) -> None:
    for data in (SMALL, LARGE):
        await rig.blob(data)
    await execute(rig, "update repo_blob set object = (select min(id) from object)")
    for data in (SMALL, LARGE):
        await rig.blob(data)
        assert (await get(rig, data)).body == data


@pytest.mark.parametrize("harm", [None, "update object_bytes set body = :body"])
async def test_a_row_that_comes_again_as_a_file_stays_a_row(rig: Rig, harm: str | None) -> None:
    rig.restart(inline_blob=1 << 20)
    await rig.blob(LARGE)
    if harm is not None:
        await execute(rig, harm, LARGE[1:])
    rig.restart(inline_blob=0)
    for push in (by_post, by_chunks):
        assert await push(rig) == 201
        assert await stored(rig) == [None]
        rig.restart()
        assert (await get(rig, LARGE)).body == LARGE
    assert len(await rig.rows("select location from trash")) == 2


@HARMS
async def test_a_file_that_comes_again_as_a_row_is_one(rig: Rig, harm: Harm) -> None:
    await rig.blob(LARGE)
    [before] = await stored(rig)
    harm(path_of(rig, before))
    rig.restart(inline_blob=1 << 20)
    await rig.blob(LARGE)
    assert (await get(rig, LARGE)).body == LARGE
    assert await rig.rows("select location from trash") == [(before,)]


@pytest.mark.parametrize("harm", [lose, shorten])
async def test_a_client_that_asks_first_is_told_to_push_what_is_lost(rig: Rig, harm: Harm) -> None:
    digest = await rig.blob(LARGE)
    [location] = await stored(rig)
    harm(path_of(rig, location))
    path = f"/v2/{NAME}/blobs/{digest}"
    assert (await rig.call("HEAD", path)).status == 404
    assert await by_put(rig) == 201
    assert (await rig.call("HEAD", path)).status == 200
    assert (await get(rig, LARGE)).body == LARGE


# ---- mounts


@pytest.mark.parametrize("harm", [lose, shorten])
@pytest.mark.parametrize("source", ["&from=other/app", ""])
async def test_a_lost_copy_is_not_mounted_but_uploaded(rig: Rig, harm: Harm, source: str) -> None:
    digest = await rig.blob(LARGE, name="other/app")
    [location] = await stored(rig)
    harm(path_of(rig, location))
    answer = await rig.call("POST", f"{UPLOADS}?mount={digest}{source}")
    assert answer.status == 202
    assert (await rig.call("PUT", ending(answer.location, LARGE), LARGE)).status == 201
    assert (await get(rig, LARGE)).body == LARGE
    assert (await get(rig, LARGE, name="other/app")).body == LARGE


async def test_a_damaged_row_is_not_mounted(rig: Rig) -> None:
    digest = await rig.blob(SMALL, name="other/app")
    await execute(rig, "update object_bytes set body = :body", SMALL[1:])
    assert (await rig.call("POST", f"{UPLOADS}?mount={digest}&from=other/app")).status == 202


# ---- quarantine names what was seen (storage rule 20)


class Meanwhile(Counted):
    """Runs something before the next commit."""

    doing: Callable[[], Any] | None = None

    async def commit(self, change: Any) -> Any:
        doing, self.doing = self.doing, None
        if doing is not None:
            await doing()
        return await super().commit(change)


async def damaged(rig: Rig, data: bytes) -> None:
    await rig.blob(data)
    [location] = await stored(rig)
    if location is None:
        await execute(rig, "update object_bytes set body = :body", data[1:])
    else:
        shorten(path_of(rig, location))


@pytest.mark.parametrize("data", [SMALL, LARGE, b""], ids=["small", "large", "empty"])
async def test_of_two_readers_of_damage_the_second_spares_what_came_between(
    rig: Rig, data: bytes
) -> None:
    """Both have read the damaged copy; the first condemns it, and a client pushes it again."""
    await damaged(rig, data)
    if not data:
        await execute(rig, "delete from object_bytes")
    first = rig.catalog
    rig.catalog = second = Meanwhile(first)
    slow = Rig(second, rig.blobs, rig.config)
    rig.catalog = first

    async def between() -> None:
        assert (await get(rig, data)).status == 404
        await rig.blob(data)

    second.doing = between
    answer = await get(slow, data)
    assert answer.status == 503
    assert (await get(rig, data)).body == data
    assert await rig.rows("select id from object where quarantined is not null") == []


async def test_both_readers_of_damage_are_told_that_it_is_gone(rig: Rig) -> None:
    await damaged(rig, LARGE)
    second = Meanwhile(rig.catalog)
    slow = Rig(second, rig.blobs, rig.config)

    async def between() -> None:
        assert (await get(rig, LARGE)).status == 404

    second.doing = between
    assert (await get(slow, LARGE)).status == 404
