"""Signatures that logs, clocks and certificates vouch for, against a development stack."""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from msgspec.structs import replace

from keylesskit import NOW, URL, WHO, Local, local, stack_folder
from retinue.attest.anchors import (
    AnchorKey,
    KeyAnchor,
    KeylessAnchor,
    TimeAnchor,
    Trust,
    X509Anchor,
)
from retinue.attest.errors import EvidenceError, Malformed, NoAnchor, Refused
from retinue.attest.formats import dsse
from retinue.attest.keys.public import wrap
from retinue.attest.proof import Clock, Format, Proof, TrustedTime
from retinue.attest.root import TrustedRoot, read_root
from retinue.attest.sign import sign_envelope, sign_simple, signature_statement
from retinue.attest.timestamp import request
from retinue.attest.verify import verify_bundle, verify_envelope, verify_simple
from retinue.attest.witnessing import from_version_1
from retinue.oci import names
from signing import MANIFEST, anchored, bundle, edited, message_bundle, target
from trust_vectors import private, public
from x509kit import SINCE, certificate, new_key

__all__ = ["stack_folder"]

STATEMENT = signature_statement(target().digest, {"env": "prod"})
V1, V2 = "signing_config.rekor-v1.json", "signing_config.v0.2.json"
ISSUER = URL
MATERIAL = "verificationMaterial"
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


@pytest.fixture(scope="module")
def dev(stack_folder: Path) -> Iterator[Local]:
    made = local(stack_folder)
    yield made
    made.stack.close()


@pytest.fixture(scope="module")
def root(dev: Local) -> TrustedRoot:
    return dev.root


@pytest.fixture(scope="module")
def one(dev: Local) -> bytes:
    """A keyless bundle with an entry of a log of the first version."""
    return dev.sign(STATEMENT, V1)


@pytest.fixture(scope="module")
def two(dev: Local) -> bytes:
    """A keyless bundle with an entry of a log of the second version, and a timestamp."""
    return dev.sign(STATEMENT, V2)


def issuer_of(dev: Local) -> str:
    return str(dev.stack.issuer.url)


def keyless(root: TrustedRoot, **changed: Any) -> Trust:
    anchor = KeylessAnchor("release", root, ISSUER, identity=WHO)
    return Trust((replace(anchor, **changed),), roots=(root,))


# ---- Keyless


@pytest.mark.parametrize(("config", "clock"), [(V1, Clock.TLOG), (V2, Clock.RFC3161)])
def test_a_keyless_signature_is_proven(
    config: str, clock: Clock, dev: Local, root: TrustedRoot
) -> None:
    proof = verify_bundle(dev.sign(STATEMENT, config), target(), keyless(root))
    assert (f"keyless:{ISSUER} {WHO}", ("release",), True, {"env": "prod"}) == (
        proof.principal,
        proof.anchors,
        proof.logged,
        proof.annotations,
    )
    assert {ISSUER, WHO} <= set(proof.certificate.values())
    assert {(clock, NOW)} <= {(time.clock, time.at) for time in proof.times}


def test_all_anchors_that_mean_the_identity_are_named(root: TrustedRoot, one: bytes) -> None:
    anchors = (
        KeylessAnchor("a", root, ISSUER, identity="someone else"),
        KeylessAnchor("b", root, ISSUER, identity_re2=r".+@example\.test"),
        KeylessAnchor("c", root, ISSUER, identity=WHO),
    )
    assert verify_bundle(one, target(), Trust(anchors)).anchors == ("b", "c")


@pytest.mark.parametrize(
    "changed",
    [
        {"identity": "other@example.test"},
        {"issuer": "https://elsewhere.test"},
        {"identity": None, "identity_re2": r"dev@example"},
    ],
)
def test_another_identity_has_no_anchor(
    changed: dict[str, Any], root: TrustedRoot, one: bytes
) -> None:
    with pytest.raises(NoAnchor, match="is no identity that is trusted"):
        verify_bundle(one, target(), keyless(root, **changed))


def test_under_another_root_there_is_no_anchor(
    root: TrustedRoot, one: bytes, tmp_path: Path
) -> None:
    other = local(tmp_path / "other")
    with pytest.raises((NoAnchor, Refused)):
        verify_bundle(one, target(), keyless(other.root))
    mixed = replace(other.root, logs=root.logs, ct_logs=root.ct_logs)
    other.stack.close()
    with pytest.raises(NoAnchor):
        verify_bundle(one, target(), keyless(mixed))


def test_a_key_anchor_does_not_vouch_for_a_certificate(one: bytes) -> None:
    with pytest.raises(NoAnchor, match="no keyless or X"):
        verify_bundle(one, target(), anchored("p256"))


