"""A timestamp authority: RFC 3161 over HTTP (3.4)."""

import hashlib
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import random_serial_number
from msgspec import Struct

from retinue.attest import der
from retinue.attest.errors import Malformed
from retinue.devstack.encode import element, integer, null, octets, oid, sequence, set_of, time
from retinue.devstack.errors import NotGiven
from retinue.devstack.state import State

_POLICY = "1.3.6.1.4.1.57264.2"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_SIZES = {_SHA256: 32, "2.16.840.1.101.3.4.2.2": 48, "2.16.840.1.101.3.4.2.3": 64}
_ECDSA_SHA256 = "1.2.840.10045.4.3.2"
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"


class Query(Struct, frozen=True):
    """`imprint` is the request's own element, which the answer repeats."""

    imprint: bytes
    nonce: bytes
    certificates: bool


def read_query(raw: bytes) -> Query:
    """A TimeStampReq. Raises NotGiven."""
    try:
        outer = der.Reader(raw, "timestamp query")
        query = outer.inside(der.SEQUENCE)
        outer.end()
        query.integer()
        imprint = query.take(der.SEQUENCE)
        _check_imprint(query.within(imprint))
        query.maybe(der.OID)
        nonce = query.maybe(der.INTEGER)
        wants = query.maybe(der.BOOLEAN)
    except Malformed as error:
        raise NotGiven(400, str(error)) from None
    return Query(imprint.raw, nonce.raw if nonce else b"", wants is not None and any(wants.content))


def _check_imprint(imprint: der.Reader) -> None:
    algorithm = imprint.inside(der.SEQUENCE).oid()
    if len(imprint.octets()) != _SIZES.get(algorithm):
        raise NotGiven(400, "only SHA-256, SHA-384 and SHA-512 are stamped")


def stamp(state: State, raw: bytes, now: datetime) -> bytes:
    """A TimeStampResp for a TimeStampReq. Raises NotGiven."""
    query = read_query(raw)
    info = sequence(
        integer(1),
        oid(_POLICY),
        query.imprint,
        integer(random_serial_number()),
        time(now.astimezone(UTC)),
        query.nonce,
    )
    granted = sequence(integer(0))
    return sequence(granted, _token(state, info, certificates=query.certificates))


def _token(state: State, info: bytes, *, certificates: bool) -> bytes:
    sha256 = sequence(oid(_SHA256), null())
    members = (state.time, state.time_root)
    chain = sorted(m.certificate.public_bytes(Encoding.DER) for m in members)
    data = sequence(
        integer(3),
        set_of(sha256),
        sequence(oid(_TST_INFO), element(0xA0, octets(info))),
        element(0xA0, *chain) if certificates else b"",
        set_of(_signer(state, info, sha256)),
    )
    return sequence(oid(_SIGNED_DATA), element(0xA0, data))


def _signer(state: State, info: bytes, sha256: bytes) -> bytes:
    certificate = state.time.certificate
    raw = certificate.public_bytes(Encoding.DER)
    identifier = sequence(sequence(sequence(octets(hashlib.sha256(raw).digest()))))
    attributes = set_of(
        _attribute(_CONTENT_TYPE, oid(_TST_INFO)),
        _attribute(_MESSAGE_DIGEST, octets(hashlib.sha256(info).digest())),
        _attribute(_SIGNING_CERTIFICATE_V2, identifier),
    )
    signature = state.time.key.sign(attributes, ec.ECDSA(hashes.SHA256()))
    return sequence(
        integer(1),
        sequence(certificate.issuer.public_bytes(), integer(certificate.serial_number)),
        sha256,
        b"\xa0" + attributes[1:],
        sequence(oid(_ECDSA_SHA256)),
        octets(signature),
    )


def _attribute(kind: str, value: bytes) -> bytes:
    return sequence(oid(kind), set_of(value))
