"""Signatures by keys, without logs: what real tools wrote, and what we write."""

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

import trust_vectors
from retinue.attest.anchors import AnchorKey, KeyAnchor, Trust
from retinue.attest.errors import EvidenceError, Malformed, NoAnchor, Refused
from retinue.attest.formats import dsse
from retinue.attest.keys.public import wrap
from retinue.attest.proof import Format, Proof
from retinue.attest.sign import sign_envelope, sign_simple, sign_statement, signature_statement
from retinue.attest.statement import Subject, write_statement
from retinue.attest.target import Target
from retinue.attest.verify import verify_bundle, verify_envelope, verify_simple
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.memory import MemoryStore
from signing import MANIFEST, anchored, bundle, edited, message_bundle, ph_signature, target
from trust_vectors import Vector, private, public

P = "https://example.com/p"
ABOUT = (Subject("app", {"sha256": hashlib.sha256(MANIFEST).hexdigest()}, {}),)
STATEMENT = write_statement(P, b'{"a": 1}', ABOUT)


# ---- What real tools wrote


def proofs(vector: Vector) -> list[Proof]:
    about = {each.subject for each in vector.expected if each.verdict == "verified"}
    found = []
    for store in (vector.store, *vector.elsewhere.values()):
        for digest in about:
            manifest = vector.store.content[digest]
            subject = Target(digest, manifest.media_type, manifest.raw)
            found += proofs_in(store, subject, vector.trust)
    return found


def proofs_in(store: MemoryStore, subject: Target, trust: Trust) -> list[Proof]:
    found: list[Proof] = []
    for blob in [blob for manifest in store.content.values() for blob in manifest.blobs]:
        raw = store.blobs.get(blob.digest, b"")
        try:
            if blob.media_type == names.BUNDLE:
                found.append(verify_bundle(raw, subject, trust))
            elif blob.media_type == names.SIMPLE_SIGNING:
                found.append(verify_simple(raw, blob.annotations, subject, trust))
            elif blob.media_type == names.DSSE_ENVELOPE:
                found += verify_envelope(raw, subject, trust, blob.annotations)
        except EvidenceError:
            continue
    return found


@pytest.mark.parametrize("vector", trust_vectors.names())
def test_signatures_of_real_tools(vector: str) -> None:
    case = trust_vectors.load(vector)
    found = proofs(case)
    expected = [each for each in case.expected if each.verdict == "verified"]
    assert sorted(str(each.by) for each in expected) == sorted(each.principal for each in found)
    assert case.signatures == len({each.signature for each in found})
    assert {each.logged for each in expected} - {None} <= {each.logged for each in found}
    clocks = {frozenset(map(str, (time.clock for time in each.times))) for each in found}
    assert {each.clocks for each in expected} - {None} <= clocks
    told = {each.predicate_type for each in expected} - {None}
    assert told <= {each.statement.predicate_type for each in found if each.statement}


# ---- What we write


@pytest.mark.parametrize("key", ["p256", "p384", "p521", "rsa2048", "ed25519"])
def test_a_signed_statement_is_proven(key: str) -> None:
    proof = verify_bundle(bundle(key, STATEMENT), target(), anchored(key))
    assert proof.statement is not None
    assert (Format.BUNDLE, "key:ci", ("ci",), public(key).fingerprint, P, b'{"a": 1}') == (
        proof.format,
        proof.principal,
        proof.anchors,
        proof.key,
        proof.statement.predicate_type,
        proof.statement.predicate,
    )


def test_what_a_key_without_a_log_does_not_prove_is_empty() -> None:
    proof = verify_bundle(bundle(), target(), anchored("p256"))
    assert (
        proof.times,
        proof.logged,
        proof.reference,
        proof.certificate,
        proof.expires,
    ) == ((), False, None, {}, None)


def test_annotations_of_the_subject_are_proven() -> None:
    proof = verify_bundle(bundle(env="prod"), target(), anchored("p256"))
    assert proof.annotations == {"env": "prod"}


def test_a_simple_signature_is_proven() -> None:
    made = sign_simple(target(), "r/app", {"env": "prod"}, private("p256"))
    proof = verify_simple(made.payload, made.annotations, target(), anchored("p256"))
    assert (
        proof.format,
        proof.statement,
        proof.annotations,
        proof.reference,
    ) == (Format.LEGACY, None, {"env": "prod"}, "r/app")


def test_the_form_of_a_simple_signature_is_told() -> None:
    made = sign_simple(target(), "r/app", {}, private("p256"))
    proof = verify_simple(
        made.payload, made.annotations, target(), anchored("p256"), form=Format.OCI11
    )
    assert proof.format is Format.OCI11


