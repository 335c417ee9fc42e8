"""COSE envelopes of notation: headers are held to their rules in this form, too."""

from collections.abc import Mapping
from typing import Any

import pytest

from retinue.attest.errors import EvidenceError
from retinue.attest.formats import cbor, cose
from retinue.attest.formats.cbor import Tagged
from retinue.attest.formats.jwa import SCHEMES, from_der
from retinue.attest.keys.pem import load_private
from retinue.attest.notation import verify_notation
from retinue.attest.proof import Proof
from retinue.oci import names
from unit.attest.notary_vectors import read, target, trusting

SCHEME = "io.cncf.notary.signingScheme"
TIME = "io.cncf.notary.signingTime"
EXPIRY = "io.cncf.notary.expiry"


def dump(value: Any) -> bytes:
    """CBOR of what the envelopes are made of."""
    match value:
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return cbor.head(0, value) if value >= 0 else cbor.head(1, -1 - value)
        case bytes():
            return cbor.bytestring(value)
        case str():
            return cbor.textstring(value)
        case Tagged():
            return cbor.head(6, value.tag) + dump(value.value)
        case list():
            return cbor.head(4, len(value)) + b"".join(map(dump, value))
        case dict():
            pairs = (dump(name) + dump(item) for name, item in value.items())
            return cbor.head(5, len(value)) + b"".join(pairs)
    raise TypeError(type(value))


VECTOR = cose.read_sign1(read("P-256.cose"))


def signed(
    headers: Mapping[int | str, Any] | None = None,
    unprotected: Mapping[int | str, Any] | None = None,
    *,
    tag: int = 18,
    parts: int = 4,
) -> bytes:
    """A signature by the P-256 key like notation's; headers that are None are left out."""
    protected = {
        1: -7,
        2: [SCHEME],
        3: names.NOTATION_PAYLOAD,
        SCHEME: "notary.x509",
        TIME: Tagged(1, 1767225600),
        **(headers or {}),
    }
    encoded = dump({name: value for name, value in protected.items() if value is not None})
    message = dump(["Signature1", encoded, b"", VECTOR.payload])
    der = load_private(read("P-256.key"), None, "").sign((message,))
    found = {33: VECTOR.unprotected[33], **(unprotected or {})}
    found = {name: value for name, value in found.items() if value is not None}
    whole = [encoded, found, VECTOR.payload, from_der(SCHEMES["ES256"], der)]
    return dump(Tagged(tag, whole[:parts]))


def verify(raw: bytes) -> Proof:
    return verify_notation(raw, names.NOTATION_COSE, target(), trusting())


def test_such_an_envelope_verifies() -> None:
    assert verify(signed()).annotations == {"env": "prod"}


def test_an_expiry_is_read() -> None:
    proof = verify(signed({EXPIRY: Tagged(1, 1767225601), 2: [SCHEME, EXPIRY]}))

    assert proof.expires is not None
    assert proof.expires.timestamp() == 1767225601


@pytest.mark.parametrize(
    "headers",
    [
        {1: -8},  # EdDSA
        {1: -35},  # ES384 with a P-256 key
        {1: "ES256"},
        {1: None},
        {2: None},
        {2: SCHEME},
        {2: [SCHEME, "unknown"], "unknown": 1},
        {2: [SCHEME, 4]},
        {2: [SCHEME, True]},
        {3: None},
        {3: 50},
        {SCHEME: None},
        {TIME: None},
        {TIME: 1767225600},
        {TIME: Tagged(0, "2026-01-01T00:00:00Z")},
        {TIME: Tagged(1, "2026")},
        {TIME: Tagged(1, 1 << 60)},
        {EXPIRY: Tagged(1, 1767225601)},
        {EXPIRY: Tagged(1, 1767225600), 2: [SCHEME, EXPIRY]},
    ],
    ids=range(19),
)
def test_protected_headers_are_held_to_their_rules(headers: Mapping[int | str, Any]) -> None:
    with pytest.raises(EvidenceError):
        verify(signed(headers))


@pytest.mark.parametrize(
    "unprotected",
    [
        {33: None},
        {33: VECTOR.unprotected[33][0]},
        {33: []},
        {33: VECTOR.unprotected[33] * 4},
        {33: ["text"]},
        {1: -7},
        {"io.cncf.notary.timestampSignature": "text"},
        {"io.cncf.notary.timestampSignature": b"no token"},
    ],
    ids=range(8),
)
def test_unprotected_headers_that_are_wrong(unprotected: Mapping[int | str, Any]) -> None:
    with pytest.raises(EvidenceError):
        verify(signed(None, unprotected))


@pytest.mark.parametrize(("tag", "parts"), [(98, 4), (18, 3)])
def test_other_messages_are_malformed(tag: int, parts: int) -> None:
    with pytest.raises(EvidenceError, match="COSE_Sign1"):
        verify(signed(tag=tag, parts=parts))
