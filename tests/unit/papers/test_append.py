"""Papers at cosign's tags: written as cosign does, by many at once, and none is lost."""

import asyncio
import json

import pytest

from builders import artifact, index
from paperkit import (
    IMAGE,
    OTHER,
    SBOM,
    facts,
    signer,
    statement,
    stored,
    trusting,
)
from retinue.attest.errors import EvidenceError
from retinue.attest.formats.simplesigning import SimpleSignature
from retinue.attest.proof import Format
from retinue.attest.sign import sign_envelope, sign_simple
from retinue.attest.target import Target
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.memory import MemoryStore
from retinue.oci.tags import cosign_tag
from retinue.papers.append import (
    ATTEMPTS,
    NoSuchTag,
    TagContested,
    TagTaken,
    append_envelope,
    append_signature,
    put_sbom,
)
from retinue.papers.facts import Verdict
from retinue.papers.kinds import Kind


async def pause(_: int) -> None:
    """Lets the others go on."""
    await asyncio.sleep(0)


def simple(name: str, subject: Manifest = IMAGE, **annotations: str) -> SimpleSignature:
    target = Target(subject.digest, subject.media_type, subject.raw)
    return sign_simple(target, "reg.acme/app", annotations, signer(name))


def envelope(name: str, predicate: bytes = SBOM, subject: Manifest = IMAGE) -> bytes:
    return sign_envelope(statement(predicate, subject=subject), signer(name))


def at(store: MemoryStore, suffix: str, subject: Manifest = IMAGE) -> Manifest:
    return store.content[store.names[cosign_tag(subject.digest, suffix) or ""]]


async def test_the_manifest_of_a_signature_is_the_one_that_cosign_writes() -> None:
    store = await stored()
    signed = simple("ci")
    await append_signature(store, IMAGE, signed, pause=pause)
    payload = digests.of(signed.payload)
    config = (
        '{"architecture":"","created":"0001-01-01T00:00:00Z",'
        '"history":[{"created":"0001-01-01T00:00:00Z"}],"os":"",'
        f'"rootfs":{{"type":"layers","diff_ids":["{payload}"]}},"config":{{}}}}'
    ).encode()
    expected = (
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",'
        '"config":{"mediaType":"application/vnd.oci.image.config.v1+json",'
        f'"size":{len(config)},"digest":"{digests.of(config)}"}},'
        '"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json",'
        f'"size":{len(signed.payload)},"digest":"{payload}",'
        '"annotations":{"dev.cosignproject.cosign/signature":'
        f'"{signed.annotations[names.ANNOTATION_SIGNATURE]}"}}}}]}}'
    )
    assert expected == at(store, "sig").raw.decode()
    assert config == store.blobs[digests.of(config)]


async def test_two_signers_of_one_payload_are_two_facts() -> None:
    store = await stored()
    await append_signature(store, IMAGE, simple("ci"), pause=pause)
    await append_signature(store, IMAGE, simple("release"), pause=pause)
    found = await facts(store, "ci", "release")
    assert len({layer.digest for layer in at(store, "sig").blobs[1:]}) == 1
    assert {("key:ci", Format.LEGACY), ("key:release", Format.LEGACY)} == {
        (fact.principal, fact.format) for fact in found
    }


async def test_the_same_signer_is_not_appended_twice() -> None:
    store = await stored()
    first = await append_signature(store, IMAGE, simple("ci"), pause=pause, signer=trusting("ci"))
    again = await append_signature(store, IMAGE, simple("ci"), pause=pause, signer=trusting("ci"))
    assert (True, False, first.digest) == (first.new, again.new, again.digest)
    assert len(at(store, "sig").blobs) == 2


async def test_other_annotations_are_another_signature() -> None:
    store = await stored()
    await append_signature(store, IMAGE, simple("ci"), pause=pause, signer=trusting("ci"))
    again = await append_signature(
        store, IMAGE, simple("ci", env="prod"), pause=pause, signer=trusting("ci")
    )
    assert again.new
    assert {None, "prod"} == {fact.annotations.get("env") for fact in await facts(store, "ci")}


async def test_eight_signers_at_once_lose_nothing() -> None:
    store = await stored()
    signers = [f"signer{number}" for number in range(8)]
    async with asyncio.TaskGroup() as tasks:
        for name in signers:
            tasks.create_task(append_signature(store, IMAGE, simple(name), pause=pause))
    found = await facts(store, *signers)
    assert {f"key:{name}" for name in signers} == {fact.principal for fact in found}


class Forgetful(MemoryStore):
    """A registry that heeds no conditions, as most do; `stealing` overwrites after each write."""

    def __init__(self) -> None:
        super().__init__()
        self.stealing: list[Digest] = []

    async def put_tag(
        self, tag: str, digest: Digest, *, expected: Digest | None = None, new: bool = False
    ) -> None:
        await super().put_tag(tag, digest)
        if self.stealing:
            await super().put_tag(tag, self.stealing.pop())


