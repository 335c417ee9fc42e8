"""What facts say, and that nobody else's papers change them."""

import asyncio
import json
from collections.abc import Sequence
from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from builders import artifact, describe, image, index, pointer
from paperkit import (
    CREATED,
    CYCLONEDX,
    IMAGE,
    OTHER,
    PROVENANCE,
    SBOM,
    SLSA,
    attestation,
    facts,
    signature,
    signer,
    statement,
    stored,
    trusting,
)
from retinue.attest.proof import Format
from retinue.attest.sign import sign_envelope, sign_simple, sign_statement
from retinue.attest.target import Target
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.memory import MemoryStore
from retinue.oci.tags import cosign_tag, fallback_tag
from retinue.papers.attach import attach_bundle, attach_bundles, put
from retinue.papers.collect import collect
from retinue.papers.facts import Fact, Verdict, Wanted
from retinue.papers.judge import derive
from retinue.papers.kinds import Kind, kind_of_predicate, kind_of_type, predicate_type
from retinue.papers.predicates import TagStatement
from retinue.papers.statements import tag_statement
from retinue.papers.ways.cosign import attestation_layer, signature_layer, tag_paper
from retinue.papers.ways.making import Made

TARGET = Target(IMAGE.digest, IMAGE.media_type, IMAGE.raw)


async def one(store: MemoryStore, *keys: str, **more: Any) -> Fact:
    (fact,) = await facts(store, *keys, **more)
    return fact


async def attached(bundle: bytes) -> MemoryStore:
    store = await stored()
    made = artifact(IMAGE, layers=[describe(bundle, names.BUNDLE)])
    await put(store, Made(made, {digests.of(bundle): bundle}))
    return store


# ---- Verdicts


async def test_a_signature_by_nobody_we_know_has_no_anchor() -> None:
    fact = await one(await attached(signature("stranger")), "ci")
    assert (fact.verdict, fact.kind, fact.principal) == (Verdict.NO_ANCHOR, Kind.SIGNATURE, None)


async def test_a_signature_of_another_image_fails() -> None:
    fact = await one(await attached(signature("ci", OTHER)), "ci")
    assert (fact.verdict, fact.format) == (Verdict.FAILED, Format.BUNDLE)


async def test_junk_is_unreadable() -> None:
    fact = await one(await attached(b"{junk"), "ci")
    assert Verdict.UNREADABLE is fact.verdict


async def test_an_sbom_by_the_signer_is_no_signature() -> None:
    fact = await one(await attached(attestation("ci")), "ci")
    assert (fact.verdict, fact.kind) == (Verdict.VERIFIED, Kind.SBOM)


async def test_simple_signing_in_a_referrer_is_oci11() -> None:
    store = await stored()
    signed = sign_simple(TARGET, "reg.acme/app", {}, signer("ci"))
    layer = signature_layer(signed.payload, signed.annotations)
    made = artifact(IMAGE, layers=[dict(layer)])
    await put(store, Made(made, {digests.of(signed.payload): signed.payload}))
    fact = await one(store, "ci")
    assert (
        fact.format,
        fact.kind,
        fact.reference,
    ) == (Format.OCI11, Kind.SIGNATURE, "reg.acme/app")


async def test_an_image_addressed_by_sha512_has_its_sha256_as_an_alias() -> None:
    long = image(algorithm="sha512")
    store = await stored(IMAGE)
    await put(store, Made(long, {digests.of(d, "sha512"): d for d in store.blobs.values()}))
    await attach_bundle(store, long, signature("ci", long), created=CREATED)
    fact = await one(store, "ci", subject=long)
    assert (digests.of(long.raw),) == fact.aliases


# ---- Claims


async def test_provenance_claims_who_built_what() -> None:
    fact = await one(await attached(attestation("ci", PROVENANCE, SLSA)), "ci")
    assert fact.claims == {
        "builder": "https://ci.acme/b1",
        "build_type": "https://actions.github.io/buildtypes/workflow/v1",
        "source": "git+https://github.com/acme/app",
        "ref": "refs/tags/v1",
    }