def test_an_envelope_is_proven() -> None:
    (proof,) = verify_envelope(
        sign_envelope(STATEMENT, private("p256")), target(), anchored("p256")
    )
    assert (proof.format, proof.principal) == (Format.LEGACY, "key:ci")


def test_a_signature_over_the_manifest_is_proven_whatever_its_digest_says() -> None:
    raw = message_bundle(private("p256").sign((MANIFEST,)))
    proof = verify_bundle(raw, target(), anchored("p256"))
    assert (proof.format, proof.statement) == (Format.MESSAGE, None)
    with pytest.raises(NoAnchor):
        verify_bundle(raw, target(b"{}"), anchored("p256"))


def test_a_manifest_with_a_sha512_digest_is_proven() -> None:
    about = target(algorithm="sha512")
    raw = sign_statement(signature_statement(about.digest, {}), private("p256"))
    for made in (raw, bundle()):
        proof = verify_bundle(made, about, anchored("p256"))
        assert proof.key == public("p256").fingerprint
    with pytest.raises(Refused, match="is not about"):
        verify_bundle(raw, target(), anchored("p256"))


@pytest.mark.parametrize("sign", [sign_statement, sign_envelope])
def test_what_is_no_statement_is_not_signed(sign: Any) -> None:
    with pytest.raises(Malformed):
        sign(b"{}", private("p256"))


# ---- Who signed


def test_one_signature_has_one_id_in_every_form() -> None:
    trust = anchored("p256")
    (legacy,) = verify_envelope(sign_envelope(STATEMENT, private("p256")), target(), trust)
    assert legacy.signature == verify_bundle(bundle("p256", STATEMENT), target(), trust).signature


def test_another_key_or_statement_gives_another_id() -> None:
    trust = anchored("p256", "other")
    made = [bundle("p256"), bundle("other"), bundle("p256", STATEMENT)]
    assert len({verify_bundle(raw, target(), trust).signature for raw in made}) == 3


def test_two_keys_of_one_anchor_are_one_principal() -> None:
    trust = anchored("p256", "other")
    made = [verify_bundle(bundle(key), target(), trust) for key in ("p256", "other")]
    assert {proof.principal for proof in made} == {"key:ci"}


def test_all_anchors_with_the_key_are_named() -> None:
    anchors = [KeyAnchor(name, (AnchorKey(public("p256")),)) for name in ("b", "a", "b")]
    assert verify_bundle(bundle(), target(), Trust(tuple(anchors))).anchors == ("b", "a")


@pytest.mark.parametrize("hint", ["", "nonsense", "X8LTOoaWq2ebE05bI4alwho+dQWEBrrVLPPCdS4f4F0="])
def test_a_hint_proves_nothing_and_refuses_nothing(hint: str) -> None:
    trust = anchored("other", "p256")
    raw = edited(bundle(), "verificationMaterial", "publicKey", "hint", value=hint)
    assert verify_bundle(bundle(), target(), trust) == verify_bundle(raw, target(), trust)


def test_a_hint_at_another_trusted_key_is_only_tried_first() -> None:
    hint = json.loads(bundle("other"))["verificationMaterial"]
    raw = edited(bundle(), "verificationMaterial", value=hint)
    trust = anchored("other", "p256")
    assert verify_bundle(raw, target(), trust).key == public("p256").fingerprint


def test_a_stranger_has_no_anchor() -> None:
    with pytest.raises(NoAnchor, match="none of the 2 keys"):
        verify_bundle(bundle("stranger"), target(), anchored("p256", "rsa2048"))


def test_without_trust_nobody_has_an_anchor() -> None:
    with pytest.raises(NoAnchor, match="none of the 0 keys"):
        verify_bundle(bundle(), target(), Trust())


def test_a_trusted_key_that_is_named_and_did_not_sign_is_a_refusal() -> None:
    signature = json.loads(bundle("other"))["dsseEnvelope"]["signatures"]
    raw = edited(bundle(), "dsseEnvelope", "signatures", value=signature)
    with pytest.raises(Refused, match="does not verify with the key that it names"):
        verify_bundle(raw, target(), anchored("p256"))