async def test_what_another_overwrote_is_written_again() -> None:
    store = Forgetful()
    store.content, store.blobs = (await stored()).content, (await stored()).blobs
    await append_signature(store, IMAGE, simple("other"), pause=pause)
    store.stealing = [at(store, "sig").digest] * 3
    await append_signature(store, IMAGE, simple("ci"), pause=pause)
    found = await facts(store, "ci", "other")
    assert {"key:ci", "key:other"} == {fact.principal for fact in found}


async def test_who_is_overwritten_again_and_again_is_told() -> None:
    store = Forgetful()
    store.content, store.blobs = (await stored()).content, (await stored()).blobs
    await append_signature(store, IMAGE, simple("other"), pause=pause)
    store.stealing = [at(store, "sig").digest] * ATTEMPTS
    with pytest.raises(TagContested):
        await append_signature(store, IMAGE, simple("ci"), pause=pause)


async def test_attestations_are_appended() -> None:
    store = await stored()
    for predicate in (SBOM, b"{}"):
        await append_envelope(store, IMAGE, envelope("ci", predicate), pause=pause)
    layers = json.loads(at(store, "att").raw)["layers"]
    assert [layer["annotations"] for layer in layers] == [
        {names.ANNOTATION_SIGNATURE: "", "predicateType": "https://cyclonedx.org/bom"}
    ] * 2
    assert {(Kind.SBOM, Verdict.VERIFIED)} == {
        (fact.kind, fact.verdict) for fact in await facts(store, "ci")
    }


async def test_the_same_attestation_is_not_appended_twice() -> None:
    store = await stored()
    trust = trusting("ci")
    await append_envelope(store, IMAGE, envelope("ci"), pause=pause, signer=trust)
    again = await append_envelope(store, IMAGE, envelope("ci"), pause=pause, signer=trust)
    assert not again.new
    assert len(await facts(store, "ci")) == 1


async def test_a_replacement_comes_first_and_spares_other_types() -> None:
    store = await stored()
    for predicate in (SBOM, b"{}"):
        await append_envelope(store, IMAGE, envelope("ci", predicate), pause=pause)
    scan = sign_envelope(statement(b"{}", "https://example.org/scan"), signer("ci"))
    await append_envelope(store, IMAGE, scan, pause=pause)
    new = envelope("ci", b'{"new":1}')
    await append_envelope(store, IMAGE, new, pause=pause, replace=True)
    assert [digests.of(new), digests.of(scan)] == [b.digest for b in at(store, "att").blobs[1:]]


async def test_a_lying_annotation_does_not_decide_what_is_replaced() -> None:
    store = await stored()
    scan = sign_envelope(statement(b"{}", "https://example.org/scan"), signer("ci"))
    await append_envelope(store, IMAGE, scan, pause=pause)
    document = json.loads(at(store, "att").raw)
    document["layers"][0]["annotations"]["predicateType"] = "https://cyclonedx.org/bom"
    liar = artifact(**document)
    store.content[liar.digest] = liar
    store.names[cosign_tag(IMAGE.digest, "att") or ""] = liar.digest
    await append_envelope(store, IMAGE, envelope("ci"), pause=pause, replace=True)
    assert digests.of(scan) in {blob.digest for blob in at(store, "att").blobs}


async def test_an_sbom_is_not_overwritten_by_another_unless_it_should_be() -> None:
    store = await stored()
    await put_sbom(store, IMAGE, SBOM, names.CYCLONEDX_JSON, pause=pause)
    again = await put_sbom(store, IMAGE, SBOM, names.CYCLONEDX_JSON, pause=pause)
    assert not again.new
    with pytest.raises(TagTaken):
        await put_sbom(store, IMAGE, b"{}", names.CYCLONEDX_JSON, pause=pause)
    await put_sbom(store, IMAGE, b"{}", names.CYCLONEDX_JSON, pause=pause, replace=True)
    assert [digests.of(b"{}")] == [blob.digest for blob in at(store, "sbom").blobs[1:]]


async def test_what_is_about_something_else_is_not_appended() -> None:
    store = await stored()
    with pytest.raises(EvidenceError):
        await append_signature(store, IMAGE, simple("ci", OTHER), pause=pause)
    with pytest.raises(EvidenceError):
        await append_envelope(store, IMAGE, envelope("ci", subject=OTHER), pause=pause)


async def test_a_tag_that_holds_no_papers_is_not_overwritten() -> None:
    store = await stored()
    listing = index(IMAGE)
    await store.put_manifest(listing)
    await store.put_tag(cosign_tag(IMAGE.digest, "sig") or "", listing.digest)
    with pytest.raises(TagTaken):
        await append_signature(store, IMAGE, simple("ci"), pause=pause)


async def test_a_digest_that_cosign_has_no_tag_for_is_refused() -> None:
    from builders import image

    long = image(algorithm="sha512")
    with pytest.raises(NoSuchTag):
        await append_signature(await stored(), long, simple("ci", long), pause=pause)