async def test_an_sbom_claims_how_much_it_lists() -> None:
    fact = await one(await attached(attestation("ci")), "ci")
    assert fact.claims == {"components": 1, "purls": 1}


async def test_pointers_that_are_wanted_are_followed() -> None:
    scan = b'{"scanner":{"result":{"critical":0,"names":["a","b"],"deep":{}}}}'
    pointers = [f"/scanner/result/{name}" for name in ("critical", "names", "deep", "absent")]
    fact = await one(
        await attached(attestation("ci", scan, "https://x.org/scan")),
        "ci",
        pointers=frozenset(pointers),
    )
    assert {pointers[0]: 0, pointers[1]: ("a", "b")} == fact.claims


async def test_a_tag_statement_claims_its_tag() -> None:
    said = TagStatement("reg.acme/app", "v1", IMAGE.digest, CREATED, CREATED.replace(year=2027))
    bundle = sign_statement(tag_statement(IMAGE, said), signer("ci"))
    fact = await one(await attached(bundle), "ci")
    assert Kind.TAG_STATEMENT is fact.kind
    assert fact.claims == {
        "tag": "v1",
        "tag.image": "reg.acme/app",
        "tag.time": "2026-06-01T12:00:00Z",
        "tag.expires": "2027-06-01T12:00:00Z",
    }


async def test_a_tag_statement_that_names_another_image_claims_nothing() -> None:
    said = TagStatement("reg.acme/app", "v1", OTHER.digest, CREATED, CREATED)
    bundle = sign_statement(tag_statement(IMAGE, said), signer("ci"))
    assert (await one(await attached(bundle), "ci")).claims == {}


async def test_a_predicate_that_is_not_what_its_type_says_claims_nothing() -> None:
    fact = await one(await attached(attestation("ci", b'"text"', SLSA)), "ci")
    assert (fact.verdict, fact.kind, fact.claims) == (Verdict.VERIFIED, Kind.PROVENANCE, {})


# ---- Kinds


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("https://sigstore.dev/cosign/sign/v1", Kind.SIGNATURE),
        ("https://sigstore.dev/cosign/sign/v1/x", Kind.ATTESTATION),
        ("https://spdx.dev/Document/v2.3", Kind.SBOM),
        ("https://cyclonedx.org/bom/v1.5", Kind.SBOM),
        ("https://cyclonedx.org/bomb", Kind.ATTESTATION),
        ("https://slsa.dev/provenance/v0.2", Kind.PROVENANCE),
        ("https://openvex.dev/ns@v0.2.0", Kind.VEX),
        ("https://openvex.dev/ns/v0.2.0", Kind.VEX),
        ("https://cosign.sigstore.dev/attestation/vuln/v1", Kind.VULNERABILITIES),
        ("https://cosign.sigstore.dev/attestation/v1", Kind.ATTESTATION),
        ("https://retinue.dev/revocation/v1", Kind.REVOCATION),
        ("HTTPS://SIGSTORE.DEV/COSIGN/SIGN/V1", Kind.ATTESTATION),
    ],
)
def test_the_kind_of_a_predicate(uri: str, kind: Kind) -> None:
    assert kind is kind_of_predicate(uri)


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("application/vnd.cyclonedx+json; version=1.5", Kind.SBOM),
        ("application/vnd.in-toto.provenance+dsse", Kind.ATTESTATION),
        ("application/vnd.dev.sigstore.bundle+json;version=0.2", Kind.ATTESTATION),
        ("application/jose+json", Kind.SIGNATURE),
        ("application/vnd.oci.image.layer.v1.tar", None),
        ("", None),
    ],
)
def test_the_kind_of_a_type(media_type: str, kind: Kind | None) -> None:
    assert kind is kind_of_type(media_type)


def test_short_names_are_cosigns() -> None:
    assert predicate_type("slsaprovenance") == "https://slsa.dev/provenance/v0.2"
    assert predicate_type("https://x.org/own") == "https://x.org/own"


