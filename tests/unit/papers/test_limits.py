"""What limits cut off is named, and what is cheap comes first."""

import tracemalloc
from mmap import mmap

import pytest

from builders import artifact
from paperkit import CREATED, IMAGE, attestation, findings, signature, stored, trusting
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.memory import MemoryStore
from retinue.papers import finding, judge
from retinue.papers.attach import attach_bundle, put
from retinue.papers.collect import collect
from retinue.papers.facts import Verdict, Wanted
from retinue.papers.judge import derive
from retinue.papers.limits import Limits
from retinue.papers.ways.making import Made


async def signed(*names_: str) -> tuple[MemoryStore, dict[str, Manifest]]:
    """An image with a signature by each, and the papers by signer."""
    store = await stored()
    papers = {}
    for name in names_:
        attached = await attach_bundle(store, IMAGE, signature(name), created=CREATED)
        papers[name] = store.content[attached.digest]
    return store, papers


def payload(paper: Manifest) -> Digest:
    return paper.blobs[1].digest


async def test_a_limit_names_what_it_cuts_off_and_lists_it() -> None:
    store, papers = await signed("ci", "release", "third")
    collected = await collect(store, IMAGE, limits=Limits(papers=2))
    assert {paper.digest for paper in papers.values()} == {p.digest for p in collected.papers}
    assert len(collected.contents) == 2
    assert len(collected.blind) == 1
    assert "limits.papers" in next(iter(collected.blind.values()))


async def test_small_papers_come_before_large_ones() -> None:
    store, papers = await signed("ci")
    large = attestation("big", b'{"x":"' + b"x" * 5000 + b'"}')
    await attach_bundle(store, IMAGE, large, created=CREATED)
    small = len(store.blobs[payload(papers["ci"])])
    for limits in (Limits(papers=1), Limits(total=small), Limits(statement=small)):
        found = await findings(store, "ci", "big", limits=limits)
        assert [fact.principal for fact in found.facts] == ["key:ci"]
        assert len(found.blind) == 1


async def test_a_junk_paper_that_claims_a_size_does_not_hide_the_payload() -> None:
    store, papers = await signed("ci")
    bundle = papers["ci"].blobs[1]
    layer = {"mediaType": names.BUNDLE, "digest": bundle.digest, "size": 2**62}
    await put(store, Made(artifact(IMAGE, layers=[layer])))
    found = await findings(store, "ci")
    assert Verdict.VERIFIED in {fact.verdict for fact in found.facts}


async def test_no_time_left_is_blindness() -> None:
    store, _ = await signed("ci")
    found = await findings(store, "ci", limits=Limits(seconds=-1))
    assert found.facts == ()
    assert {IMAGE.digest: "it was not read in time (limits.seconds)"} == found.blind


async def test_a_large_paper_is_in_a_file_and_not_in_memory() -> None:
    store = await stored()
    words = ",".join(f'"{number:06}"' for number in range(700_000))
    big = attestation("ci", f'{{"words":[{words}]}}'.encode())
    await attach_bundle(store, IMAGE, big, created=CREATED)
    tracemalloc.start()
    collected = await collect(store, IMAGE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [mmap] == [type(content) for content in collected.contents.values()]
    assert peak < len(big)
    (fact,) = derive(collected, trusting("ci"), Wanted()).facts
    assert Verdict.VERIFIED is fact.verdict


async def test_papers_with_few_signatures_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    store, papers = await signed("ci")
    bundle = papers["ci"].blobs[1]
    layers = [
        {"mediaType": names.BUNDLE, "digest": bundle.digest, "size": size} for size in (1, 2, 3)
    ]
    junk = artifact(IMAGE, layers=layers)
    await put(store, Made(junk))
    monkeypatch.setattr(judge, "MAX_SIGNATURES", 2)
    found = await findings(store, "ci")
    assert [fact.principal for fact in found.facts] == ["key:ci"]
    assert [f"paper {junk.digest}"] == list(found.blind)


async def test_more_manifests_than_are_read_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    store, papers = await signed("ci", "release")
    monkeypatch.setattr(finding, "MAX_MANIFESTS", 1)
    collected = await collect(store, IMAGE)
    assert {paper.digest for paper in papers.values()} == {p.digest for p in collected.papers}
    assert {f"paper {paper.digest}" for paper in papers.values()} == set(collected.blind)


async def test_a_level_ends_where_the_limit_of_papers_does() -> None:
    store = await stored()
    for number in range(3):
        made = artifact(IMAGE, annotations={"number": str(number)})
        await put(store, Made(made))
    collected = await collect(store, IMAGE, limits=Limits(papers=2))
    assert len(collected.papers) == 3
    assert list(collected.blind.values()) == ["more papers than are looked at"] * 2
