"""Keys of logs: they check one signature in one way, which the trusted root names."""

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from msgspec import Struct

_Public: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

_PUBLIC = (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, rsa.RSAPublicKey)
_MIN_RSA = 2048


class LogKey(Struct, frozen=True, eq=False):
    """`spki` is DER. `raw` is the point of an Ed25519 key, which checkpoints hash; else empty."""

    spki: bytes
    raw: bytes
    _public: _Public
    _hash: hashes.HashAlgorithm

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LogKey) and self.spki == other.spki

    def __hash__(self) -> int:
        return hash(self.spki)

    def verify(self, signature: bytes, message: bytes) -> bool:
        try:
            if isinstance(self._public, ed25519.Ed25519PublicKey):
                self._public.verify(signature, message)
            elif isinstance(self._public, rsa.RSAPublicKey):
                self._public.verify(signature, message, padding.PKCS1v15(), self._hash)
            else:
                self._public.verify(signature, message, ec.ECDSA(self._hash))
        except InvalidSignature:
            return False
        return True

    @property
    def key_id(self) -> bytes:
        """What logs of the first version, and of certificates, name themselves by (RFC 6962)."""
        return hashlib.sha256(self.spki).digest()


def _pkcs1(raw: bytes) -> bytes:
    """PKCS#1 to SubjectPublicKeyInfo."""
    key = serialization.load_pem_public_key(_pem(raw))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)


def _pem(raw: bytes) -> bytes:
    from base64 import encodebytes

    name = b"RSA PUBLIC KEY-----\n"
    return b"-----BEGIN " + name + encodebytes(raw) + b"-----END " + name


def _same(raw: bytes) -> bytes:
    return raw


_KINDS: Mapping[str, tuple[type, hashes.HashAlgorithm, Callable[[bytes], bytes]]] = {
    "PKIX_ECDSA_P256_SHA_256": (ec.SECP256R1, hashes.SHA256(), _same),
    "PKIX_ECDSA_P384_SHA_384": (ec.SECP384R1, hashes.SHA384(), _same),
    "PKIX_ECDSA_P521_SHA_512": (ec.SECP521R1, hashes.SHA512(), _same),
    "PKIX_ED25519": (ed25519.Ed25519PublicKey, hashes.SHA512(), _same),
    "PKIX_RSA_PKCS1V15_2048_SHA256": (rsa.RSAPublicKey, hashes.SHA256(), _same),
    "PKIX_RSA_PKCS1V15_3072_SHA256": (rsa.RSAPublicKey, hashes.SHA256(), _same),
    "PKIX_RSA_PKCS1V15_4096_SHA256": (rsa.RSAPublicKey, hashes.SHA256(), _same),
    "PKCS1_RSA_PKCS1V5": (rsa.RSAPublicKey, hashes.SHA256(), _pkcs1),
}
"""sigstore_common.proto, PublicKeyDetails: what the key is, its hash, and how it is written."""


def load_log_key(raw: bytes, details: str) -> LogKey | None:
    """A key as a trusted root writes it. None: a kind that is not known here.

    Raises ValueError: not a key, or not of the kind that `details` says, or too weak.
    """
    if details not in _KINDS:
        return None
    kind, digest, convert = _KINDS[details]
    try:
        spki = convert(raw)
        public = serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"not a public key: {error}") from error
    if isinstance(public, ec.EllipticCurvePublicKey):
        fits = isinstance(public.curve, kind)
    else:
        fits = isinstance(public, kind)
    if not fits or not isinstance(public, _PUBLIC):
        raise ValueError(f"the key is not {details}")
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < _MIN_RSA:
        raise ValueError(f"an RSA key of {public.key_size} bits is too weak")
    point = public.public_bytes_raw() if isinstance(public, ed25519.Ed25519PublicKey) else b""
    return LogKey(spki, point, public, digest)
