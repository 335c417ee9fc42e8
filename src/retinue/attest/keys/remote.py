"""Keys that live elsewhere: only hashes go there, only signatures come back."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from retinue.attest.errors import KeyUnusable, SignerFailed
from retinue.attest.keys.key import Algorithm, PublicKey
from retinue.attest.keys.message import as_message
from retinue.attest.keys.public import CURVES, PURE_LIMIT, EcdsaKey, Ed25519Key, RsaKey

HASHES: Mapping[Algorithm, str] = {
    Algorithm.ECDSA_P256_SHA256: "sha256",
    Algorithm.ECDSA_P384_SHA384: "sha384",
    Algorithm.ECDSA_P521_SHA512: "sha512",
    Algorithm.RSA_PKCS1_SHA256: "sha256",
    Algorithm.RSA_PSS_SHA256: "sha256",
    Algorithm.RSA_PSS_SHA384: "sha384",
    Algorithm.RSA_PSS_SHA512: "sha512",
}
"""What of the message goes to the key; all of it for Ed25519, which is not among them."""

RSA = frozenset(algorithm for algorithm in Algorithm if algorithm.startswith("rsa-"))


@dataclass(frozen=True, slots=True)
class RemoteSigner:
    """`send(algorithm, data)` asks for a signature of a hash (for Ed25519, of the message): DER for
    ECDSA. It raises SignerFailed. `offered` is what the key can be asked for."""

    reference: str
    public: PublicKey
    algorithm: Algorithm
    offered: frozenset[Algorithm]
    send: Callable[[Algorithm, bytes], bytes] = field(repr=False, compare=False)

    def sign(self, message: Iterable[bytes]) -> bytes:
        if self.algorithm is Algorithm.ED25519:
            return self.send(self.algorithm, self._whole(message))
        digest = as_message(message).digest(HASHES[self.algorithm])
        return self.send(self.algorithm, digest)

    def _whole(self, message: Iterable[bytes]) -> bytes:
        whole = b"".join(message)
        if len(whole) > PURE_LIMIT:
            reason = f"pure Ed25519 signs {PURE_LIMIT} bytes at most, not {len(whole)}; use P-256"
            raise SignerFailed(self.reference, reason)
        return whole

    def using(self, algorithm: Algorithm) -> "RemoteSigner":
        """The same key with another algorithm; raises KeyUnusable where it is not offered."""
        if algorithm not in self.offered:
            raise KeyUnusable(self.reference, f"is not offered with {algorithm}")
        return replace(self, algorithm=algorithm)


def algorithms(public: PublicKey) -> tuple[Algorithm, frozenset[Algorithm]]:
    """How a key of this kind signs by default, and how else it could."""
    if isinstance(public, EcdsaKey):
        algorithm = CURVES[public.key.curve.name][0]
        return algorithm, frozenset({algorithm})
    if isinstance(public, RsaKey):
        return Algorithm.RSA_PKCS1_SHA256, RSA
    assert isinstance(public, Ed25519Key)
    return Algorithm.ED25519, frozenset({Algorithm.ED25519})


def der(signature: bytes) -> bytes:
    """An ECDSA signature of r and s side by side, equally long, as signers here give it."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    half = len(signature) // 2
    return encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))


def library(reference: str, extra: str, name: str) -> Any:
    """A module that an extra brings; raises KeyUnusable where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        lacking = error.name or name
        remedy = f"needs {lacking}: install it with `pip install 'retinue[{extra}]'`"
        raise KeyUnusable(reference, remedy) from None
