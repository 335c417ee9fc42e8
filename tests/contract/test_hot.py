"""Answers from memory: never other than the catalog's, whoever commits, wherever.

`Rig.call` compares every one of them with what the handlers say, in all tests that use it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import rsgi
from builders import artifact, image
from retinue.oci import digest as digests
from retinue.registry import worker
from retinue.registry.access.gate import Gate
from retinue.registry.access.principal import ANONYMOUS, Principal
from retinue.registry.access.rules import Rules, parse_rule
from retinue.registry.catalog.opening import open_catalog
from retinue.registry.config import Config
from retinue.registry.content import pull
from retinue.registry.gc.execute import Settings, collect_once
from retinue.registry.gc.plan import Terms
from retinue.registry.http.entry import Entry
from retinue.registry.http.table import TABLE
from retinue.registry.metrics import CACHE_HITS, CELLS, REQUESTS, Metrics
from retinue.registry.storage.files import FileBlobStore
from rig import HOUR, NAME, Answer, Rig, quarantine

BLOB = b"a blob of its own"
LARGE = bytes(100_000)
HUGE = bytes(pull.IN_MEMORY + 1)
IMAGE = image()
PAPER = artifact(IMAGE)
PATHS = {
    "by tag": ("GET", f"/v2/{NAME}/manifests/v1"),
    "head by tag": ("HEAD", f"/v2/{NAME}/manifests/v1"),
    "by digest": ("GET", f"/v2/{NAME}/manifests/{IMAGE.digest}"),
    "head by digest": ("HEAD", f"/v2/{NAME}/manifests/{IMAGE.digest}"),
    "blob": ("GET", f"/v2/{NAME}/blobs/{digests.of(BLOB)}"),
    "head of blob": ("HEAD", f"/v2/{NAME}/blobs/{digests.of(BLOB)}"),
    "file": ("GET", f"/v2/{NAME}/blobs/{digests.of(HUGE)}"),
    "head of file": ("HEAD", f"/v2/{NAME}/blobs/{digests.of(LARGE)}"),
    "manifest as blob": ("GET", f"/v2/{NAME}/blobs/{IMAGE.digest}"),
    "tags": ("GET", f"/v2/{NAME}/tags/list"),
    "page of tags": ("GET", f"/v2/{NAME}/tags/list?n=9&last=a"),
    "head of tags": ("HEAD", f"/v2/{NAME}/tags/list"),
    "head of papers": ("HEAD", f"/v2/{NAME}/referrers/{IMAGE.digest}"),
    "papers": ("GET", f"/v2/{NAME}/referrers/{IMAGE.digest}"),
    "papers of a type": ("GET", f"/v2/{NAME}/referrers/{IMAGE.digest}?artifactType=a/b"),
}


async def fill(rig: Rig) -> None:
    await rig.basics()
    await rig.blob(BLOB)
    await rig.blob(LARGE)
    await rig.blob(HUGE)
    await rig.push(IMAGE, "v1")
    await rig.push(image(annotations={"n": "2"}), "v2")
    await rig.push(PAPER)


async def ask(rig: Rig) -> dict[str, Answer]:
    return {name: await rig.call(*what) for name, what in PATHS.items()}


def told(answers: dict[str, Answer]) -> dict[str, tuple[int, bytes]]:
    return {name: (answer.status, answer.body) for name, answer in answers.items()}


async def test_what_was_asked_before_is_answered_from_memory(rig: Rig, database: str) -> None:
    await fill(rig)
    first = await ask(rig)
    assert rig.hits == 0
    assert {200} == {answer.status for answer in first.values()}
    again = await ask(rig)
    assert told(first) == told(again)
    assert rig.hits == (len(PATHS) if database.startswith("sqlite:") else 0)


# ---- two processes on one catalog


@dataclass(slots=True)
class Two:
    here: Rig
    there: Rig


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    blobs = FileBlobStore(tmp_path / "store", durable=False, threads=2)
    database = f"sqlite:{tmp_path}/catalog.db"
    catalogs = [await open_catalog(database, durable=False) for _ in range(2)]
    config = Config(data=tmp_path, durable=False)
    yield Two(*(Rig(catalog, blobs, config) for catalog in catalogs))
    for catalog in catalogs:
        await catalog.close()
    await blobs.close()


async def delete_tag(rig: Rig) -> None:
    assert (await rig.delete("v1")).status == 202


async def delete_image(rig: Rig) -> None:
    assert (await rig.delete(IMAGE.digest)).status == 202


async def delete_blob(rig: Rig) -> None:
    answer = await rig.call("DELETE", f"/v2/{NAME}/blobs/{digests.of(BLOB)}")
    assert answer.status == 202


async def retag(rig: Rig) -> None:
    await rig.push(image(annotations={"n": "3"}), "v1")


async def push(rig: Rig) -> None:
    await rig.push(image(annotations={"n": "4"}), "v3")


async def attach(rig: Rig) -> None:
    await rig.push(artifact(IMAGE, kind="a/b"))


async def collect(rig: Rig) -> None:
    now = rig.now + 48 * HOUR
    report = await collect_once(rig.catalog, rig.blobs, Settings(Terms(), HOUR, now))
    assert report.blobs > 0


DOINGS: dict[str, tuple[Callable[[Rig], Awaitable[None]], Sequence[str]]] = {
    "a tag is deleted": (delete_tag, ["by tag", "head by tag", "tags"]),
    "an image is deleted": (delete_image, ["by tag", "by digest", "manifest as blob", "papers"]),
    "a blob is deleted": (delete_blob, ["blob", "head of blob"]),
    "a tag is moved": (retag, ["by tag"]),
    "an image is pushed": (push, ["tags", "page of tags"]),
    "a paper is attached": (attach, ["papers", "papers of a type"]),
    "blobs are collected": (collect, ["blob", "head of blob", "file", "head of file"]),
    "all is quarantined": (quarantine, ["by tag", "by digest", "blob", "head of file"]),
}


@pytest.mark.parametrize("doing", list(DOINGS))
async def test_what_one_process_does_is_seen_at_once_by_another(two: Two, doing: str) -> None:
    do, changed = DOINGS[doing]
    await fill(two.here)
    before = told(await ask(two.there))
    assert before == told(await ask(two.there))
    assert two.there.hits == len(PATHS)
    await do(two.here)
    after = told(await ask(two.there))
    assert two.there.hits == len(PATHS)
    assert [name for name in changed if before[name] == after[name]] == []
    assert after == told(await ask(two.here))


async def test_an_answer_that_is_older_than_a_commit_is_not_kept(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(two.here)
    scope = rsgi.Scope("GET", f"/v2/{NAME}/tags/list", headers=rsgi.hosted())
    find = two.there.catalog.one

    async def interrupted(*args: Any) -> Any:
        found = await find(*args)
        await two.here.push(image(annotations={"n": "5"}), "v4")
        return found

    monkeypatch.setattr(two.there.catalog, "one", interrupted)
    await two.there.entry(scope, rsgi.Wire())
    assert not two.there.entry.hot.answer(scope, rsgi.Wire())


# ---- what depends on more than the catalog


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"range": "bytes=0-3"}, 206),
        ({"range": "bytes=99999-"}, 416),
        ({"if-none-match": f'"{digests.of(BLOB)}"'}, 304),
        ({"if-none-match": '"other"'}, 200),
    ],
)
async def test_parts_and_conditions_are_not_answered_from_memory(
    two: Two, headers: dict[str, str], status: int
) -> None:
    await fill(two.here)
    path = PATHS["blob"][1]
    await two.here.call("GET", path)
    for _ in range(2):
        assert (await two.here.call("GET", path, b"", headers)).status == status
    assert two.here.hits == 0
    assert (await two.here.call("GET", path)).status == 200
    assert two.here.hits == 1


async def test_collection_2_head_pushes_the_grace_forward_also_from_memory(two: Two) -> None:
    rig = two.here
    await fill(rig)
    rows = ("select touched from manifest where digest = :d", digests.to_bytes(IMAGE.digest))
    pushed = rig.now
    for _ in range(2):
        await rig.call("HEAD", PATHS["by tag"][1])
    assert (rig.hits, await rig.rows(*rows)) == (1, [(pushed,)])
    rig.now += 12 * HOUR
    await rig.call("HEAD", PATHS["by tag"][1])
    assert (rig.hits, await rig.rows(*rows)) == (1, [(rig.now,)])


async def test_pulls_from_memory_are_counted_and_heads_are_not(two: Two) -> None:
    rig = two.here
    await fill(rig)
    for _ in range(3):
        await rig.call("GET", PATHS["by tag"][1])
        await rig.call("HEAD", PATHS["by tag"][1])
    assert rig.hits == 4
    await worker.flush(rig.entry._services)
    assert await rig.rows("select pulls from usage") == [(3,)]


class Door(Gate):
    """Users are who they say; rules decide. `known`: those that need no work."""

    def __init__(self, *rules: str, known: Sequence[str | None] = ()) -> None:
        self._rules = Rules([parse_rule(rule) for rule in rules])
        self.known = known

    async def identify(self, authorization: str | None, peer: str) -> Principal:
        return Principal(authorization) if authorization else ANONYMOUS

    def recall(self, authorization: str | None) -> Principal | None:
        if authorization not in self.known:
            return None
        return Principal(authorization) if authorization else ANONYMOUS


@pytest.mark.parametrize(
    ("user", "status", "hits"),
    [("alice", 200, 1), ("bob", 404, 0), ("carol", 200, 0), (None, 401, 0), ("\xe9", 401, 0)],
)
async def test_permission_is_asked_for_each_time(
    two: Two, user: str | None, status: int, hits: int
) -> None:
    rig = two.here
    await fill(rig)
    door = Door("alice,carol read *", known=["alice", "bob", None])
    rig.entry = Entry(replace(rig.services(), access=door), TABLE)
    rig.plain = Entry(replace(rig.services(), access=door), TABLE)
    path = PATHS["by tag"][1]
    assert (await rig.call("GET", path, b"", {"authorization": "carol"})).status == 200
    headers = {"authorization": user} if user else {}
    assert (await rig.call("GET", path, b"", headers)).status == status
    assert rig.hits == hits


async def test_answers_have_request_ids_notices_and_are_counted(two: Two) -> None:
    rig = two.here
    rig.restart(notice="soon gone")
    await fill(rig)
    aside = Metrics()
    rig.entry = Entry(rig.services(), TABLE, "mark", aside)
    path = PATHS["by tag"][1]
    first = await rig.call("GET", path)
    again = await rig.call("GET", path)
    named = await rig.call("GET", path, b"", {"x-request-id": "mine"})
    assert rig.hits == 2
    assert {"mine"} < {a.headers["x-request-id"] for a in (first, again, named)}
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    assert first.headers["warning"] == again.headers["warning"] == named.headers["warning"]
    assert aside.cells[CELLS[REQUESTS.name]["manifests", "GET", "2xx"]] == 2
    assert aside.cells[CELLS[CACHE_HITS.name][()]] == 2


async def test_answers_from_memory_are_logged(two: Two, caplog: pytest.LogCaptureFixture) -> None:
    rig = two.here
    await fill(rig)
    rig.restart(access_log=True)
    with caplog.at_level("INFO", "retinue.access_log"):
        for _ in range(2):
            await rig.call("GET", PATHS["by tag"][1], b"", {"x-request-id": "mine"})
    lines = [record.line.fields() for record in caplog.records if hasattr(record, "line")]
    assert rig.hits == 1
    mine = [line for line in lines if line["request"] == "mine"]
    assert mine[0] == mine[1]
    assert mine[0]["status"] == 200


async def test_memory_is_bounded(two: Two) -> None:
    rig = two.here
    await fill(rig)
    rig.restart(cache=64 << 10)
    blobs = [bytes([number]) * 3000 for number in range(20)]
    for data in blobs:
        await rig.blob(data)
    for _ in range(2):
        for data in blobs:
            answer = await rig.call("GET", f"/v2/{NAME}/blobs/{digests.of(data)}")
            assert answer.body == data
    assert rig.entry.hot.used <= 16 << 10
    large = f"/v2/{NAME}/blobs/{await rig.blob(bytes(20_000))}"
    before = rig.hits
    for _ in range(2):
        await rig.call("GET", large)
    assert before == rig.hits


async def test_rule_7_a_smaller_file_is_verified_and_kept_when_it_is_asked_for_again(
    two: Two, tmp_path: Path
) -> None:
    rig = two.here
    await fill(rig)
    path = f"/v2/{NAME}/blobs/{digests.of(LARGE)}"
    misses = rig.entry._services.cache.misses
    for expected in ((0, 0), (0, 1), (1, 1), (2, 1)):
        assert (await rig.call("GET", path)).body == LARGE
        assert (rig.hits, rig.entry._services.cache.misses - misses) == expected
    (found,) = await two.there.rows("select location from object where size = :size", len(LARGE))
    (tmp_path / "store" / "blobs" / str(found[0])).write_bytes(b"x" * len(LARGE))
    answers = [await two.there.call("GET", path) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 404, 404]


@pytest.mark.parametrize("harm", ["gone", "cut short"])
async def test_rule_7_a_harmed_file_is_not_sent(two: Two, tmp_path: Path, harm: str) -> None:
    rig = two.here
    await fill(rig)
    path = PATHS["file"][1]
    assert [(await rig.call("GET", path)).status for _ in range(2)] == [200, 200]
    assert rig.hits == 1
    (found,) = await rig.rows("select location from object where size = :size", len(HUGE))
    stored = tmp_path / "store" / "blobs" / str(found[0])
    if harm == "gone":
        stored.unlink()
    else:
        stored.write_bytes(HUGE[:-1])
    assert (await rig.call("GET", path)).status != 200
    assert (await two.there.call("GET", path)).status == 404
    assert rig.hits == 1
