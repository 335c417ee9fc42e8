"""Deletion of a subject with more papers than one transaction takes: clients see that it is gone
with all of them at once (storage rules 12 and 22, ADR 19)."""

import asyncio
from functools import partial

import pytest

from builders import artifact, image, index, with_papers
from counting import Counted
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.registry.catalog import repositories
from retinue.registry.content import delete
from retinue.registry.content.delete import Place, delete_manifest, finish, step
from retinue.registry.content.times import Times, times
from retinue.registry.upkeep import tasks
from rig import NAME, Rig

ONE = "team/one"
SUBJECT, OTHER = image(annotations={"n": "1"}), image(annotations={"n": "2"})
PAPERS = with_papers(SUBJECT, 9)
ON_PAPER = artifact(PAPERS[3])
TAGGED = artifact(SUBJECT, annotations={"n": "tagged"})
LISTED = index(PAPERS[0], annotations={"n": "index"})


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delete, "AT_ONCE", 4)
    monkeypatch.setattr(delete, "STEP", 2)


def at(rig: Rig) -> Times:
    return times(rig.config, rig.now)


async def fill(rig: Rig, name: str = NAME) -> None:
    await rig.basics(name=name)
    for each in (SUBJECT, OTHER, *PAPERS, ON_PAPER, LISTED):
        await rig.push(each, name=name)
    await rig.push(TAGGED, "kept", name=name)


async def begin(rig: Rig) -> int:
    """A deletion whose process ends after its first transaction."""
    left = await rig.catalog.commit(lambda: delete_manifest(NAME, SUBJECT.digest, at(rig)))
    assert left is not None
    return left


async def held(rig: Rig, name: str = NAME) -> set[Digest]:
    everything = (SUBJECT, OTHER, *PAPERS, ON_PAPER, LISTED, TAGGED)
    return {each.digest for each in everything if await rig.status(each.digest, name) == 200}


async def under_way(rig: Rig) -> int:
    return len(await rig.rows("select id from deletion"))


async def test_what_goes_in_steps_is_what_goes_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(rig)
    await fill(rig, ONE)
    assert (await rig.delete(SUBJECT.digest)).status == 202
    monkeypatch.setattr(delete, "AT_ONCE", 100)
    assert (await rig.delete(SUBJECT.digest, ONE)).status == 202
    assert await held(rig) == await held(rig, ONE)
    assert await held(rig) == {OTHER.digest, PAPERS[0].digest, LISTED.digest, TAGGED.digest}
    assert await rig.referrers(SUBJECT.digest) == await rig.referrers(SUBJECT.digest, ONE)
    waiting = "select c.digest, c.due from candidate c join repository r on r.id = c.repository "
    waiting += "where r.name = :name and c.kind = 1 order by c.digest"
    assert await rig.rows(waiting, NAME) == await rig.rows(waiting, ONE)
    assert await under_way(rig) == 0
    assert (await rig.delete(SUBJECT.digest)).status == 404


async def test_the_subject_its_tags_and_its_lists_go_at_once(rig: Rig) -> None:
    await fill(rig)
    await rig.push(SUBJECT, "v1")
    await begin(rig)
    assert [await rig.status(each) for each in ("v1", SUBJECT.digest)] == [404, 404]
    for query in ("", "?artifactType=application/vnd.example.paper", "?attached=tag"):
        answer = await rig.call("GET", f"/v2/{NAME}/referrers/{SUBJECT.digest}{query}")
        assert answer.json["manifests"] == []


@pytest.mark.parametrize("again", [SUBJECT, PAPERS[5], artifact(SUBJECT, annotations={"n": "new"})])
async def test_a_push_meanwhile_finds_none_of_the_old_papers(rig: Rig, again: Manifest) -> None:
    await fill(rig)
    await begin(rig)
    await rig.push(again)
    assert await under_way(rig) == 0
    assert await rig.status(again.digest) == 200
    kept = {OTHER.digest, PAPERS[0].digest, LISTED.digest, TAGGED.digest}
    assert await held(rig) == kept | ({again.digest} & await held(rig))
    new = {again.digest} if again is not SUBJECT else set()
    assert await rig.referrers(SUBJECT.digest) == {PAPERS[0].digest, TAGGED.digest} | new


async def test_a_cosign_tag_meanwhile_waits_for_the_end(rig: Rig) -> None:
    await fill(rig)
    await begin(rig)
    signature = image(annotations={"n": "signature"})
    await rig.push(signature, SUBJECT.digest.replace(":", "-") + ".sig")
    assert await under_way(rig) == 0
    assert await rig.status(signature.digest) == 200


async def test_upkeep_ends_what_a_process_has_begun(rig: Rig) -> None:
    await fill(rig)
    await begin(rig)
    await tasks.collect(rig.services())
    assert await under_way(rig) == 0
    assert await held(rig) == {OTHER.digest, PAPERS[0].digest, LISTED.digest, TAGGED.digest}


async def test_several_may_end_it_at_once(rig: Rig) -> None:
    await fill(rig)
    repository = await begin(rig)
    await asyncio.gather(*(finish(rig.catalog, repository, at(rig)) for _ in range(4)))
    assert await under_way(rig) == 0
    assert await held(rig) == {OTHER.digest, PAPERS[0].digest, LISTED.digest, TAGGED.digest}


async def test_who_comes_late_leaves_new_papers_alone(rig: Rig) -> None:
    await fill(rig)
    repository = await begin(rig)
    place = await rig.catalog.commit(partial(step, repository, Place(), at(rig)))
    assert place is not None
    assert place.deletion is not None
    await finish(rig.catalog, repository, at(rig))
    await rig.push(SUBJECT)
    new = artifact(SUBJECT, annotations={"n": "new"})
    await rig.push(new)
    assert await rig.catalog.commit(partial(step, repository, place, at(rig))) is None
    assert new.digest in await rig.referrers(SUBJECT.digest)


async def test_a_subject_that_is_part_of_something_stays_with_all_its_papers(rig: Rig) -> None:
    await fill(rig)
    await rig.push(index(SUBJECT), "whole")
    before = await held(rig)
    assert (await rig.delete(SUBJECT.digest)).status == 405
    assert await held(rig) == before
    assert await under_way(rig) == 0


async def test_a_step_asks_as_much_whatever_there_is(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for most in (10, 60):
        await rig.basics()
        await rig.push(SUBJECT)
        for paper in with_papers(SUBJECT, most):
            await rig.push(paper)
        repository = await begin(rig)
        assert repository == await repositories.lookup(rig.catalog, NAME)
        counted = Counted(rig.catalog)
        place = await counted.commit(partial(step, repository, Place(), at(rig)))
        assert place is not None
        counts.append(counted.taken())
        await finish(rig.catalog, repository, at(rig))
    assert counts[0] == counts[1]
