"""Statements inside of an index, in both of BuildKit's forms."""

import json

import pytest

from builders import index
from paperkit import IMAGE, OTHER, SBOM, facts, statement, stored
from retinue.attest.errors import EvidenceError
from retinue.oci import names
from retinue.papers.embed import NotEmbeddable, embed_statements
from retinue.papers.facts import Verdict
from retinue.papers.kinds import Kind


@pytest.mark.parametrize("artifact", [False, True])
async def test_statements_are_found_where_they_belong(*, artifact: bool) -> None:
    store = await stored()
    top = index(IMAGE, OTHER)
    await store.put_manifest(top)
    made = await embed_statements(
        store, top, [statement(), statement(subject=OTHER)], artifact=artifact
    )
    found = await facts(store, subject=made, children=True)
    assert [(d, Kind.SBOM, Verdict.UNSIGNED) for d in sorted((IMAGE.digest, OTHER.digest))] == [
        (fact.subject, fact.kind, fact.verdict) for fact in found
    ]


async def test_a_single_image_gets_an_index_around_it() -> None:
    store = await stored()
    made = await embed_statements(store, IMAGE, [statement()])
    image, paper = json.loads(made.raw)["manifests"]
    assert (IMAGE.digest, {"architecture": "amd64", "os": "linux"}) == (
        image["digest"],
        image["platform"],
    )
    assert paper["platform"] == {"architecture": "unknown", "os": "unknown"}
    assert {
        names.ANNOTATION_BUILDKIT_DIGEST: IMAGE.digest,
        names.ANNOTATION_BUILDKIT_TYPE: names.BUILDKIT_ATTESTATION,
    } == paper["annotations"]


async def test_the_form_of_before_names_no_subject() -> None:
    store = await stored()
    made = await embed_statements(store, IMAGE, [statement()], artifact=False)
    paper = store.content[made.children[1].digest]
    document = json.loads(paper.raw)
    assert (
        document.get("subject"),
        document.get("artifactType"),
        document["config"]["mediaType"],
    ) == (None, None, names.OCI_CONFIG)
    config = json.loads(store.blobs[document["config"]["digest"]])
    assert [layer["digest"] for layer in document["layers"]] == config["rootfs"]["diff_ids"]


async def test_more_statements_join_those_that_are_there() -> None:
    store = await stored()
    first = await embed_statements(store, IMAGE, [statement()])
    second = await embed_statements(store, first, [statement(b"{}", "https://x.org/p")])
    assert (len(first.children), len(second.children)) == (2, 2)
    found = await facts(store, subject=second, children=True)
    about = {fact.predicate_type for fact in found if fact.paper == second.children[1].digest}
    assert {"https://cyclonedx.org/bom", "https://x.org/p"} == about


async def test_the_same_statement_changes_nothing() -> None:
    store = await stored()
    first = await embed_statements(store, IMAGE, [statement()])
    assert first == await embed_statements(store, first, [statement()])


async def test_a_statement_about_something_else_is_refused() -> None:
    store = await stored()
    with pytest.raises(EvidenceError, match="none of the images"):
        await embed_statements(store, IMAGE, [statement(SBOM, subject=OTHER)])


async def test_what_names_no_platform_gets_no_index() -> None:
    from builders import artifact

    store = await stored()
    paper = artifact()
    await store.put_manifest(paper)
    with pytest.raises(NotEmbeddable):
        await embed_statements(store, paper, [statement(subject=paper)])