def test_a_keyless_anchor_does_not_vouch_for_a_key(root: TrustedRoot) -> None:
    with pytest.raises(NoAnchor, match="none of the 0 keys"):
        verify_bundle(bundle(), target(), keyless(root))


@pytest.mark.parametrize("field", ["tlogEntries", "timestampVerificationData"])
def test_without_its_log_or_its_time_a_certificate_proves_nothing(
    field: str, root: TrustedRoot, two: bytes
) -> None:
    with pytest.raises(Refused, match=r"certificate: no (log|trusted time)"):
        verify_bundle(edited(two, MATERIAL, field, value=None), target(), keyless(root))


def test_without_a_promise_the_first_log_tells_no_time(root: TrustedRoot, one: bytes) -> None:
    raw = edited(one, MATERIAL, "tlogEntries", 0, "inclusionPromise", value=None)
    with pytest.raises(Refused, match="no trusted time"):
        verify_bundle(without_stamps(raw), target(), keyless(root))


def without_stamps(raw: bytes) -> bytes:
    return edited(raw, MATERIAL, "timestampVerificationData", value={})


def test_another_log_entry_is_refused(dev: Local, root: TrustedRoot, one: bytes) -> None:
    entries = json.loads(dev.sign(STATEMENT, V1))[MATERIAL]["tlogEntries"]
    with pytest.raises(Refused, match="log entry"):
        verify_bundle(edited(one, MATERIAL, "tlogEntries", value=entries), target(), keyless(root))


def test_a_root_without_logs_needs_none(root: TrustedRoot, two: bytes) -> None:
    trust = keyless(replace(root, logs=()))
    proof = verify_bundle(two, target(), trust)
    assert (proof.logged, proof.times[0].clock) == (False, Clock.RFC3161)


def test_logs_of_unknown_kinds_relax_nothing(dev: Local, two: bytes) -> None:
    document = json.loads(dev.document("trusted_root.json"))
    for log in document["tlogs"]:
        log["publicKey"]["keyDetails"] = "PKIX_ML_DSA_65"
    root = read_root(json.dumps(document).encode())
    assert root.logs == ()
    with pytest.raises(Refused, match="no log of the trusted root"):
        verify_bundle(two, target(), keyless(root))


def test_a_keyless_proof_says_when_its_certificate_was_valid(root: TrustedRoot, two: bytes) -> None:
    proof = verify_bundle(two, target(), keyless(root))
    assert proof.not_before is not None
    assert proof.not_after is not None
    assert proof.not_before <= proof.times[0].at <= proof.not_after
    assert proof.not_after - proof.not_before < timedelta(hours=1)


@pytest.mark.parametrize(
    ("media_type", "kept", "said"),
    [
        (f"{names.BUNDLE_UNVERSIONED};version=0.1", "inclusionProof", "signed entry timestamp"),
        (f"{names.BUNDLE_UNVERSIONED};version=0.2", "inclusionPromise", "no inclusion proof"),
        (names.BUNDLE, "inclusionPromise", "no inclusion proof"),
    ],
)
def test_each_version_has_its_own_proof_of_the_log(
    media_type: str, kept: str, said: str, root: TrustedRoot, one: bytes
) -> None:
    other = {"inclusionProof": "inclusionPromise", "inclusionPromise": "inclusionProof"}[kept]
    raw = edited(one, "mediaType", value=media_type)
    raw = edited(raw, MATERIAL, "tlogEntries", 0, other, value=None)
    with pytest.raises(Refused, match=said):
        verify_bundle(raw, target(), keyless(root))


def test_the_oldest_bundles_need_no_path(root: TrustedRoot, one: bytes) -> None:
    raw = edited(one, "mediaType", value=f"{names.BUNDLE_UNVERSIONED};version=0.1")
    raw = edited(raw, MATERIAL, "tlogEntries", 0, "inclusionProof", value=None)
    assert verify_bundle(raw, target(), keyless(root)).logged


def test_the_key_of_the_certificate_must_have_signed(root: TrustedRoot, one: bytes) -> None:
    other = json.loads(bundle())["dsseEnvelope"]
    with pytest.raises(Refused, match="does not verify with the key of its certificate"):
        verify_bundle(edited(one, "dsseEnvelope", value=other), target(), keyless(root))


@pytest.mark.parametrize("raw", ["", "AAAA", b64encode(b"\x30\x80" * 40).decode()])
def test_what_is_no_certificate_is_told(raw: str, root: TrustedRoot, one: bytes) -> None:
    with pytest.raises(Malformed, match="certificate"):
        verify_bundle(
            edited(one, MATERIAL, "certificate", "rawBytes", value=raw), target(), keyless(root)
        )


