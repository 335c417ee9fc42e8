"""What a key is to the rest: it signs, or it checks. Where it lives, the other files here know."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol


class Algorithm(StrEnum):
    """How a key signs. The name says key and hash; `ED25519` signs the message itself."""

    ECDSA_P256_SHA256 = "ecdsa-p256-sha256"
    ECDSA_P384_SHA384 = "ecdsa-p384-sha384"
    ECDSA_P521_SHA512 = "ecdsa-p521-sha512"
    RSA_PKCS1_SHA256 = "rsa-pkcs1v15-sha256"
    RSA_PSS_SHA256 = "rsa-pss-sha256"
    RSA_PSS_SHA384 = "rsa-pss-sha384"
    RSA_PSS_SHA512 = "rsa-pss-sha512"
    ED25519 = "ed25519"


class PublicKey(Protocol):
    """A public key that checks signatures.

    `spki` is DER (RFC 5280 SubjectPublicKeyInfo); `fingerprint` is `sha256:<hex>` of it.
    """

    @property
    def spki(self) -> bytes: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def pem(self) -> bytes: ...

    def verify(self, signature: bytes, message: Iterable[bytes]) -> bool:
        """Whether this key made this signature over the concatenated parts.

        Every hash that real tools use with this kind of key is accepted (trust.md: P-384 and P-521
        with SHA-256, Ed25519ph). Large messages come in parts and are hashed as they come; pure
        Ed25519 needs them whole and refuses more than 16 MiB (returns False for none of them:
        raises EvidenceError).
        """
        ...


class Signer(Protocol):
    """Something that holds a private key, here or far away."""

    @property
    def public(self) -> PublicKey: ...

    @property
    def algorithm(self) -> Algorithm: ...

    def sign(self, message: Iterable[bytes]) -> bytes:
        """The signature over the concatenated parts: DER for ECDSA. Raises SignerFailed."""
        ...
