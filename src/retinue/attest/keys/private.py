"""Private keys in this process."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from retinue.attest.errors import KeyUnusable, SignerFailed
from retinue.attest.keys.key import Algorithm, PublicKey, Signer
from retinue.attest.keys.message import as_message
from retinue.attest.keys.public import CURVES, HASHES, PKCS1, PREHASHED, PURE_LIMIT, check, wrap

Private: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class LocalSigner:
    """What all signers here share."""

    public: PublicKey
    algorithm: Algorithm


@dataclass(frozen=True, slots=True)
class EcdsaSigner(LocalSigner):
    """Deterministic signatures (RFC 6979): the same paper signed again is the same paper."""

    key: ec.EllipticCurvePrivateKey = field(repr=False, compare=False)

    def sign(self, message: Iterable[bytes]) -> bytes:
        name = CURVES[self.key.curve.name][1][0]
        digest = as_message(message).digest(name)
        prehashed = Prehashed(HASHES[name])
        try:
            return self.key.sign(digest, ec.ECDSA(prehashed, deterministic_signing=True))
        except UnsupportedAlgorithm:  # OpenSSL before 3.2
            return self.key.sign(digest, ec.ECDSA(prehashed))


@dataclass(frozen=True, slots=True)
class RsaSigner(LocalSigner):
    """PKCS #1 v1.5 with SHA-256, which every tool reads."""

    key: rsa.RSAPrivateKey = field(repr=False, compare=False)

    def sign(self, message: Iterable[bytes]) -> bytes:
        return self.key.sign(as_message(message).digest("sha256"), PKCS1, PREHASHED)


@dataclass(frozen=True, slots=True)
class Ed25519Signer(LocalSigner):
    """Pure Ed25519: cosign signs with ph and verifies only this."""

    key: ed25519.Ed25519PrivateKey = field(repr=False, compare=False)

    def sign(self, message: Iterable[bytes]) -> bytes:
        whole = b"".join(message)
        if len(whole) > PURE_LIMIT:
            reason = f"pure Ed25519 signs {PURE_LIMIT} bytes at most, not {len(whole)}; use P-256"
            raise SignerFailed(f"key {self.public.fingerprint}", reason)
        return self.key.sign(whole)


def wrap_private(key: object, reference: str) -> Signer:
    """A `cryptography` key as ours; raises KeyUnusable for weak keys and for foreign kinds."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        public = wrap(key.public_key(), reference)
        return EcdsaSigner(public, CURVES[key.curve.name][0], key)
    if isinstance(key, rsa.RSAPrivateKey):
        return RsaSigner(wrap(key.public_key(), reference), Algorithm.RSA_PKCS1_SHA256, key)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return Ed25519Signer(wrap(key.public_key(), reference), Algorithm.ED25519, key)
    check(key, reference)
    raise KeyUnusable(reference, "is not a private key")


def load_der(der: bytes, reference: str) -> object:
    """PKCS #8 in DER, unencrypted; raises KeyUnusable."""
    try:
        return load_der_private_key(der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnusable(reference, "does not hold a private key in PKCS #8") from None


def pkcs8(key: Private) -> bytes:
    """DER, unencrypted: only to be sealed at once."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
