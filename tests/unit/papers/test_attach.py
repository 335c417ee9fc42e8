"""Attaching: what is written is what is found, once, and as cosign writes it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from builders import artifact, describe
from paperkit import (
    CREATED,
    CYCLONEDX,
    IMAGE,
    OTHER,
    SBOM,
    attestation,
    facts,
    signature,
    statement,
    stored,
    trusting,
)
from retinue.attest.errors import EvidenceError
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.memory import MemoryStore
from retinue.papers.attach import attach_bundle, attach_bundles, attach_sbom, attach_statement, put
from retinue.papers.facts import Verdict
from retinue.papers.kinds import Kind
from retinue.papers.ways.making import Made


async def test_a_signature_that_is_attached_is_found() -> None:
    store = await stored()
    attached = await attach_bundle(store, IMAGE, signature("ci"), created=CREATED)
    (fact,) = await facts(store, "ci")
    assert (attached.digest, Verdict.VERIFIED, Kind.SIGNATURE, "key:ci") == (
        fact.paper,
        fact.verdict,
        fact.kind,
        fact.principal,
    )


async def test_the_manifest_is_the_one_that_cosign_writes() -> None:
    store = await stored()
    bundle = attestation("ci")
    attached = await attach_bundle(store, IMAGE, bundle, created=CREATED)
    raw = store.content[attached.digest].raw
    expected = (
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",'
        '"config":{"mediaType":"application/vnd.oci.empty.v1+json","size":2,'
        '"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",'
        '"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"},'
        '"layers":[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",'
        f'"size":{len(bundle)},"digest":"{digests.of(bundle)}"}}],'
        '"annotations":{"dev.sigstore.bundle.content":"dsse-envelope",'
        '"dev.sigstore.bundle.predicateType":"https://cyclonedx.org/bom",'
        '"org.opencontainers.image.created":"2026-06-01T12:00:00Z"},'
        '"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json",'
        f'"size":{len(IMAGE.raw)},"digest":"{IMAGE.digest}"}},'
        '"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"}'
    )
    assert expected == raw.decode()


async def test_signing_again_attaches_nothing_new() -> None:
    store = await stored()
    first = await attach_bundle(
        store, IMAGE, signature("ci"), created=CREATED, signer=trusting("ci")
    )
    again = await attach_bundle(
        store, IMAGE, signature("ci"), created=CREATED, signer=trusting("ci")
    )
    assert (first.new, again.new) == (True, False)
    assert first.digest == again.digest
    assert len(await facts(store, "ci")) == 1


async def test_somebody_elses_signature_is_no_reason_not_to_sign() -> None:
    store = await stored()
    await attach_bundle(store, IMAGE, signature("stranger"), created=CREATED)
    attached = await attach_bundle(
        store, IMAGE, signature("ci"), created=CREATED, signer=trusting("ci")
    )
    assert attached.new


async def test_other_content_of_the_same_type_is_told_as_replaced() -> None:
    store = await stored()
    old = await attach_bundle(store, IMAGE, attestation("ci"), created=CREATED)
    newer = attestation("ci", b'{"bomFormat":"CycloneDX","components":[]}')
    new = await attach_bundle(store, IMAGE, newer, created=CREATED, signer=trusting("ci"))
    assert (old.digest,) == new.replaced


async def test_what_was_said_otherwise_is_told_when_the_same_is_there_too() -> None:
    store = await stored()
    old = await attach_bundle(store, IMAGE, attestation("ci"), created=CREATED)
    newer = attestation("ci", b'{"bomFormat":"CycloneDX","components":[]}')
    new = await attach_bundle(store, IMAGE, newer, created=CREATED)
    again = await attach_bundle(store, IMAGE, newer, created=CREATED, signer=trusting("ci"))
    assert (new.digest, False, (old.digest,)) == (again.digest, again.new, again.replaced)


@pytest.mark.parametrize("replacing", [True, False])
async def test_a_much_larger_one_is_looked_for_only_to_replace_it(replacing: bool) -> None:
    store = await stored()
    large = attestation("ci", json.dumps({"filler": "x" * 500_000}).encode())
    old = await attach_bundle(store, IMAGE, large, created=CREATED)
    new = await attach_bundle(
        store,
        IMAGE,
        attestation("ci"),
        created=CREATED,
        signer=trusting("ci"),
        replacing=replacing,
    )
    assert new.replaced == ((old.digest,) if replacing else ())


async def test_the_same_bytes_are_attached_once_whenever_that_is() -> None:
    store = await stored()
    bundle = attestation("ci")
    first = await attach_bundle(store, IMAGE, bundle, created=CREATED)
    again = await attach_bundle(store, IMAGE, bundle, created=CREATED + timedelta(days=1))
    assert (first.digest, False) == (again.digest, again.new)


async def test_several_at_once_are_all_there() -> None:
    store = await stored()
    bundles = [signature("ci"), attestation("ci"), signature("release")]
    attached = await attach_bundles(store, IMAGE, bundles, created=CREATED)
    found = await facts(store, "ci", "release")
    assert {each.digest for each in attached} == {fact.paper for fact in found}


async def test_a_bundle_about_something_else_is_not_attached() -> None:
    store = await stored()
    before = set(store.content)
    with pytest.raises(EvidenceError, match="is not about"):
        await attach_bundle(store, IMAGE, signature("ci", OTHER), created=CREATED)
    assert before == set(store.content)


async def test_a_bundle_by_somebody_else_is_not_attached_as_ours() -> None:
    store = await stored()
    with pytest.raises(EvidenceError):
        await attach_bundle(
            store, IMAGE, signature("stranger"), created=CREATED, signer=trusting("ci")
        )


async def test_a_small_bundle_can_be_in_its_manifest() -> None:
    store = await stored()
    attached = await attach_bundle(store, IMAGE, signature("ci"), created=CREATED, inline=True)
    layer = store.content[attached.digest].blobs[1]
    assert layer.data is not None
    del store.blobs[layer.digest]
    (fact,) = await facts(store, "ci")
    assert Verdict.VERIFIED is fact.verdict


async def test_an_sbom_is_attached_once_and_unsigned() -> None:
    store = await stored()
    first = await attach_sbom(store, IMAGE, SBOM, names.CYCLONEDX_JSON, created=CREATED)
    later = CREATED.replace(hour=13)
    again = await attach_sbom(store, IMAGE, SBOM, names.CYCLONEDX_JSON, created=later)
    assert (True, False, first.digest) == (first.new, again.new, again.digest)
    (fact,) = await facts(store)
    assert (fact.kind, fact.verdict) == (Kind.SBOM, Verdict.UNSIGNED)


async def test_the_same_document_under_another_type_is_no_reason_not_to_attach_it() -> None:
    store = await stored()
    posing = artifact(IMAGE, kind="text/x", layers=[describe(SBOM, names.CYCLONEDX_JSON)])
    await put(store, Made(posing, {digests.of(SBOM): SBOM}))
    attached = await attach_sbom(store, IMAGE, SBOM, names.CYCLONEDX_JSON, created=CREATED)
    assert attached.new


async def test_an_unsigned_statement_is_attached_as_it_is() -> None:
    store = await stored()
    attached = await attach_statement(store, IMAGE, statement(), created=CREATED)
    (fact,) = await facts(store)
    assert (
        fact.kind,
        fact.verdict,
        fact.predicate_type,
    ) == (Kind.SBOM, Verdict.UNSIGNED, CYCLONEDX)
    document = json.loads(store.content[attached.digest].raw)
    assert document["artifactType"] == names.IN_TOTO


async def test_an_unsigned_statement_about_something_else_is_not_attached() -> None:
    store = await stored()
    with pytest.raises(EvidenceError, match="is not about"):
        await attach_statement(store, IMAGE, statement(subject=OTHER), created=CREATED)


async def test_a_signed_sbom_is_a_paper_with_a_paper() -> None:
    store = await stored()
    attached = await attach_sbom(store, IMAGE, SBOM, names.CYCLONEDX_JSON, created=CREATED)
    sbom = store.content[attached.digest]
    await attach_bundle(store, sbom, signature("ci", sbom), created=CREATED)
    found = {(fact.kind, fact.subject, fact.verdict) for fact in await facts(store, "ci")}
    assert {
        (Kind.SBOM, IMAGE.digest, Verdict.UNSIGNED),
        (Kind.SIGNATURE, sbom.digest, Verdict.VERIFIED),
    } == found


class Asked(MemoryStore):
    """A repository that remembers which blobs were asked for."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self.content, self.blobs, self.names = store.content, store.blobs, store.names
        self.asked: list[Digest] = []

    @asynccontextmanager
    async def blob(self, digest: Digest, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        self.asked.append(digest)
        async with super().blob(digest, start) as chunks:
            yield chunks


async def test_only_what_may_be_the_same_is_read_to_find_that_out() -> None:
    store = Asked(await stored())
    small = signature("ci", env="test")
    large = attestation("ci", b'{"x":"' + b"x" * 400_000 + b'"}')
    for bundle in (small, large):
        await attach_bundle(store, IMAGE, bundle, created=CREATED)
    await attach_statement(store, IMAGE, statement(), created=CREATED)
    assert store.asked == []
    await attach_bundle(store, IMAGE, signature("ci"), created=CREATED, signer=trusting("ci"))
    assert [digests.of(small)] == store.asked