def test_of_every_byte_of_a_keyless_bundle(root: TrustedRoot, two: bytes) -> None:
    """Flipped, it is refused, or yields the same proof; where it names a clock or log that nobody
    knows, one with less evidence."""
    trust = keyless(root)
    whole = verify_bundle(two, target(), trust)
    survivors = 0
    for place in range(0, len(two), 11):
        raw = two[:place] + bytes((two[place] ^ 1 << place % 7,)) + two[place + 1 :]
        try:
            found = verify_bundle(raw, target(), trust)
        except EvidenceError:
            continue
        survivors += 1
        assert set(found.times) <= set(whole.times)
        assert replace(found, times=whole.times) == whole
    assert survivors < len(two) // 11 // 5


# ---- Keys with logs and clocks


def entry_1(dev: Local, envelope: bytes, key: str) -> Mapping[str, Any]:
    verifier = b64encode(public(key).pem).decode()
    content = {"envelope": envelope.decode(), "verifiers": [verifier]}
    proposed = {"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}}
    answer = dev.send(f"{URL}/api/v1/log/entries", json.dumps(proposed).encode(), {})
    (found,) = json.loads(answer).values()
    return from_version_1(found)


def entry_2(dev: Local, signature: bytes, message: bytes, key: str) -> Mapping[str, Any]:
    verifier = {
        "publicKey": {"rawBytes": b64encode(public(key).spki).decode()},
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
    }
    wanted = {
        "digest": b64encode(hashlib.sha256(message).digest()).decode(),
        "signature": {"content": b64encode(signature).decode(), "verifier": verifier},
    }
    body = json.dumps({"hashedRekordRequestV002": wanted}).encode()
    found: Mapping[str, Any] = json.loads(dev.send(f"{URL}/api/v2/log/entries", body, {}))
    return found


def stamp(dev: Local, signature: bytes) -> dict[str, Any]:
    answer = dev.send(f"{URL}/api/v1/timestamp", request(signature), {})
    return {"rfc3161Timestamps": [{"signedTimestamp": b64encode(answer).decode()}]}


@pytest.fixture(scope="module")
def logged(dev: Local) -> bytes:
    """A bundle by a key, in both logs, with a timestamp."""
    raw = bundle("p256", STATEMENT)
    envelope = json.loads(raw)["dsseEnvelope"]
    signature = b64decode(envelope["signatures"][0]["sig"])
    message = b"".join(dsse.pae(names.IN_TOTO, STATEMENT))
    entries = [
        entry_1(dev, json.dumps(envelope).encode(), "p256"),
        entry_2(dev, signature, message, "p256"),
    ]
    raw = edited(raw, MATERIAL, "tlogEntries", value=entries)
    return edited(raw, MATERIAL, "timestampVerificationData", value=stamp(dev, signature))


def with_root(root: TrustedRoot) -> Trust:
    return replace(anchored("p256"), roots=(root,))


def test_logs_and_clocks_vouch_for_a_key(root: TrustedRoot, logged: bytes) -> None:
    proof = verify_bundle(logged, target(), with_root(root))
    assert proof.logged
    assert {Clock.TLOG, Clock.RFC3161} == {time.clock for time in proof.times}
    assert {NOW} == {time.at for time in proof.times}


def test_logs_and_clocks_that_nobody_trusts_say_nothing(logged: bytes) -> None:
    proof = verify_bundle(logged, target(), anchored("p256"))
    assert (proof.times, proof.logged) == ((), False)


def test_a_time_anchor_tells_the_time_and_nothing_else(root: TrustedRoot, logged: bytes) -> None:
    chain = root.timestamps[0].chain
    trust = replace(anchored("p256"), times=(TimeAnchor("receipts", chain),))
    proof = verify_bundle(logged, target(), trust)
    assert ((TrustedTime(NOW, Clock.RFC3161, "receipts"),), False) == (proof.times, proof.logged)


def test_the_signature_is_the_same_with_and_without_evidence(
    root: TrustedRoot, logged: bytes
) -> None:
    ids = {
        verify_bundle(logged, target(), with_root(root)).signature,
        verify_bundle(bundle("p256", STATEMENT), target(), anchored("p256")).signature,
    }
    assert len(ids) == 1


def test_evidence_of_another_signature_is_refused(
    dev: Local, root: TrustedRoot, logged: bytes
) -> None:
    material = json.loads(logged)[MATERIAL]
    other = bundle("p256", signature_statement(target().digest, {"env": "test"}))
    for field in ("tlogEntries", "timestampVerificationData"):
        raw = edited(other, MATERIAL, field, value=material[field])
        with pytest.raises(Refused, match="another signature"):
            verify_bundle(raw, target(), with_root(root))


def test_evidence_of_another_key_is_refused(root: TrustedRoot, logged: bytes) -> None:
    entries = json.loads(logged)[MATERIAL]["tlogEntries"]
    raw = edited(bundle("other", STATEMENT), MATERIAL, "tlogEntries", value=entries)
    with pytest.raises(Refused, match="log entry"):
        verify_bundle(raw, target(), replace(anchored("other"), roots=(root,)))


# ---- Cosign's legacy forms


def annotations_of(dev: Local, raw: bytes) -> dict[str, str]:
    """What cosign keeps beside a legacy signature, from a keyless bundle."""
    material = json.loads(raw)[MATERIAL]
    entry = material["tlogEntries"][0]
    leaf = x509.load_der_x509_certificate(b64decode(material["certificate"]["rawBytes"]))
    payload = {
        "body": entry["canonicalizedBody"],
        "integratedTime": int(entry["integratedTime"]),
        "logIndex": int(entry["logIndex"]),
        "logID": b64decode(entry["logId"]["keyId"]).hex(),
    }
    promise = entry["inclusionPromise"]["signedEntryTimestamp"]
    return {
        names.ANNOTATION_CERTIFICATE: leaf.public_bytes(Encoding.PEM).decode(),
        names.ANNOTATION_CHAIN: "".join(dev.stack.authority.chain()),
        names.ANNOTATION_LOG_BUNDLE: json.dumps(
            {"SignedEntryTimestamp": promise, "Payload": payload}
        ),
    }


def test_a_keyless_envelope_with_annotations_is_proven(
    dev: Local, root: TrustedRoot, one: bytes
) -> None:
    envelope = json.dumps(json.loads(one)["dsseEnvelope"]).encode()
    annotations = annotations_of(dev, one)
    (proof,) = verify_envelope(envelope, target(), keyless(root), annotations)
    assert (Format.LEGACY, f"keyless:{ISSUER} {WHO}", True) == (
        proof.format,
        proof.principal,
        proof.logged,
    )
    with pytest.raises(NoAnchor):
        verify_envelope(envelope, target(), keyless(root))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (names.ANNOTATION_CERTIFICATE, "no certificate"),
        (names.ANNOTATION_CERTIFICATE, "x" * 300_000),
        (names.ANNOTATION_CERTIFICATE, f"{BEGIN}AAA{END}"),
        (names.ANNOTATION_CHAIN, f"{BEGIN}AAAA{END}" * 10),
        (names.ANNOTATION_LOG_BUNDLE, "{}"),
        (names.ANNOTATION_TIMESTAMP, "{}"),
    ],
)
def test_damaged_annotations_are_told(
    name: str, value: str, dev: Local, root: TrustedRoot, one: bytes
) -> None:
    envelope = json.dumps(json.loads(one)["dsseEnvelope"]).encode()
    annotations = {**annotations_of(dev, one), name: value}
    with pytest.raises(Malformed):
        verify_envelope(envelope, target(), keyless(root), annotations)


