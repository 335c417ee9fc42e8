"""trusted_root.json: what is read, and what is refused, by the name of the field."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keylesskit import START, URL, Local, dev, stack_folder, stack_state
from retinue.attest.logkey import load_log_key
from retinue.attest.root import Period, RootInvalid, read_root

__all__ = ["dev", "stack_folder", "stack_state"]

SECOND = timedelta(seconds=1)


def document(dev: Local) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(dev.document("trusted_root.json"))
    return value


def test_a_root_names_all_that_vouch(dev: Local) -> None:
    root = dev.root

    assert [log.name for log in root.logs] == [URL, URL]
    assert [log.host for log in root.logs] == ["127.0.0.1", "127.0.0.1"]
    assert [len(a.chain) for a in (*root.authorities, *root.timestamps)] == [2, 2]
    assert [log.period for log in root.ct_logs] == [Period(START, None)]


def test_its_digest_is_that_of_the_file(dev: Local) -> None:
    raw = dev.document("trusted_root.json")

    assert read_root(raw).digest != read_root(raw + b"\n").digest
    assert read_root(raw) == read_root(raw)


def test_a_period_includes_both_ends() -> None:
    period = Period(START, START + SECOND)

    inside = [period.covers(START + SECOND * n) for n in (-1, 0, 1, 2)]

    assert inside == [False, True, True, False]


def test_an_open_period_covers_everything() -> None:
    assert Period(None, None).covers(datetime(1, 1, 1, tzinfo=UTC))


def test_a_log_with_a_key_of_the_future_is_left_out(dev: Local) -> None:
    value = document(dev)
    value["tlogs"][0]["publicKey"]["keyDetails"] = "ML_DSA_65"

    assert len(read_root(json.dumps(value).encode()).logs) == 1


@pytest.mark.parametrize(
    ("path", "to", "field"),
    [
        ("mediaType", "application/json", "mediaType"),
        ("tlogs", {}, "tlogs"),
        ("tlogs.0", [], "tlogs[0]"),
        ("tlogs.0.hashAlgorithm", "SHA2_512", "tlogs[0].hashAlgorithm"),
        ("tlogs.0.publicKey.rawBytes", "!", "tlogs[0].publicKey.rawBytes"),
        ("tlogs.0.publicKey.rawBytes", "AAAA", "tlogs[0].publicKey"),
        ("tlogs.0.publicKey.keyDetails", "PKIX_ED25519", "tlogs[0].publicKey"),
        ("tlogs.1.publicKey.keyDetails", "PKIX_ECDSA_P256_SHA_256", "tlogs[1].publicKey"),
        ("tlogs.0.publicKey.validFor", None, "tlogs[0].publicKey.validFor.start"),
        ("tlogs.0.publicKey.validFor.start", "never", "tlogs[0].publicKey.validFor.start"),
        ("tlogs.0.publicKey.validFor.start", "2026-01-01T00:00:00",
         "tlogs[0].publicKey.validFor.start"),
        ("tlogs.0.publicKey.validFor.end", 5, "tlogs[0].publicKey.validFor.end"),
        ("tlogs.0.logId.keyId", "", "tlogs[0].logId.keyId"),
        ("tlogs.0.logId", None, "tlogs[0].logId"),
        ("tlogs.0.baseUrl", "http://[", "baseUrl"),
        ("certificateAuthorities.0.certChain.certificates", [],
         "certificateAuthorities[0].certChain"),
        ("certificateAuthorities.0.certChain.certificates.0.rawBytes", "AAAA",
         "certificateAuthorities[0].certChain.certificates[0].rawBytes"),
        ("timestampAuthorities.0.certChain", None, "timestampAuthorities[0].certChain"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(dev: Local, path: str, to: Any, field: str) -> None:
    value: Any = document(dev)
    top, (*way, last) = value, path.split(".")
    for step in way:
        value = value[int(step) if step.isdigit() else step]
    value[int(last) if last.isdigit() else last] = to

    with pytest.raises(RootInvalid) as caught:
        read_root(json.dumps(top).encode())

    assert caught.value.field == field


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"a":1,"a":2}', b"\xff"])
def test_what_is_no_root_is_refused(raw: bytes) -> None:
    with pytest.raises(RootInvalid):
        read_root(raw)


def test_an_unnamed_authority_is_called_by_its_root(dev: Local) -> None:
    value = document(dev)
    del value["certificateAuthorities"][0]["uri"]

    (authority,) = read_root(json.dumps(value).encode()).authorities

    assert authority.name == "CN=retinue dev root,O=retinue dev stack"


def test_rsa_keys_of_logs_are_read_in_both_forms_and_not_weak() -> None:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key()
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pkcs1 = public.public_bytes(Encoding.DER, PublicFormat.PKCS1)

    new = load_log_key(spki, "PKIX_RSA_PKCS1V15_2048_SHA256")
    old = load_log_key(pkcs1, "PKCS1_RSA_PKCS1V5")

    assert new == old
    weak = rsa.generate_private_key(65537, 1024).public_key()
    raw = weak.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ValueError, match="too weak"):
        load_log_key(raw, "PKIX_RSA_PKCS1V15_2048_SHA256")


def test_a_key_of_a_foreign_curve_is_refused() -> None:
    public = ec.generate_private_key(ec.SECP384R1()).public_key()
    raw = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    assert load_log_key(raw, "PKIX_ECDSA_P384_SHA_384") is not None
    with pytest.raises(ValueError, match="P256"):
        load_log_key(raw, "PKIX_ECDSA_P256_SHA_256")


def test_a_log_key_checks_one_signature(dev: Local) -> None:
    log = dev.stack.logs[0]
    key = dev.root.logs[0].key

    assert key.verify(log._sign(b"message"), b"message")
    assert not key.verify(log._sign(b"message"), b"another")
    assert not key.verify(b64encode(b"no signature"), b"message")
