"""Generic objects that are signed: anchored keys count, and nothing that the header says."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from builders import image, pointer
from retinue.attest.anchors import AnchorKey, KeyAnchor, Trust
from retinue.attest.errors import EvidenceError, Malformed, NoAnchor, Refused
from retinue.attest.formats import jws
from retinue.attest.formats.jwa import SCHEMES, from_der
from retinue.attest.keys.public import wrap
from retinue.attest.objects import verify_jws
from retinue.attest.proof import Format
from retinue.oci import names

P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
RSA = rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
SIGN: dict[str, tuple[Any, Callable[[bytes], bytes]]] = {
    "ES256": (P256, lambda m: _raw("ES256", P256.sign(m, ec.ECDSA(hashes.SHA256())))),
    "ES384": (P384, lambda m: _raw("ES384", P384.sign(m, ec.ECDSA(hashes.SHA384())))),
    "RS256": (RSA, lambda m: RSA.sign(m, padding.PKCS1v15(), hashes.SHA256())),
    "PS256": (RSA, lambda m: RSA.sign(m, PSS, hashes.SHA256())),
    "EdDSA": (ED, ED.sign),
}


def _raw(name: str, der: bytes) -> bytes:
    return from_der(SCHEMES[name], der)


def token(algorithm: str, *, typ: str | None = None, **header: Any) -> bytes:
    component = {"rtype": "reference", "descriptor": pointer(image())}
    payload = {
        "schemaVersion": 1,
        "mediaType": names.OCI_OBJECT_JWT,
        "objects": [{"type": names.OBJECT_POINTER, "version": "1", "components": [component]}],
    }
    typ = typ or names.OCI_OBJECT_JWT.removeprefix("application/")
    parts = ({"alg": algorithm, "typ": typ, **header}, payload)
    message = b".".join(jws.encode(json.dumps(part).encode()) for part in parts)
    return message + b"." + jws.encode(SIGN[algorithm][1](message))


def trusting(*keys: Any) -> Trust:
    return Trust(
        tuple(
            KeyAnchor(f"k{i}", (AnchorKey(wrap(key.public_key(), "test")),))
            for i, key in enumerate(keys)
        )
    )


@pytest.mark.parametrize("algorithm", SIGN)
def test_each_algorithm_verifies_with_its_key(algorithm: str) -> None:
    key = SIGN[algorithm][0]
    others = [other for other in (P256, P384, RSA, ED) if other is not key]

    proof = verify_jws(token(algorithm), trusting(*others, key))

    assert proof.format is Format.JWS
    assert proof.principal == "key:k3"
    assert proof.key == wrap(key.public_key(), "").fingerprint


def test_a_key_of_the_kind_that_did_not_sign_refuses() -> None:
    with pytest.raises(Refused):
        verify_jws(token("ES256"), trusting(ec.generate_private_key(ec.SECP256R1())))


def test_without_a_key_of_the_kind_there_is_no_anchor() -> None:
    with pytest.raises(NoAnchor, match="EdDSA"):
        verify_jws(token("EdDSA"), trusting(P256, RSA))


def test_a_key_in_the_header_counts_for_nothing() -> None:
    with pytest.raises(NoAnchor):
        verify_jws(token("ES256", jwk={"kty": "EC"}), Trust())


@pytest.mark.parametrize("change", [{"crit": ["x"]}, {"typ": "JWT"}])
def test_headers_that_are_not_understood(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        verify_jws(token("ES256", **change), trusting(P256))


def test_an_unsigned_token_is_malformed() -> None:
    header = jws.encode(b'{"alg":"none","typ":"vnd.oci.object.manifest.v1+jwt"}')
    with pytest.raises(Malformed):
        verify_jws(header + b"." + token("ES256").split(b".")[1] + b".", trusting(P256))


def test_every_changed_byte_is_refused() -> None:
    raw = token("EdDSA")
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 1
        with pytest.raises(EvidenceError):
            verify_jws(bytes(changed), trusting(ED))
