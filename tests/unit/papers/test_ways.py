"""What a manifest holds; and what only looks like a paper."""

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from builders import EMPTY, artifact, describe, dump, image, index, pointer
from paperkit import IMAGE, OTHER, SBOM, stored
from retinue.attest.anchors import AnchorKey, KeyAnchor, Trust
from retinue.attest.formats import jws
from retinue.attest.formats.jwa import SCHEMES, from_der
from retinue.attest.keys.public import wrap
from retinue.attest.proof import Format
from retinue.oci import names
from retinue.oci.manifest import Manifest
from retinue.oci.readers.table import read
from retinue.oci.tags import cosign_tag
from retinue.papers.collect import collect
from retinue.papers.facts import Fact, Verdict, Wanted
from retinue.papers.judge import derive
from retinue.papers.kinds import Kind
from retinue.papers.ways.part import Form
from retinue.papers.ways.table import nothing_but_papers, parts_of

KEY = ec.generate_private_key(ec.SECP256R1())
TRUST = Trust((KeyAnchor("ci", (AnchorKey(wrap(KEY.public_key(), "ci")),)),))


def layered(*media_types: str, **more: Any) -> Manifest:
    return artifact(IMAGE, layers=[describe(b"x", kind) for kind in media_types], **more)


def generic(*objects: dict[str, Any], media_type: str = names.OCI_OBJECT) -> bytes:
    return dump({"schemaVersion": 1, "mediaType": media_type, "objects": list(objects)})


def to(*targets: Manifest, kind: str = names.OBJECT_POINTER, **more: Any) -> dict[str, Any]:
    components = [{"rtype": "reference", "descriptor": pointer(target)} for target in targets]
    return {"type": kind, "version": "1", "components": components, **more}


RELATION = to(IMAGE, OTHER, kind=names.OBJECT_RELATION, relation="org.example.sbom")


def signed(*objects: dict[str, Any]) -> Manifest:
    """A generic manifest that is a JSON Web Signature."""
    header = {"alg": "ES256", "typ": names.OCI_OBJECT_JWT.removeprefix("application/")}
    parts = (dump(header), generic(*objects, media_type=names.OCI_OBJECT_JWT))
    message = b".".join(map(jws.encode, parts))
    raw = from_der(SCHEMES["ES256"], KEY.sign(message, ec.ECDSA(hashes.SHA256())))
    return read(message + b"." + jws.encode(raw), names.OCI_OBJECT_JWT)


async def judged(paper: Manifest, trust: Trust = TRUST) -> list[Fact]:
    store = await stored()
    await store.put_manifest(paper)
    return list(derive(await collect(store, IMAGE), trust, Wanted()).facts)


async def test_a_signed_pointer_is_a_signature() -> None:
    (fact,) = await judged(signed(to(IMAGE)))
    assert (
        fact.kind,
        fact.format,
        fact.verdict,
        fact.principal,
    ) == (Kind.SIGNATURE, Format.JWS, Verdict.VERIFIED, "key:ci")


async def test_a_pointer_that_is_not_signed_is_none() -> None:
    (fact,) = await judged(read(generic(to(IMAGE)), names.OCI_OBJECT))
    assert (fact.kind, fact.verdict) == (Kind.POINTER, Verdict.UNSIGNED)


async def test_a_signed_relation_is_a_relation() -> None:
    (fact,) = await judged(signed(RELATION))
    assert (fact.kind, fact.verdict) == (Kind.RELATION, Verdict.VERIFIED)


@pytest.mark.parametrize("suffix", ["sig", "att"])
async def test_a_signed_pointer_is_no_signature_of_what_a_tag_says(suffix: str) -> None:
    store = await stored()
    paper = signed(to(OTHER))
    await store.put_manifest(paper)
    await store.put_tag(cosign_tag(IMAGE.digest, suffix) or "", paper.digest)
    found = derive(await collect(store, IMAGE), TRUST, Wanted()).facts
    assert [fact.verdict for fact in found] == [Verdict.UNSIGNED]


async def test_a_signed_pointer_is_no_signature_of_what_an_index_says() -> None:
    store = await stored()
    paper = signed(to(OTHER))
    claims = {
        names.ANNOTATION_BUILDKIT_TYPE: names.BUILDKIT_ATTESTATION,
        names.ANNOTATION_BUILDKIT_DIGEST: IMAGE.digest,
    }
    await store.put_manifest(paper)
    await store.put_manifest(index(IMAGE, pointer(paper, annotations=claims)))
    found = derive(await collect(store, IMAGE), TRUST, Wanted()).facts
    assert [fact.verdict for fact in found] == [Verdict.UNSIGNED]


