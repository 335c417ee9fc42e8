import base64
import json
from typing import Any

import pytest

from retinue.attest.errors import Malformed
from retinue.attest.formats.bundle import read_bundle, write_bundle

V3 = "application/vnd.dev.sigstore.bundle.v0.3+json"
OLD = "application/vnd.dev.sigstore.bundle+json;version="
ENVELOPE = {"payload": "e30=", "payloadType": "application/x", "signatures": [{"sig": "c2ln"}]}
DER = base64.b64encode(b"certificate").decode()


def raw(material: object = None, **fields: object) -> bytes:
    document: dict[str, Any] = {
        "mediaType": V3,
        "verificationMaterial": {"publicKey": {"hint": "h"}} if material is None else material,
        "dsseEnvelope": ENVELOPE,
    }
    document.update(fields)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("media_type", "version"),
    [(V3, "0.3"), (f"{OLD}0.1", "0.1"), (f"{OLD}0.2", "0.2"), (f"{OLD}0.3", "0.3")],
)
def test_versions(media_type: str, version: str) -> None:
    assert version == read_bundle(raw(mediaType=media_type)).version


@pytest.mark.parametrize(
    "media_type",
    [f"{OLD}0.4", V3.replace("0.3", "0.4"), V3.upper(), f"{OLD} 0.3", "application/json", 3, None],
)
def test_another_media_type_is_refused(media_type: str) -> None:
    with pytest.raises(Malformed, match="mediaType is"):
        read_bundle(raw(mediaType=media_type))


def test_a_key_is_hinted_at() -> None:
    bundle = read_bundle(raw())
    assert (
        bundle.hint,
        bundle.certificates,
        bundle.message,
        bundle.envelope and bundle.envelope.signatures,
    ) == ("h", (), None, (b"sig",))


@pytest.mark.parametrize("key", [{}, {"hint": ""}, {"hint": None}])
def test_a_hint_may_be_missing(key: Any) -> None:
    assert read_bundle(raw({"publicKey": key})).hint == ""


@pytest.mark.parametrize(
    "material",
    [
        {"certificate": {"rawBytes": DER}},
        {"x509CertificateChain": {"certificates": [{"rawBytes": DER}]}},
    ],
)
def test_certificates_stand_in_either_field(material: object) -> None:
    assert read_bundle(raw(material)).certificates == (b"certificate",)


def test_a_signature_over_other_bytes() -> None:
    message = {"messageDigest": {"algorithm": "MD5", "digest": "AA=="}, "signature": "c2ln"}
    bundle = read_bundle(raw(messageSignature=message, dsseEnvelope=None))
    assert (bundle.envelope, bundle.message) == (None, b"sig")


def test_timestamps_are_read() -> None:
    data = {"rfc3161Timestamps": [{"signedTimestamp": "MQ=="}, {"signedTimestamp": "Mg=="}]}
    material = {"publicKey": {}, "timestampVerificationData": data}
    assert read_bundle(raw(material)).timestamps == (b"1", b"2")


def test_unknown_fields_and_null_are_ignored() -> None:
    material = {
        "publicKey": {"hint": "h", "x": 1},
        "certificate": None,
        "tlogEntries": None,
        "y": 2,
    }
    assert read_bundle(raw()) == read_bundle(raw(material, messageSignature=None, z=[3]))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"media_type": V3}, "media_type"),
        ({"dsse_envelope": ENVELOPE}, "dsse_envelope"),
        ({"message_signature": {}}, "message_signature"),
        ({"verification_material": {}}, "verification_material"),
        ({"material": {"publicKey": {}, "public_key": {}}}, "public_key"),
        ({"material": {"publicKey": {}, "tlog_entries": []}}, "tlog_entries"),
        ({"material": {"certificate": {"raw_bytes": DER}}}, "raw_bytes"),
        ({"dsseEnvelope": {**ENVELOPE, "payload_type": "x"}}, "payload_type"),
    ],
)
def test_a_second_spelling_of_a_field_is_refused(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(Malformed, match=f"has the field {name}"):
        read_bundle(raw(**fields))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"dsseEnvelope": None}, "needs one of dsseEnvelope and messageSignature"),
        ({"messageSignature": {"signature": "AA=="}}, "needs one of dsseEnvelope"),
        ({"verificationMaterial": None}, "has no verificationMaterial"),
        ({"verificationMaterial": []}, "verificationMaterial is not an object"),
        ({"dsseEnvelope": []}, "dsseEnvelope is not an object"),
        ({"material": {}}, "needs one of publicKey"),
        ({"material": {"publicKey": {}, "certificate": {}}}, "needs one of publicKey"),
        ({"material": {"publicKey": {"hint": 1}}}, "hint"),
        ({"material": {"publicKey": {"hint": "h" * 1025}}}, "hint"),
        ({"material": {"certificate": {}}}, "rawBytes: is not base64"),
        ({"material": {"certificate": {"rawBytes": "A" * 100_000}}}, "rawBytes has 75000 bytes"),
        ({"material": {"x509CertificateChain": {"certificates": []}}}, "empty chain"),
        ({"material": {"x509CertificateChain": {"certificates": [{}] * 11}}}, "11 certificates"),
        ({"material": {"publicKey": {}, "tlogEntries": {}}}, "not a list of objects"),
        ({"material": {"publicKey": {}, "tlogEntries": ["x"]}}, "not a list of objects"),
        ({"material": {"publicKey": {}, "tlogEntries": [{}] * 33}}, "33 tlogEntries"),
        ({"dsseEnvelope": {**ENVELOPE, "signatures": [{"sig": "AA=="}] * 2}}, "has 2 signatures"),
        ({"DsseEnvelope": {}}, "differ only in case"),
    ],
)
def test_what_is_no_bundle_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read_bundle(raw(**fields))


@pytest.mark.parametrize("text", [b"", b"[]", b"3", b"{}", b"{" * 100])
def test_what_is_no_object_is_refused(text: Any) -> None:
    with pytest.raises(Malformed):
        read_bundle(text)


def test_what_is_written_is_what_cosign_3_writes_without_its_spaces() -> None:
    expected = (
        b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",'
        b'"verificationMaterial":{"publicKey":{"hint":"h"}},'
        b'"dsseEnvelope":{"payload":"e30=","payloadType":"application/x",'
        b'"signatures":[{"sig":"c2ln"}]}}'
    )
    assert expected == write_bundle("application/x", b"{}", b"sig", {"publicKey": {"hint": "h"}})
