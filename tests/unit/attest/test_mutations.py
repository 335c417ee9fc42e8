"""Whatever is changed in what a key signed is refused, or yields the identical proof.

Hints, JSON's white space, annotations of layers and an ECDSA signature's `s` are not authenticated:
more than that cannot be promised.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.attest.errors import EvidenceError
from retinue.attest.proof import Proof
from retinue.attest.sign import sign_envelope, sign_simple, signature_statement
from retinue.attest.verify import verify_bundle, verify_envelope, verify_simple
from retinue.oci import names
from signing import MANIFEST, anchored, bundle, edited, message_bundle, target
from trust_vectors import private

TARGET = target()
TRUST = anchored("p256", "other")
BUNDLE = bundle("p256", env="prod")
ENVELOPE = sign_envelope(signature_statement(TARGET.digest, {}), private("p256"))
SIMPLE = sign_simple(TARGET, "r/app", {"env": "prod"}, private("p256"))
MESSAGE = message_bundle(private("p256").sign((MANIFEST,)))

Judge = Callable[[bytes], Proof]


def of_bundle(raw: bytes) -> Proof:
    return verify_bundle(raw, TARGET, TRUST)


def of_envelope(raw: bytes) -> Proof:
    (proof,) = verify_envelope(raw, TARGET, TRUST)
    return proof


def of_payload(raw: bytes) -> Proof:
    return verify_simple(raw, SIMPLE.annotations, TARGET, TRUST)


def of_annotation(raw: bytes) -> Proof:
    annotations = {names.ANNOTATION_SIGNATURE: raw.decode("latin-1")}
    return verify_simple(SIMPLE.payload, annotations, TARGET, TRUST)


SIGNATURE = SIMPLE.annotations[names.ANNOTATION_SIGNATURE].encode()
CASES: Mapping[str, tuple[bytes, Judge]] = {
    "bundle": (BUNDLE, of_bundle),
    "message": (MESSAGE, of_bundle),
    "envelope": (ENVELOPE, of_envelope),
    "payload": (SIMPLE.payload, of_payload),
    "annotation": (SIGNATURE, of_annotation),
}
ALL = pytest.mark.parametrize("case", CASES)


def survives(raw: bytes, judge: Judge, whole: Proof) -> bool:
    """Whether it is proven; then nothing about the proof may have changed."""
    try:
        found = judge(raw)
    except EvidenceError:
        return False
    assert found == whole
    return True


@ALL
def test_every_flipped_bit(case: str) -> None:
    raw, judge = CASES[case]
    whole = judge(raw)
    for place, byte in enumerate(raw):
        bit = 1 << (place * 5) % 8
        survives(raw[:place] + bytes((byte ^ bit,)) + raw[place + 1 :], judge, whole)


@ALL
def test_every_byte_left_out(case: str) -> None:
    raw, judge = CASES[case]
    whole = judge(raw)
    for place in range(len(raw)):
        survives(raw[:place] + raw[place + 1 :], judge, whole)


@ALL
@given(data=st.data())
def test_any_edit(case: str, data: st.DataObject) -> None:
    raw, judge = CASES[case]
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 40)))
    pieces = st.sampled_from([raw[i : i + 16] for i in range(0, len(raw), 16)])
    put = data.draw(st.one_of(st.binary(max_size=24), pieces))
    survives(raw[:start] + put + raw[end:], judge, judge(raw))


@pytest.mark.parametrize("key", ["p256", "p384", "rsa2048", "ed25519"])
def test_every_byte_of_a_statement_is_signed(key: str) -> None:
    raw = bundle(key)
    trust = anchored(key)
    way = ("dsseEnvelope", "payload")
    statement = base64.b64decode(json.loads(raw)["dsseEnvelope"]["payload"])
    for place, byte in enumerate(statement):
        changed = statement[:place] + bytes((byte ^ 1,)) + statement[place + 1 :]
        again = edited(raw, *way, value=base64.b64encode(changed).decode())
        with pytest.raises(EvidenceError):
            verify_bundle(again, TARGET, trust)


@pytest.mark.parametrize("key", ["p256", "rsa2048", "ed25519"])
def test_every_byte_of_a_signature_counts(key: str) -> None:
    raw = bundle(key)
    trust = anchored(key)
    way = ("dsseEnvelope", "signatures", 0, "sig")
    signature = base64.b64decode(json.loads(raw)["dsseEnvelope"]["signatures"][0]["sig"])
    for place, byte in enumerate(signature):
        changed = signature[:place] + bytes((byte ^ 0x10,)) + signature[place + 1 :]
        again = edited(raw, *way, value=base64.b64encode(changed).decode())
        with pytest.raises(EvidenceError):
            verify_bundle(again, TARGET, trust)


@pytest.mark.parametrize("place", range(len(MANIFEST)))
def test_every_byte_of_the_manifest_is_signed(place: int) -> None:
    changed = MANIFEST[:place] + bytes((MANIFEST[place] ^ 1,)) + MANIFEST[place + 1 :]
    for raw in (BUNDLE, MESSAGE):
        with pytest.raises(EvidenceError):
            verify_bundle(raw, target(changed), TRUST)


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
WAYS: list[tuple[str | int, ...]] = [
    ("mediaType",),
    ("verificationMaterial",),
    ("verificationMaterial", "publicKey"),
    ("verificationMaterial", "publicKey", "hint"),
    ("verificationMaterial", "certificate"),
    ("verificationMaterial", "tlogEntries"),
    ("verificationMaterial", "timestampVerificationData"),
    ("dsseEnvelope",),
    ("dsseEnvelope", "payload"),
    ("dsseEnvelope", "payloadType"),
    ("dsseEnvelope", "signatures"),
    ("dsseEnvelope", "signatures", 0),
    ("dsseEnvelope", "signatures", 0, "sig"),
    ("dsseEnvelope", "signatures", 0, "keyid"),
    ("messageSignature",),
]


@given(way=st.sampled_from(WAYS), value=DOCUMENTS.filter(lambda value: value is not None))
def test_any_value_in_any_field(way: tuple[str | int, ...], value: Any) -> None:
    survives(edited(BUNDLE, *way, value=value), of_bundle, of_bundle(BUNDLE))


@given(st.binary(max_size=200))
def test_any_bytes_are_no_proof(raw: bytes) -> None:
    for judge in (of_bundle, of_envelope, of_payload, of_annotation):
        with pytest.raises(EvidenceError):
            judge(raw)
