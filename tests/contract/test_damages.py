"""Every damage is told by fsck, and after a repair no answer is wrong (tests/damages.py)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import apsw
import psycopg
import pytest

from builders import CONFIG, artifact, image, index
from damaged_bytes import OF_BYTES
from damaged_rows import OF_ROWS
from damages import LEFT, NO, YES, Damage, Files
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.registry.catalog.opening import sqlite_path
from retinue.registry.upkeep.checks import Checks
from retinue.registry.upkeep.findings import FsckReport, Kind
from retinue.registry.upkeep.fsck import fsck
from rig import HOUR, NAME, Answer, Rig

LAYER, OTHER_LAYER = b"a layer", b"another layer"
LARGE, OTHER = b"l" * 5000, b"o" * 5000
TYPE = "application/vnd.example.paper"
A, B = image(LAYER), image(OTHER_LAYER)
BOTH = index(A, B)
PAPER = artifact(A, kind=TYPE)
ABSENT = digests.of(b"absent")
DAMAGES = (*OF_BYTES, *OF_ROWS)


@dataclass(frozen=True, slots=True)
class Stage:
    """A registry with something of each kind, and the way past it to its data."""

    rig: Rig
    database: str

    async def fill(self) -> None:
        await self.rig.basics(LAYER, OTHER_LAYER)
        for data in (CONFIG, names.EMPTY_JSON, LARGE, OTHER):
            await self.rig.blob(data)
        await self.rig.push(A, "a")
        await self.rig.push(B, "b")
        await self.rig.push(BOTH, "both")
        await self.rig.push(PAPER)

    async def begin_upload(self) -> None:
        where = await self.rig.begin()
        answer = await self.rig.call("PATCH", where, b"u" * 3000)
        assert answer.status == 202

    async def files(self) -> Files:
        [upload] = [row[0] for row in await self.rig.rows("select location from upload")]
        found = await self.rig.rows(
            "select digest, location from object where location is not null"
        )
        store = self.rig.blobs._root.path
        paths = {raw: store / "blobs" / str(at) for raw, at in found}
        of = {data: paths[digests.to_bytes(digests.of(data))] for data in (LARGE, OTHER)}
        return Files(of[LARGE], of[OTHER], store / "uploads" / str(upload))

    async def suffer(self, damage: Damage) -> None:
        if callable(damage.harm):
            damage.harm(await self.files())
        else:
            self.execute(damage.harm)
        self.rig.restart()  # what was in memory is not of interest here

    def execute(self, harm: str) -> None:
        path = sqlite_path(self.database)
        text = harm.format(**self._literals(sqlite=path is not None)).replace(
            "from repository_of_all", "from (select id as repository from repository) x"
        )
        if path is None:
            with psycopg.connect(self.database, autocommit=True) as past:
                past.execute("set session_replication_role = replica")
                assert past.execute(text.encode()).rowcount > 0
            return
        connection = apsw.Connection(str(path))
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        connection.execute(text)
        assert connection.changes() > 0
        connection.close()

    def _literals(self, *, sqlite: bool) -> Mapping[str, str]:
        known = {"a": A.digest, "b": B.digest, "paper": PAPER.digest, "absent": ABSENT}
        known |= {
            "layer": digests.of(LAYER),
            "large": digests.of(LARGE),
            "other": digests.of(OTHER),
        }
        raw = {name: digests.to_bytes(each) for name, each in known.items()}
        raw |= {"none": b"\x07?", "nothing": b""}
        made = {
            name: f"x'{each.hex()}'" if sqlite else f"decode('{each.hex()}', 'hex')"
            for name, each in raw.items()
        }
        made |= {f"{name}_hex": digests.encoded(each) for name, each in known.items()}
        return made | {"a_hex_2": digests.encoded(A.digest)[:2]}

    async def check(self, *, repair: bool = False) -> FsckReport:
        checks = Checks(self.rig.now, HOUR, HOUR, repair=repair, hash_files=True)
        report = await fsck(self.rig.catalog, self.rig.blobs, checks)
        self.rig.restart()
        return report

    async def answers(self) -> Mapping[str, Answer]:
        """Everything that clients may ask for."""
        paths = ["tags/list"]
        for manifest, tag in ((A, "a"), (B, "b"), (BOTH, "both"), (PAPER, None)):
            paths += [f"manifests/{manifest.digest}", f"blobs/{manifest.digest}"]
            paths += [f"manifests/{tag}"] * (tag is not None)
            paths += [f"referrers/{manifest.digest}"]
            paths += [f"referrers/{manifest.digest}?artifactType={TYPE}"]
        for data in (LAYER, OTHER_LAYER, LARGE, OTHER, CONFIG):
            paths.append(f"blobs/{digests.of(data)}")
        asked = {path: f"/v2/{NAME}/{path}" for path in paths}
        return {path: await self.rig.call("GET", url) for path, url in asked.items()}


@pytest.fixture
async def stage(rig: Rig, database: str) -> Stage:
    rig.restart(inline_blob=1000)
    made = Stage(rig, database)
    await made.fill()
    await made.begin_upload()
    return made


def never_wrong(before: Mapping[str, Answer], after: Mapping[str, Answer]) -> None:
    """What is not answered as before is refused; lists may lack, and never have more."""
    for path, answer in after.items():
        was = before[path]
        if answer.status in {404, 503}:
            continue
        assert answer.status == was.status == 200, path
        if path == "tags/list":
            assert set(answer.json["tags"]) <= set(was.json["tags"])
        else:
            assert said(answer) == said(was), path


def said(answer: Answer) -> tuple[object, ...]:
    headers = {key: value for key, value in answer.headers.items() if key != "x-request-id"}
    return answer.status, headers, answer.body


def told(report: FsckReport) -> set[Kind]:
    return set(report.counts)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.what.replace(" ", "-"))
async def test_21_a_damage_is_told_and_after_a_repair_no_answer_is_wrong(
    stage: Stage, damage: Damage
) -> None:
    before = await stage.answers()
    await stage.suffer(damage)
    looked = await stage.check()
    assert damage.says <= told(looked)
    assert looked.unrepaired == sum(looked.counts.values())
    repaired = await stage.check(repair=True)
    assert damage.says <= told(repaired)
    never_wrong(before, await stage.answers())
    if damage.mends == NO:
        assert (await stage.check()).unrepaired
        return
    if damage.mends != YES:
        await stage.fill()
    assert told(await stage.check()) <= ({Kind.QUARANTINED} if damage.mends == LEFT else set())
    after = await stage.answers()
    assert {path: said(answer) for path, answer in after.items()} == {
        path: said(answer) for path, answer in before.items()
    }


async def test_without_damage_nothing_is_told(stage: Stage) -> None:
    assert (await stage.check(repair=True)).findings == []


def test_there_are_many_damages() -> None:
    assert len(DAMAGES) >= 46
    assert len({damage.what for damage in DAMAGES}) == len(DAMAGES)


def test_everything_of_the_stage_is_different() -> None:
    assert len({one.digest for one in (A, B, BOTH, PAPER)}) == 4
    assert json.loads(PAPER.raw)["artifactType"] == TYPE
