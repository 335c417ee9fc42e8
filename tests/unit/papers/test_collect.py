"""Collecting: every way, nothing twice, and what could not be looked at is said."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from builders import artifact, describe, dump, image, index, pointer
from paperkit import (
    CREATED,
    CYCLONEDX,
    IMAGE,
    OTHER,
    attestation,
    facts,
    findings,
    signature,
    statement,
    stored,
    trusting,
)
from retinue.client.layout_folder import open_layout
from retinue.errors import RetinueError
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel, Way
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.memory import MemoryStore
from retinue.oci.readers.table import read
from retinue.oci.stores import Search
from retinue.papers.attach import attach_bundle, attach_sbom, put
from retinue.papers.collect import collect
from retinue.papers.facts import Verdict, Wanted
from retinue.papers.judge import derive
from retinue.papers.kinds import Kind
from retinue.papers.ways.bundle import bundle_paper
from retinue.papers.ways.making import Made


class Failing(RetinueError):
    """A store's own trouble."""


class Troubled(MemoryStore):
    """A repository of which parts cannot be looked at."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self.content, self.blobs, self.names = store.content, store.blobs, store.names
        self.broken: set[Digest] = set()
        self.changed: set[Digest] = set()
        self.blind: Mapping[Way, str] = {}
        self.unlisted = False

    async def papers(self, subjects: Collection[Digest]) -> Mapping[Digest, Search]:
        if self.unlisted:
            raise Failing("throttled")
        found = await super().papers(subjects)
        return {subject: Search(s.links, self.blind) for subject, s in found.items()}

    async def manifests(
        self, digests: Collection[Digest]
    ) -> Mapping[Digest, Manifest | Unreadable | None]:
        if self.broken & set(digests):
            raise Failing("a broken manifest")
        return await super().manifests(digests)

    @asynccontextmanager
    async def blob(self, digest: Digest, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        if digest in self.changed:
            async with _one(b"something else") as chunks:
                yield chunks
        else:
            async with super().blob(digest, start) as chunks:
                yield chunks


@asynccontextmanager
async def _one(data: bytes) -> AsyncIterator[AsyncIterator[bytes]]:
    async def chunks() -> AsyncIterator[bytes]:
        yield data

    yield chunks()


async def signed(*names_: str) -> tuple[Troubled, dict[str, Manifest]]:
    """An image with a signature by each, and the papers by signer."""
    store = await stored()
    papers = {}
    for name in names_:
        attached = await attach_bundle(store, IMAGE, signature(name), created=CREATED)
        papers[name] = store.content[attached.digest]
    return Troubled(store), papers


def payload(paper: Manifest) -> Digest:
    return paper.blobs[1].digest


# ---- Could not look


async def test_no_papers_and_nothing_blind_is_none() -> None:
    found = await findings(await stored(), "ci")
    assert (found.facts, found.blind) == ((), {})


async def test_a_way_that_could_not_be_looked_at_is_named() -> None:
    store, _ = await signed("ci")
    store.blind = {Way.FALLBACK: "503"}
    found = await findings(store, "ci")
    assert len(found.facts) == 1
    assert {f"{IMAGE.digest} by fallback": "503"} == found.blind


async def test_a_search_that_failed_is_blindness_and_no_absence() -> None:
    store, _ = await signed("ci")
    store.unlisted = True
    found = await findings(store, "ci")
    assert found.facts == ()
    assert {IMAGE.digest: "throttled"} == found.blind


async def test_a_broken_manifest_does_not_hide_the_others() -> None:
    store, papers = await signed("ci", "release")
    store.broken = {papers["ci"].digest}
    found = await findings(store, "ci", "release")
    assert [fact.principal for fact in found.facts] == ["key:release"]
    assert {f"paper {papers['ci'].digest}": "a broken manifest"} == found.blind


async def test_a_missing_payload_is_blindness() -> None:
    store, papers = await signed("ci", "release")
    del store.blobs[payload(papers["ci"])]
    found = await findings(store, "ci", "release")
    assert [fact.principal for fact in found.facts] == ["key:release"]
    assert [f"paper {papers['ci'].digest}"] == list(found.blind)


async def test_other_bytes_than_asked_for_are_blindness() -> None:
    store, papers = await signed("ci")
    store.changed = {payload(papers["ci"])}
    found = await findings(store, "ci")
    assert found.facts == ()
    assert "hash to" in found.blind[f"paper {papers['ci'].digest}"]


async def test_a_paper_that_is_listed_and_gone_is_blindness() -> None:
    store, papers = await signed("ci")
    listing = index(IMAGE, pointer(OTHER, annotations=buildkit(IMAGE)))
    await store.put_manifest(listing)
    del store.content[OTHER.digest]
    collected = await collect(store, IMAGE, parents=[listing])
    assert [f"paper {OTHER.digest}"] == list(collected.blind)
    assert {OTHER.digest, papers["ci"].digest} == {paper.digest for paper in collected.papers}


async def test_unreadable_papers_are_facts_and_no_blindness() -> None:
    store, papers = await signed("ci")
    junk = Unreadable(papers["ci"].digest, "layers", "is no list")
    store.content[papers["ci"].digest] = junk  # type: ignore[assignment]  # as a store answers

    class Listing(Troubled):
        async def papers(self, subjects: Collection[Digest]) -> Mapping[Digest, Search]:
            link = Link(junk.digest, IMAGE.digest, Rel.SUBJECT, junk.digest)
            return {subject: Search((link,), {}) for subject in subjects}

    found = await findings(Listing(store), "ci")
    assert [(f.verdict, f.kind) for f in found.facts] == [(Verdict.UNREADABLE, Kind.OTHER)]
    assert found.blind == {}


async def test_a_payload_of_another_size_than_stated_is_unreadable() -> None:
    store = await stored()
    bundle = signature("ci")
    layer = {**describe(bundle, names.BUNDLE), "size": len(bundle) + 1}
    await put(store, Made(artifact(IMAGE, layers=[layer]), {digests.of(bundle): bundle}))
    found = await findings(store, "ci")
    assert [fact.verdict for fact in found.facts] == [Verdict.UNREADABLE]


async def test_more_bytes_than_stated_are_not_read() -> None:
    store = await stored()
    bundle = signature("ci")
    layer = {**describe(bundle, names.BUNDLE), "size": 10}
    liar = artifact(IMAGE, layers=[layer])
    await put(store, Made(liar, {digests.of(bundle): bundle}))
    found = await findings(store, "ci")
    assert ((), [f"paper {liar.digest}"]) == (found.facts, list(found.blind))


# ---- Ways


def buildkit(about: Manifest) -> Mapping[str, str]:
    return {
        names.ANNOTATION_BUILDKIT_TYPE: names.BUILDKIT_ATTESTATION,
        names.ANNOTATION_BUILDKIT_DIGEST: about.digest,
    }


async def test_annotations_do_not_decide_what_a_paper_is() -> None:
    store = await stored()
    made = bundle_paper(IMAGE, attestation("ci"), names.PREDICATE_SIGN, CREATED, {})
    await put(store, made)
    (fact,) = await facts(store, "ci")
    assert (fact.kind, fact.predicate_type) == (Kind.SBOM, CYCLONEDX)


async def test_the_type_of_the_layer_decides_and_not_that_of_the_artifact() -> None:
    store = await stored()
    bundle = signature("ci")
    paper = artifact(IMAGE, kind=names.OCI_EMPTY, layers=[describe(bundle, names.BUNDLE)])
    await put(store, Made(paper, {digests.of(bundle): bundle}))
    posing = artifact(IMAGE, kind=names.BUNDLE, payload=b"text")
    await put(store, Made(posing, {digests.of(b"text"): b"text"}))
    found = {(fact.kind, fact.verdict) for fact in await facts(store, "ci")}
    assert {(Kind.SIGNATURE, Verdict.VERIFIED), (Kind.OTHER, Verdict.UNSIGNED)} == found


async def test_an_image_that_poses_as_a_paper_is_nothing() -> None:
    store = await stored()
    await put(store, Made(image(subject=pointer(IMAGE))))
    (fact,) = await facts(store, "ci")
    assert (fact.kind, fact.verdict) == (Kind.OTHER, Verdict.UNSIGNED)


async def test_all_layers_of_a_referrer_count() -> None:
    store = await stored()
    bundles = [signature("ci"), signature("release")]
    paper = artifact(IMAGE, layers=[describe(bundle, names.BUNDLE) for bundle in bundles])
    await put(store, Made(paper, {digests.of(bundle): bundle for bundle in bundles}))
    found = await facts(store, "ci", "release")
    assert {"key:ci", "key:release"} == {fact.principal for fact in found}


async def test_one_bundle_in_three_manifests_is_three_facts_of_one_signature() -> None:
    store = await stored()
    bundle = signature("ci")
    for hour in (1, 2, 3):
        created = CREATED.replace(hour=hour)
        await put(store, bundle_paper(IMAGE, bundle, names.PREDICATE_SIGN, created, {}))
    found = await facts(store, "ci")
    assert (len(found), len({fact.signature for fact in found})) == (3, 1)


async def test_a_paper_in_another_repository_is_found_there() -> None:
    home, away = await stored(), await stored()
    await attach_bundle(away, IMAGE, signature("ci"), created=CREATED)
    found = await facts(home, "ci", elsewhere={"reg.acme/sigs": away})
    assert [(f.elsewhere, f.way) for f in found] == [("reg.acme/sigs", Way.ELSEWHERE)]


async def test_a_paper_in_several_other_repositories_is_found_in_each() -> None:
    """Who copies it to one of them cannot take it from a rule that names another."""
    home, *away = await stored(), await stored(), await stored()
    for store in away:
        await attach_bundle(store, IMAGE, signature("ci"), created=CREATED)
    found = await facts(
        home, "ci", elsewhere=dict(zip(("reg.acme/a", "reg.acme/b"), away, strict=True))
    )
    assert [fact.elsewhere for fact in found] == ["reg.acme/a", "reg.acme/b"]


async def test_a_paper_that_is_here_too_is_found_here() -> None:
    home, away = await stored(), await stored()
    for store in (home, away):
        await attach_bundle(store, IMAGE, signature("ci"), created=CREATED)
    found = await facts(home, "ci", elsewhere={"reg.acme/sigs": away})
    assert [fact.elsewhere for fact in found] == [None]


async def test_another_repository_that_fails_is_named() -> None:
    home, _ = await signed("ci")
    away = Troubled(await stored())
    away.unlisted = True
    found = await findings(home, "ci", elsewhere={"reg.acme/sigs": away})
    assert len(found.facts) == 1
    assert {f"{IMAGE.digest} in reg.acme/sigs": "throttled"} == found.blind


async def test_children_are_subjects_when_asked_for() -> None:
    store = await stored()
    top = index(IMAGE, OTHER)
    await store.put_manifest(top)
    await attach_bundle(store, OTHER, signature("ci", OTHER), created=CREATED)
    assert await facts(store, "ci", subject=top) == ()
    found = await facts(store, "ci", subject=top, children=True)
    assert [OTHER.digest] == [fact.subject for fact in found]


@pytest.mark.parametrize("artifact_form", [False, True])
async def test_buildkits_entries_are_papers_of_the_child(*, artifact_form: bool) -> None:
    from retinue.papers.ways.buildkit import attestation_manifest, with_entry

    store = await stored()
    made = attestation_manifest(IMAGE, None, [statement()], artifact=artifact_form)
    await put(store, made)
    top = with_entry(index(IMAGE), IMAGE.digest, made.manifest)
    await store.put_manifest(top)
    found = await facts(store, "ci", subject=top, children=True)
    assert [(IMAGE.digest, Kind.SBOM, Verdict.UNSIGNED, CYCLONEDX)] == [
        (fact.subject, fact.kind, fact.verdict, fact.predicate_type) for fact in found
    ]


async def test_a_bare_statement_about_something_else_is_told() -> None:
    store = await stored()
    other = statement(subject=OTHER)
    paper = artifact(IMAGE, layers=[describe(other, names.IN_TOTO)])
    await put(store, Made(paper, {digests.of(other): other}))
    (fact,) = await facts(store)
    assert Verdict.FAILED is fact.verdict


def relation(target: Manifest, other: Manifest) -> Manifest:
    document = {
        "schemaVersion": 1,
        "mediaType": names.OCI_OBJECT,
        "objects": [
            {
                "type": names.OBJECT_RELATION,
                "version": "1",
                "relation": "org.example.sbom",
                "components": [
                    {"rtype": "reference", "descriptor": pointer(target)},
                    {"rtype": "reference", "descriptor": pointer(other)},
                ],
            },
            {
                "type": names.OBJECT_PROPERTY,
                "version": "1",
                "relation": "org.example.note",
                "components": [{"rtype": "reference", "descriptor": pointer(other)}],
            },
        ],
    }
    return read(dump(document), names.OCI_OBJECT)


async def test_relations_and_properties_are_papers() -> None:
    store = await stored()
    paper = relation(IMAGE, OTHER)
    await store.put_manifest(paper)
    found = {(fact.subject, fact.kind, fact.verdict) for fact in await facts(store)}
    assert {
        (IMAGE.digest, Kind.RELATION, Verdict.UNSIGNED),
        (paper.digest, Kind.PROPERTY, Verdict.UNSIGNED),
    } == found


async def test_papers_of_papers_end_at_a_depth() -> None:
    store = await stored()
    subject = IMAGE
    for number in range(4):
        attached = await attach_sbom(
            store, subject, f"sbom {number}".encode(), names.SPDX_JSON, created=CREATED
        )
        subject = store.content[attached.digest]
    assert [len(await facts(store, depth=depth)) for depth in (1, 2, 3)] == [1, 2, 3]


async def test_papers_in_a_layout_are_found(tmp_path: Path) -> None:
    made = bundle_paper(IMAGE, signature("ci"), names.PREDICATE_SIGN, CREATED, {})
    memory = await stored()
    async with open_layout(tmp_path / "layout", make=True) as layout:
        for digest, data in {**memory.blobs, **made.blobs}.items():
            async with _one(data) as chunks:
                await layout.put_blob(digest, len(data), chunks)
        await layout.put_manifest(IMAGE)
        await layout.put_tag("1", IMAGE.digest)
        await layout.put_manifest(made.manifest)
    async with open_layout(tmp_path / "layout", make=False) as layout:
        collected = await collect(layout, IMAGE)
    (fact,) = derive(collected, trusting("ci"), Wanted()).facts
    assert (fact.principal, collected.blind) == ("key:ci", {})