def test_a_timestamp_beside_a_simple_signature_is_proven(dev: Local, root: TrustedRoot) -> None:
    made = sign_simple(target(), "r/app", {}, private("p256"))
    signature = b64decode(made.annotations[names.ANNOTATION_SIGNATURE])
    token = stamp(dev, signature)["rfc3161Timestamps"][0]["signedTimestamp"]
    stamped = json.dumps({"SignedRFC3161Timestamp": token})
    annotations = {**made.annotations, names.ANNOTATION_TIMESTAMP: stamped}
    proof = verify_simple(made.payload, annotations, target(), with_root(root))
    assert [(time.at, time.clock) for time in proof.times] == [(NOW, Clock.RFC3161)]


def test_a_timestamp_beside_an_envelope_is_over_all_of_it(dev: Local, root: TrustedRoot) -> None:
    envelope = sign_envelope(STATEMENT, private("p256"))
    token = stamp(dev, envelope)["rfc3161Timestamps"][0]["signedTimestamp"]
    annotations = {names.ANNOTATION_TIMESTAMP: json.dumps({"SignedRFC3161Timestamp": token})}
    (proof,) = verify_envelope(envelope, target(), with_root(root), annotations)
    assert [time.at for time in proof.times] == [NOW]


# ---- X.509 chains that policies name