# ---- What anybody with push rights can add


def junk_layer(data: bytes, media_type: str, annotations: dict[str, str]) -> Made:
    layer = describe(data, media_type, annotations=annotations)
    return Made(artifact(IMAGE, layers=[layer]), {digests.of(data): data})


PAYLOADS = [
    signature("ci"),
    signature("ci", OTHER),
    signature("stranger"),
    attestation("ci"),
    sign_envelope(statement(), signer("ci")),
    sign_simple(TARGET, "x", {}, signer("stranger")).payload,
    statement(),
    SBOM,
    b"",
    b"{}",
    b"{",
]
LAYER_TYPES = [
    names.BUNDLE,
    names.BUNDLE_UNVERSIONED,
    names.DSSE_ENVELOPE,
    names.SIMPLE_SIGNING,
    names.NOTATION_JWS,
    names.NOTATION_COSE,
    names.IN_TOTO,
    names.TIMESTAMP_REPLY,
    names.CYCLONEDX_JSON,
    "text/plain",
]
ANNOTATIONS = st.dictionaries(
    st.sampled_from(
        [
            names.ANNOTATION_SIGNATURE,
            names.ANNOTATION_CERTIFICATE,
            names.ANNOTATION_LOG_BUNDLE,
            names.ANNOTATION_TIMESTAMP,
            names.ANNOTATION_PREDICATE_TYPE,
            names.ANNOTATION_RECEIPT_OF,
        ]
    ),
    st.sampled_from(["", "x", "{}", "AAAA", CYCLONEDX, "sha256:" + "0" * 64]),
    max_size=3,
)
JUNK = st.lists(
    st.one_of(
        st.builds(junk_layer, st.sampled_from(PAYLOADS), st.sampled_from(LAYER_TYPES), ANNOTATIONS),
        st.builds(
            lambda data, kind: junk_layer(data, kind, {}),
            st.binary(max_size=40),
            st.sampled_from(LAYER_TYPES),
        ),
    ),
    max_size=5,
)


async def good_store() -> MemoryStore:
    """An image with what is valid: bundles, and a signature at its tag."""
    store = await stored()
    bundles = [signature("ci"), attestation("ci"), signature("release", env="prod")]
    await attach_bundles(store, IMAGE, bundles, created=CREATED)
    signed = sign_simple(TARGET, "reg.acme/app", {}, signer("ci"))
    layer = signature_layer(signed.payload, signed.annotations)
    made = tag_paper(None, [layer], [signed.payload])
    await put(store, made)
    await store.put_tag(cosign_tag(IMAGE.digest, "sig") or "", made.manifest.digest)
    return store


async def with_junk(store: MemoryStore, junk: Sequence[Made]) -> None:
    """What a stranger pushes: referrers, a fallback index, an index with claims, a `.att`."""
    for made in junk:
        await put(store, made)
    papers = [made.manifest for made in junk]
    listing = index(*papers)
    await store.put_manifest(listing)
    await store.put_tag(fallback_tag(IMAGE.digest), listing.digest)
    claims = {
        names.ANNOTATION_BUILDKIT_TYPE: names.BUILDKIT_ATTESTATION,
        names.ANNOTATION_BUILDKIT_DIGEST: IMAGE.digest,
    }
    known = [found for found in store.content.values() if found.subject is not None]
    await store.put_manifest(index(*(pointer(found, annotations=claims) for found in known)))
    if papers:
        await store.put_tag(cosign_tag(IMAGE.digest, "att") or "", papers[0].digest)


GOOD = asyncio.run(good_store())
GOOD_FACTS = asyncio.run(facts(GOOD, "ci", "release"))


