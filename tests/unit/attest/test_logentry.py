"""Kinds of entries: what each binds, and what is none."""

import hashlib
import json
from base64 import b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from retinue.attest.errors import Malformed, Refused
from retinue.attest.logentry import Hashes, body_kind, check_body, read_body

KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
DER = KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
PEM = KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
SIGNATURE = b"signature"
HASHES = Hashes((b"con", b"tent"), b"payload", b"envelope")


def text(raw: bytes) -> str:
    return b64encode(raw).decode()


def hexa(raw: bytes, algorithm: str = "sha256") -> dict[str, str]:
    return {"algorithm": algorithm, "value": hashlib.new(algorithm, raw).hexdigest()}


def new(raw: bytes) -> dict[str, str]:
    return {"algorithm": "SHA2_256", "digest": text(hashlib.sha256(raw).digest())}


VERIFIER = {"publicKey": {"rawBytes": text(DER)}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
SIGNED = {"content": text(SIGNATURE), "verifier": VERIFIER}
SPECS: dict[tuple[str, str], Any] = {
    ("hashedrekord", "0.0.1"): {
        "data": {"hash": hexa(b"content")},
        "signature": {"content": text(SIGNATURE), "publicKey": {"content": text(PEM)}},
    },
    ("hashedrekord", "0.0.2"): {"hashedRekordV002": {"data": new(b"content"), "signature": SIGNED}},
    ("dsse", "0.0.1"): {
        "envelopeHash": hexa(b"any"),
        "payloadHash": hexa(b"payload"),
        "signatures": [{"signature": text(SIGNATURE), "verifier": text(PEM)}],
    },
    ("dsse", "0.0.2"): {"dsseV002": {"payloadHash": new(b"payload"), "signatures": [SIGNED]}},
    ("intoto", "0.0.1"): {
        "content": {"hash": hexa(b"envelope"), "payloadHash": hexa(b"payload")},
        "publicKey": text(PEM),
    },
    ("intoto", "0.0.2"): {
        "content": {
            "envelope": {
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"sig": text(text(SIGNATURE).encode()), "publicKey": text(PEM)}],
            },
            "payloadHash": hexa(b"payload"),
        }
    },
}
KINDS = sorted(SPECS)


def body(kind: tuple[str, str], spec: Any = None) -> bytes:
    found = SPECS[kind] if spec is None else spec
    return json.dumps({"kind": kind[0], "apiVersion": kind[1], "spec": found}).encode()


def check(
    kind: tuple[str, str],
    signature: bytes = SIGNATURE,
    key: bytes = DER,
    hashes: Hashes = HASHES,
) -> None:
    check_body(read_body(body(kind), *kind), signature, key, hashes)


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_is_of_what_it_says(kind: tuple[str, str]) -> None:
    check(kind)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != ("intoto", "0.0.1")])
def test_an_entry_is_of_one_signature(kind: tuple[str, str]) -> None:
    with pytest.raises(Refused, match="another signature"):
        check(kind, signature=b"other")


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_is_of_one_key(kind: tuple[str, str]) -> None:
    with pytest.raises(Refused, match="another key"):
        check(kind, key=b"other")


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_is_of_one_content(kind: tuple[str, str]) -> None:
    with pytest.raises(Refused, match="is of another"):
        check(kind, hashes=Hashes((b"x",), b"x", b"x"))


@pytest.mark.parametrize("kind", [k for k in KINDS if k[0] != "hashedrekord"])
def test_an_entry_of_an_envelope_needs_one(kind: tuple[str, str]) -> None:
    with pytest.raises(Refused, match="there is none"):
        check(kind, hashes=Hashes((b"content",)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_that_binds_is_needed(kind: tuple[str, str]) -> None:
    said = read_body(body(kind), *kind)
    for spec in without_one(SPECS[kind]):
        try:
            assert read_body(body(kind, spec), *kind) == said
        except Malformed:
            continue


def without_one(value: Any) -> list[Any]:
    """The value without one of its fields, each in turn, at any depth."""
    if isinstance(value, list):
        return [[], value * 2, *([changed] for changed in without_one(value[0]))]
    if not isinstance(value, dict):
        return [None, 5, "\u00e9"]
    found: list[Any] = []
    for name, inner in value.items():
        rest = {other: kept for other, kept in value.items() if other != name}
        found += [rest, *({**rest, name: changed} for changed in without_one(inner))]
    return found


def test_the_kind_is_what_it_is_said_to_be() -> None:
    with pytest.raises(Refused, match="is said to be"):
        read_body(body(("dsse", "0.0.1")), "hashedrekord", "0.0.1")


def test_a_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(Refused, match="not known"):
        read_body(body(("rpm", "0.0.1"), {}), "rpm", "0.0.1")


def test_a_body_names_its_kind() -> None:
    assert body_kind(body(("dsse", "0.0.2"))) == ("dsse", "0.0.2")


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"kind":"dsse"}', b'{"kind":"a","kind":"b"}'])
def test_what_is_no_body_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        read_body(raw, "dsse", "0.0.1")
    with pytest.raises(Malformed):
        body_kind(raw)


def test_a_huge_body_is_malformed() -> None:
    with pytest.raises(Malformed, match="larger"):
        read_body(b" " * (5 << 20), "dsse", "0.0.1")


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_an_entry_may_name_larger_hashes(algorithm: str) -> None:
    spec = {**SPECS["hashedrekord", "0.0.1"], "data": {"hash": hexa(b"content", algorithm)}}
    kind = "hashedrekord", "0.0.1"

    check_body(read_body(body(kind, spec), *kind), SIGNATURE, DER, HASHES)


@pytest.mark.parametrize("algorithm", ["sha1", "md5", ""])
def test_a_weak_hash_is_malformed(algorithm: str) -> None:
    found = {"algorithm": algorithm, "value": "00" * 20}
    spec = {**SPECS["hashedrekord", "0.0.1"], "data": {"hash": found}}
    kind = "hashedrekord", "0.0.1"

    with pytest.raises(Malformed, match="hash"):
        read_body(body(kind, spec), *kind)


@pytest.mark.parametrize("pem", [b"", b"x", PEM + PEM, b"-----BEGIN PRIVATE KEY-----\nAA==\n"])
def test_a_verifier_is_one_certificate_or_public_key(pem: bytes) -> None:
    signature = {"content": text(SIGNATURE), "publicKey": {"content": text(pem)}}
    spec = {**SPECS["hashedrekord", "0.0.1"], "signature": signature}
    kind = "hashedrekord", "0.0.1"

    with pytest.raises(Malformed):
        read_body(body(kind, spec), *kind)
