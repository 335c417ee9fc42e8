"""Keys of those who may read an image: RSA, or EC on NIST's curves, in PEM."""

from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from retinue.crypt.errors import RecipientUnusable

Recipient: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
"""Who is encrypted for."""
Opener: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""Who decrypts."""

MAX_PEM = 64 * 1024
RSA_BITS = (2048, 8192)
CURVES = ("secp256r1", "secp384r1", "secp521r1")


def load_recipient(pem: bytes, reference: str) -> Recipient:
    """A public key or a certificate; raises RecipientUnusable."""
    _check_size(pem, reference)
    try:
        if b"-----BEGIN CERTIFICATE-----" in pem:
            key: object = x509.load_pem_x509_certificate(pem).public_key()
        else:
            key = load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = "a private key; give the public one" if b"PRIVATE KEY" in pem else "no public key"
        raise RecipientUnusable(reference, f"holds {private} (PEM)") from None
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        _check_kind(key, reference)
        return key
    raise RecipientUnusable(reference, f"is of the kind {type(key).__name__}; use RSA or P-256")


def opener_of(key: object, reference: str) -> Opener:
    """A private key that can decrypt; raises RecipientUnusable."""
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        _check_kind(key.public_key(), reference)
        return key
    raise RecipientUnusable(reference, f"is of the kind {type(key).__name__}; use RSA or EC")


def _check_size(pem: bytes, reference: str) -> None:
    if len(pem) > MAX_PEM:
        raise RecipientUnusable(reference, f"{len(pem)} bytes are more than {MAX_PEM}")


def _check_kind(key: Recipient, reference: str) -> None:
    least, most = RSA_BITS
    if isinstance(key, rsa.RSAPublicKey) and not least <= key.key_size <= most:
        raise RecipientUnusable(reference, f"is RSA of {key.key_size} bits, not {least} to {most}")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in CURVES:
        raise RecipientUnusable(reference, f"is on the curve {key.curve.name}; use P-256")