def copy_of(store: MemoryStore) -> MemoryStore:
    made = MemoryStore()
    made.content, made.blobs, made.names = {**store.content}, {**store.blobs}, {**store.names}
    return made


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(JUNK)
def test_nobody_elses_papers_change_the_facts_of_valid_ones(junk: Sequence[Made]) -> None:
    store = copy_of(GOOD)

    async def judge() -> tuple[Fact, ...]:
        await with_junk(store, junk)
        return await facts(store, "ci", "release")

    found = asyncio.run(judge())
    assert set(map(repr, GOOD_FACTS)) <= set(map(repr, found))
    more = {fact.signature for fact in found if fact.verdict is Verdict.VERIFIED}
    known = {fact.signature for fact in GOOD_FACTS}
    pushed = {digests.of(PAYLOADS[0]), digests.of(PAYLOADS[3]), digests.of(PAYLOADS[4])}
    assert more <= known or pushed & {d for made in junk for d in made.blobs}


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(JUNK, st.randoms(use_true_random=False))
def test_the_order_of_papers_makes_no_difference(junk: Sequence[Made], random: Random) -> None:
    store = copy_of(GOOD)
    asyncio.run(with_junk(store, junk))
    collected = asyncio.run(collect(store, IMAGE))
    shuffled = list(collected.papers)
    random.shuffle(shuffled)
    trust = trusting("release", "ci")
    expected = derive(collected, trust, Wanted())
    found = derive(replace(collected, papers=tuple(shuffled)), trust, Wanted())
    assert expected == found


async def test_a_stranger_in_the_same_manifest_does_not_hide_a_signature() -> None:
    """A copy of a layer with a certificate that is none, before the right one."""
    store = await stored()
    signed = sign_simple(TARGET, "reg.acme/app", {}, signer("ci"))
    right = signature_layer(signed.payload, signed.annotations)
    wrong = signature_layer(
        signed.payload, {**signed.annotations, names.ANNOTATION_CERTIFICATE: "junk"}
    )
    for layers in permutations([right, wrong]):
        made = tag_paper(None, layers, [signed.payload])
        await put(store, made)
        await store.put_tag(cosign_tag(IMAGE.digest, "sig") or "", made.manifest.digest)
        found = [fact.principal for fact in await facts(store, "ci")]
        assert "key:ci" in found


async def test_many_junk_layers_do_not_hide_a_signature() -> None:
    store = await stored()
    signed = sign_simple(TARGET, "reg.acme/app", {}, signer("ci"))
    good = signature_layer(signed.payload, signed.annotations)
    junk = [
        signature_layer(signed.payload, {names.ANNOTATION_SIGNATURE: f"{number:04}"})
        for number in range(1500)
    ]
    made = tag_paper(None, [*junk, good], [signed.payload])
    await put(store, made)
    await store.put_tag(cosign_tag(IMAGE.digest, "sig") or "", made.manifest.digest)
    found = await facts(store, "ci")
    assert len(found) == 1501
    assert sum(fact.verdict is Verdict.VERIFIED for fact in found) == 1


@pytest.mark.parametrize("sboms", [True, False])
async def test_an_sbom_is_counted_only_for_those_who_ask(sboms: bool) -> None:
    store = await stored()
    await attach_bundle(store, IMAGE, attestation("ci"), created=CREATED)
    collected = await collect(store, IMAGE)
    (fact,) = derive(collected, trusting("ci"), Wanted(provenance=False, sboms=sboms)).facts
    assert (fact.verdict, sboms) == (Verdict.VERIFIED, "components" in fact.claims)


async def test_an_envelope_tells_each_of_its_signers() -> None:
    store = await stored()
    one_, two = (json.loads(sign_envelope(statement(), signer(n))) for n in ("ci", "release"))
    one_["signatures"] += two["signatures"]
    both = json.dumps(one_).encode()
    made = tag_paper(None, [attestation_layer(both, CYCLONEDX)], [both])
    await put(store, made)
    await store.put_tag(cosign_tag(IMAGE.digest, "att") or "", made.manifest.digest)
    found = await facts(store, "ci", "release")
    assert {"key:ci", "key:release"} == {fact.principal for fact in found}
