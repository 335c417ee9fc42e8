"""The algorithms of JOSE and COSE that count here, each fitting exactly one kind of key.

RFC 7518 section 3 and RFC 9053 sections 2 and 4; both write an ECDSA signature as r and s, each as
long as the curve's order, and salt PSS with as many bytes as the hash has.
"""

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import load_der_public_key
from msgspec import Struct

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192


class Scheme(Struct, frozen=True):
    """`curve` and `coordinate` (bytes of r, and of s) are those of ECDSA; `hash` is None for EdDSA.

    `rsa_bits` is the one modulus size that the Notary Project uses the scheme with.
    """

    name: str
    hash: hashes.HashAlgorithm | None
    curve: str | None = None
    coordinate: int = 0
    pss: bool = False
    rsa_bits: int = 0


SCHEMES: Mapping[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme("ES256", hashes.SHA256(), "secp256r1", 32),
        Scheme("ES384", hashes.SHA384(), "secp384r1", 48),
        Scheme("ES512", hashes.SHA512(), "secp521r1", 66),
        Scheme("PS256", hashes.SHA256(), pss=True, rsa_bits=2048),
        Scheme("PS384", hashes.SHA384(), pss=True, rsa_bits=3072),
        Scheme("PS512", hashes.SHA512(), pss=True, rsa_bits=4096),
        Scheme("RS256", hashes.SHA256()),
        Scheme("EdDSA", None),
    )
}


def load(spki: bytes) -> PublicKeyTypes | None:
    """The key of a DER SubjectPublicKeyInfo, None for a kind that nothing here knows."""
    try:
        return load_der_public_key(spki)
    except UnsupportedAlgorithm:
        return None


def fits(scheme: Scheme, key: PublicKeyTypes) -> bool:
    """Whether a key of this kind signs with this scheme at all."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.name == scheme.curve
    if isinstance(key, ed25519.Ed25519PublicKey):
        return scheme.hash is None
    if isinstance(key, rsa.RSAPublicKey):
        named = scheme.curve is None and scheme.hash is not None
        return named and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
    return False


def notary_scheme(key: PublicKeyTypes) -> Scheme | None:
    """The only scheme that the Notary Project lets this key use ("Algorithm Selection")."""
    size = key.key_size if isinstance(key, rsa.RSAPublicKey) else 0
    for scheme in SCHEMES.values():
        if scheme.hash is not None and fits(scheme, key) and scheme.rsa_bits == size:
            return scheme
    return None


def verifies(scheme: Scheme, key: PublicKeyTypes, signature: bytes, message: bytes) -> bool:
    """Whether the key, used as the scheme says, made this signature. Unfit keys never did."""
    if not fits(scheme, key):
        return False
    try:
        _verify(scheme, key, signature, message)
    except InvalidSignature:
        return False
    return True


def _verify(scheme: Scheme, key: PublicKeyTypes, signature: bytes, message: bytes) -> None:
    if isinstance(key, ec.EllipticCurvePublicKey):
        assert scheme.hash is not None
        key.verify(to_der(scheme, signature), message, ec.ECDSA(scheme.hash))
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, message)
    elif isinstance(key, rsa.RSAPublicKey):
        assert scheme.hash is not None
        key.verify(signature, message, _padding(scheme), scheme.hash)


def _padding(scheme: Scheme) -> padding.AsymmetricPadding:
    if not scheme.pss:
        return padding.PKCS1v15()
    assert scheme.hash is not None
    return padding.PSS(padding.MGF1(scheme.hash), padding.PSS.DIGEST_LENGTH)


def to_der(scheme: Scheme, signature: bytes) -> bytes:
    """r and s side by side, as DER has them; raises InvalidSignature for another length."""
    if len(signature) != 2 * scheme.coordinate:
        raise InvalidSignature
    r = int.from_bytes(signature[: scheme.coordinate])
    s = int.from_bytes(signature[scheme.coordinate :])
    return encode_dss_signature(r, s)


def from_der(scheme: Scheme, signature: bytes) -> bytes:
    """What a signer returns, as JOSE and COSE write it."""
    if scheme.curve is None:
        return signature
    return b"".join(n.to_bytes(scheme.coordinate) for n in decode_dss_signature(signature))
