"""COSE_Sign1, tagged (RFC 9052 section 4.2): one signature with protected and unprotected headers."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from retinue.attest.errors import Malformed
from retinue.attest.formats import cbor
from retinue.attest.formats.cbor import Tagged

SIGN1_TAG = 18
LABEL_ALGORITHM = 1
LABEL_CRITICAL = 2
LABEL_CONTENT_TYPE = 3
LABEL_X5CHAIN = 33
ALGORITHMS = {
    -7: "ES256",
    -35: "ES384",
    -36: "ES512",
    -37: "PS256",
    -38: "PS384",
    -39: "PS512",
}
"""IANA's COSE algorithms, by their JOSE names."""

Header = Mapping[int | str, Any]


class Sign1(Struct, frozen=True):
    """`message` is the encoded Sig_structure, which the signature is over."""

    protected: Header
    unprotected: Header
    payload: bytes
    signature: bytes
    message: bytes


def read_sign1(raw: bytes) -> Sign1:
    """Raises Malformed. A payload that is detached (nil) is not read."""
    value = cbor.loads(raw)
    if type(value) is not Tagged or value.tag != SIGN1_TAG:
        raise Malformed("envelope", f"is no COSE_Sign1 (tag {SIGN1_TAG})")
    parts = value.value
    if type(parts) is not list or len(parts) != 4:
        raise Malformed("envelope", "COSE_Sign1 is an array of four")
    encoded, unprotected, payload, signature = parts
    for name, part in (("protected", encoded), ("payload", payload), ("signature", signature)):
        if type(part) is not bytes or not part:
            raise Malformed(name, "must be a byte string, and not empty")
    protected = _header(cbor.loads(encoded), "protected header")
    unprotected = _header(unprotected, "unprotected header")
    if shared := protected.keys() & unprotected.keys():
        raise Malformed("unprotected header", f"{min(map(str, shared))!r:.80} is protected, too")
    return Sign1(protected, unprotected, payload, signature, _signed(encoded, payload))


def _header(value: Any, part: str) -> Header:
    if type(value) is not dict:
        raise Malformed(part, "must be a map")
    return value


def _signed(protected: bytes, payload: bytes) -> bytes:
    """RFC 9052 section 4.4, without external data."""
    parts = (
        cbor.textstring("Signature1"),
        cbor.bytestring(protected),
        cbor.bytestring(b""),
        cbor.bytestring(payload),
    )
    return cbor.head(4, len(parts)) + b"".join(parts)