async def test_a_signed_relation_of_another_image_is_nothing_about_this_one() -> None:
    relation = to(OTHER, IMAGE, kind=names.OBJECT_RELATION, relation="org.example.sbom")
    store = await stored()
    paper = signed(relation)
    await store.put_manifest(paper)
    await store.put_tag(cosign_tag(IMAGE.digest, "sig") or "", paper.digest)
    found = derive(await collect(store, IMAGE), TRUST, Wanted()).facts
    assert [fact.verdict for fact in found] == [Verdict.UNSIGNED]


async def test_a_pointer_by_nobody_we_know_has_no_anchor() -> None:
    (fact,) = await judged(signed(to(IMAGE)), Trust())
    assert (fact.verdict, fact.principal) == (Verdict.NO_ANCHOR, None)


@pytest.mark.parametrize(
    ("media_type", "form"),
    [
        (names.BUNDLE, Form.BUNDLE),
        ("application/vnd.dev.sigstore.bundle+json;version=0.1", Form.BUNDLE),
        ("application/vnd.in-toto.provenance+dsse", Form.ENVELOPE),
        (names.DSSE_ENVELOPE, Form.ENVELOPE),
        (names.SIMPLE_SIGNING, Form.SIMPLE),
        (names.NOTATION_COSE, Form.NOTATION),
        (names.IN_TOTO, Form.STATEMENT),
        (names.SPDX_TEXT, Form.DOCUMENT),
        (names.RECIPIENT, Form.DOCUMENT),
        (names.OCI_LAYER, Form.OPAQUE),
        ("text/plain", Form.OPAQUE),
    ],
)
def test_the_form_of_a_layer(media_type: str, form: Form) -> None:
    assert [form] == [part.form for part in parts_of(layered(media_type), IMAGE.digest)]


def test_known_layers_count_among_others() -> None:
    parts = parts_of(layered("text/plain", names.BUNDLE, names.OCI_LAYER), IMAGE.digest)
    assert [part.form for part in parts] == [Form.BUNDLE]


def test_the_same_layer_twice_is_one_part() -> None:
    assert len(parts_of(layered(names.BUNDLE, names.BUNDLE), IMAGE.digest)) == 1


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (names.CYCLONEDX_JSON, Kind.SBOM),
        (names.RECIPIENT, Kind.RECIPIENT),
        (names.NOTATION_SIGNATURE, Kind.OTHER),
        (names.BUNDLE, Kind.OTHER),
    ],
)
def test_what_an_artifact_calls_itself_makes_no_signature(kind: str, expected: Kind) -> None:
    (part,) = parts_of(layered("text/plain", artifactType=kind), IMAGE.digest)
    assert (expected, Form.OPAQUE) == (part.kind, part.form)


# ---- An image that poses as a paper


@pytest.mark.parametrize(
    "paper",
    [
        layered(names.BUNDLE),
        layered(names.SIMPLE_SIGNING, names.SIMPLE_SIGNING),
        layered(names.CYCLONEDX_JSON),
        artifact(IMAGE, layers=[dict(EMPTY), describe(SBOM, names.SPDX_JSON)]),
        read(generic(to(IMAGE)), names.OCI_OBJECT),
        read(generic(RELATION), names.OCI_OBJECT),
        signed(to(IMAGE)),
    ],
)
def test_papers_are_nothing_but_papers(paper: Manifest) -> None:
    assert nothing_but_papers(paper)


@pytest.mark.parametrize(
    "poser",
    [
        image(),
        image(subject=pointer(OTHER)),
        image(artifactType=names.BUNDLE, subject=pointer(OTHER)),
        layered(names.BUNDLE, names.OCI_LAYER),
        layered("application/vnd.example.layer"),
        layered(),
        index(IMAGE),
        index(IMAGE, subject=pointer(OTHER), artifactType=names.BUNDLE),
        read(generic(), names.OCI_OBJECT),
        read(
            generic(
                to(IMAGE),
                {
                    "type": names.OBJECT_IMAGE,
                    "version": "2",
                    "components": [{"rtype": "reference", "descriptor": pointer(OTHER)}],
                },
            ),
            names.OCI_OBJECT,
        ),
    ],
)
def test_an_image_that_poses_as_a_paper_is_found_out(poser: Manifest) -> None:
    assert not nothing_but_papers(poser)