TOP_KEY, LEAF_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
TOP = certificate("Acme root", TOP_KEY)
LEAF = certificate("builder", LEAF_KEY, (TOP, TOP_KEY), days=30)
OTHER_TOP = certificate("Acme root", ec.generate_private_key(ec.SECP256R1()))


def certified(leaf: x509.Certificate = LEAF, *more: x509.Certificate) -> bytes:
    ders = [each.public_bytes(Encoding.DER) for each in (leaf, *more)]
    material = {
        "x509CertificateChain": {
            "certificates": [{"rawBytes": b64encode(der).decode()} for der in ders]
        }
    }
    return message_bundle(LEAF_KEY.sign(MANIFEST, ec.ECDSA(hashes.SHA256())), material)


def acme(*roots: x509.Certificate, **subject: str) -> Trust:
    return Trust((X509Anchor("notary", roots or (TOP,), subject or {"O": "Acme"}),))


@pytest.mark.parametrize("raw", [certified(), certified(LEAF, TOP)], ids=["leaf", "chain"])
def test_a_chain_to_a_root_of_the_policy_is_proven(raw: bytes) -> None:
    proof = verify_bundle(raw, target(), acme(OTHER_TOP, TOP))
    assert (
        proof.principal,
        proof.anchors,
        proof.times,
    ) == ("x509:CN=builder,O=Acme", ("notary",), ())
    assert (SINCE, SINCE + timedelta(days=30)) == (proof.not_before, proof.not_after)


@pytest.mark.parametrize("trust", [acme(OTHER_TOP), acme(TOP, CN="another"), Trust()])
def test_a_chain_to_nobody_that_is_trusted_has_no_anchor(trust: Trust) -> None:
    with pytest.raises(NoAnchor):
        verify_bundle(certified(), target(), trust)


DNS = x509.NameConstraints(
    permitted_subtrees=[x509.DNSName("acme.example")], excluded_subtrees=None
)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
SERVERS, CODE_TOO = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CODE_SIGNING
OTHER = x509.ObjectIdentifier("1.3.6.1.4.1.99999.2")


def below(purposes: Any = None, more: Any = (), leaf: Any = None, odd: Any = ()) -> bytes:
    """Signed with a leaf under an intermediate that says these things."""
    key = new_key()
    middle = certificate(
        "middle", key, (TOP, TOP_KEY), authority=True, purposes=purposes, more=more
    )
    return certified(
        certificate("builder", LEAF_KEY, (middle, key), purposes=leaf, more=odd), middle
    )


@pytest.mark.parametrize(
    "purposes", [None, [CODE_TOO], [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]]
)
@pytest.mark.parametrize("odd", [[], [(UNKNOWN, False)]])
def test_an_intermediate_that_may_issue_for_code_does(purposes: Any, odd: Any) -> None:
    assert verify_bundle(below(purposes, odd=odd), target(), acme()).anchors == ("notary",)


@pytest.mark.parametrize(
    "raw",
    [
        below([SERVERS]),
        below(more=[(DNS, True)]),
        below(more=[(DNS, False)]),
        below(more=[(UNKNOWN, True)]),
        below(odd=[(UNKNOWN, True)]),
        below(leaf=[OTHER]),
        below(leaf=[SERVERS]),
    ],
)
def test_what_certificates_restrict_is_kept_to(raw: bytes) -> None:
    with pytest.raises(NoAnchor):
        verify_bundle(raw, target(), acme())


def test_a_pinned_key_needs_no_certificate_and_may_have_one() -> None:
    pinned = KeyAnchor("ci", (AnchorKey(wrap(LEAF_KEY.public_key(), "leaf")),))
    proof = verify_bundle(certified(), target(), Trust((pinned,)))
    assert (proof.principal, proof.certificate) == ("key:ci", {})
    proof = verify_bundle(certified(), target(), Trust((pinned, *acme().anchors)))
    assert proof.anchors == ("notary",)


def test_a_chain_must_be_valid_when_it_signed(dev: Local) -> None:
    """The stack's clock is past the leaf's thirty days."""
    raw = certified()
    signature = b64decode(json.loads(raw)["messageSignature"]["signature"])
    raw = edited(raw, MATERIAL, "timestampVerificationData", value=stamp(dev, signature))
    trust = replace(acme(), roots=(dev.root,))
    with pytest.raises(Refused, match=r"was valid .* but signed"):
        verify_bundle(raw, target(), trust)


def test_proofs_are_values(root: TrustedRoot, one: bytes) -> None:
    first, second = (verify_bundle(one, target(), keyless(root)) for _ in range(2))
    assert isinstance(first, Proof)
    assert first == second