def test_a_key_that_cannot_check_so_much_stands_in_nobodys_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two Ed25519 keys; the second has signed with ph, which has no limit."""
    monkeypatch.setattr("retinue.attest.keys.public.PURE_LIMIT", 10)
    keys = [ed25519.Ed25519PrivateKey.generate() for _ in range(2)]
    pinned = tuple(AnchorKey(wrap(key.public_key(), "a key")) for key in keys)
    raw = message_bundle(ph_signature(keys[1], MANIFEST))
    trust = Trust((KeyAnchor("ci", pinned),))
    assert verify_bundle(raw, target(), trust).key == pinned[1].key.fingerprint
    with pytest.raises(Refused, match="pure Ed25519 over more than 10 bytes"):
        verify_bundle(raw, target(), Trust((KeyAnchor("ci", pinned[:1]),)))


def test_a_key_id_of_an_envelope_proves_nothing() -> None:
    raw = edited(
        sign_envelope(STATEMENT, private("p256")), "signatures", 0, "keyid", value="another"
    )
    assert verify_envelope(raw, target(), anchored("p256"))


# ---- What is signed


def test_a_statement_about_another_manifest_is_refused() -> None:
    with pytest.raises(Refused, match="is not about"):
        verify_bundle(bundle(), target(b"{}"), anchored("p256"))


def test_a_payload_about_another_manifest_is_refused() -> None:
    made = sign_simple(target(), "r/app", {}, private("p256"))
    with pytest.raises(Refused, match="payload: is about"):
        verify_simple(made.payload, made.annotations, target(b"{}"), anchored("p256"))


def signed(payload: bytes, kind: str = names.IN_TOTO) -> bytes:
    signature = private("p256").sign(dsse.pae(kind, payload))
    return dsse.write_envelope(kind, payload, signature)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (signed(STATEMENT, "application/json"), "payloadType is 'application/json'"),
        (signed(b"no json"), "statement: invalid JSON"),
        (signed(STATEMENT.replace(b"Statement/v1", b"Statement/v3")), "_type is"),
        (signed(STATEMENT.replace(b'"_type"', b'"subject":[],"_type"')), "occurs twice"),
        (signed(STATEMENT.replace(b'"_type"', b'"Subject":[],"_type"')), "differ only in case"),
    ],
)
def test_what_was_signed_must_be_a_statement(raw: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        verify_envelope(raw, target(), anchored("p256"))


def test_nothing_that_a_stranger_signed_is_parsed() -> None:
    with pytest.raises(NoAnchor):
        verify_envelope(signed(b"no json"), target(), anchored("other"))


def test_a_payload_that_is_no_payload_is_refused_after_its_signature() -> None:
    signature = base64.b64encode(private("p256").sign((b"{}",))).decode()
    annotations = {names.ANNOTATION_SIGNATURE: signature}
    with pytest.raises(Malformed, match="payload"):
        verify_simple(b"{}", annotations, target(), anchored("p256"))
    with pytest.raises(NoAnchor):
        verify_simple(b"{}", annotations, target(), anchored("other"))


def test_each_signature_of_an_envelope_counts_once() -> None:
    raw = sign_envelope(STATEMENT, private("p256"))
    mine, theirs = (
        json.loads(sign_envelope(STATEMENT, private(key)))["signatures"][0]
        for key in ("p256", "other")
    )
    junk = {"sig": "AAAA"}
    both = edited(raw, "signatures", value=[junk, mine, theirs, mine])
    found = verify_envelope(both, target(), trust_vectors.trust("p256", "other"))
    assert [proof.principal for proof in found] == ["key:p256", "key:other"]


def test_a_malleated_signature_is_the_same_signature() -> None:
    from cryptography.hazmat.primitives.asymmetric.utils import (
        decode_dss_signature,
        encode_dss_signature,
    )

    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    way = ("dsseEnvelope", "signatures", 0, "sig")
    signature = base64.b64decode(json.loads(bundle())["dsseEnvelope"]["signatures"][0]["sig"])
    r, s = decode_dss_signature(signature)
    other = base64.b64encode(encode_dss_signature(r, order - s)).decode()
    trust = anchored("p256")
    assert verify_bundle(bundle(), target(), trust) == verify_bundle(
        edited(bundle(), *way, value=other), target(), trust
    )


def test_a_digest_that_is_none_is_refused() -> None:
    payload = sign_simple(target(), "r/app", {}, private("p256")).payload
    odd = payload.replace(digests.of(MANIFEST).encode(), b"sha1:00")
    annotations = {
        names.ANNOTATION_SIGNATURE: base64.b64encode(private("p256").sign((odd,))).decode()
    }
    with pytest.raises(Refused, match="is about 'sha1:00'"):
        verify_simple(odd, annotations, target(), anchored("p256"))
