"""Tags that state links."""

import pytest

from builders import artifact, describe, image, index
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.links import Link, Rel, Way
from retinue.oci.manifest import Manifest
from retinue.oci.tags import (
    ImpliedTag,
    agrees,
    cosign_tag,
    fallback_tag,
    implied,
    stated_about,
    supersedes,
)
from retinue.oci.tags import tag_links as links_of

IMAGE = image()
PAPERS = [artifact(IMAGE, kind=f"application/x{i}") for i in range(2)]
INDEX = index(*PAPERS, PAPERS[0])
BIG = image(algorithm="sha512")


def test_a_fallback_index_states_each_of_its_children_once() -> None:
    tag = fallback_tag(IMAGE.digest)
    assert f"sha256-{digests.encoded(IMAGE.digest)}" == tag
    expected = tuple(Link(p.digest, IMAGE.digest, Rel.SUBJECT, tag, Way.FALLBACK) for p in PAPERS)
    assert expected == links_of(tag, INDEX)


@pytest.mark.parametrize("suffix", ["sig", "att", "sbom"])
def test_a_cosign_tag_states_that_its_manifest_is_a_paper(suffix: str) -> None:
    tag = cosign_tag(IMAGE.digest, suffix)
    assert tag is not None
    paper = artifact()
    link = Link(paper.digest, IMAGE.digest, Rel.SUBJECT, tag, Way.COSIGN, size=len(paper.raw))
    assert (link,) == links_of(tag, paper)


@pytest.mark.parametrize(
    "tag",
    [
        "latest",
        "sha256-abc",
        f"sha256-{'A' * 64}",
        f"sha256-{'a' * 64}.zip",
        f"md5-{'a' * 64}",
        f"sha256-{'a' * 65}",
        f"xsha256-{'a' * 64}",
        f"sha256-{'a' * 64}.sig.sig",
    ],
)
def test_an_ordinary_tag_states_nothing(tag: str) -> None:
    assert implied(tag) is None
    assert links_of(tag, INDEX) == stated_about(IMAGE.digest, tag, INDEX) == ()


def test_an_image_at_a_fallback_tag_states_nothing() -> None:
    assert links_of(fallback_tag(IMAGE.digest), IMAGE) == ()


def test_a_docker_list_at_a_fallback_tag_states_nothing() -> None:
    assert links_of(fallback_tag(IMAGE.digest), index(media_type=names.DOCKER_LIST)) == ()


def test_the_tag_of_a_sha512_digest_is_cut_and_says_its_subject_only_to_who_knows_it() -> None:
    tag = fallback_tag(BIG.digest)
    assert len(tag) == 71
    assert ImpliedTag("sha512", tag[7:], None) == implied(tag)
    assert links_of(tag, INDEX) == ()
    found = stated_about(BIG.digest, tag, INDEX)
    assert {p.digest for p in PAPERS} == {link.source for link in found}
    assert {BIG.digest} == {link.target for link in found}


def test_a_tag_says_nothing_about_another_digest() -> None:
    assert stated_about(BIG.digest, fallback_tag(IMAGE.digest), INDEX) == ()


def test_cosign_has_no_tag_for_sha512() -> None:
    assert cosign_tag(BIG.digest, "sig") is None


def signatures(*marks: str, kind: str = "text/plain") -> Manifest:
    """As cosign keeps them: in the annotations of layers that may be of one digest."""
    layers = [describe(b"payload", kind, annotations={"signature": mark}) for mark in marks]
    return artifact(layers=layers)


def test_who_has_every_signature_supersedes_and_nobody_else() -> None:
    both = signatures("a", "b")
    assert supersedes(both, signatures("b"))
    assert supersedes(signatures("b", "a"), both)
    assert not supersedes(signatures("a"), both)
    assert not supersedes(both, signatures("c"))
    assert not supersedes(both, signatures("a", kind="text/html"))


def test_a_fallback_entry_counts_only_if_the_paper_agrees() -> None:
    tag = fallback_tag(IMAGE.digest)
    liar = index(artifact(BIG))
    assert all(
        agrees(link, paper) for link, paper in zip(links_of(tag, INDEX), PAPERS, strict=True)
    )
    assert not agrees(links_of(tag, liar)[0], artifact(BIG))
