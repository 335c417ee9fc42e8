"""New key pairs, and old ones taken over; the private half is written as cosign writes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from retinue.attest.errors import KeyUnusable
from retinue.attest.keys import cosign, pem
from retinue.attest.keys.key import Signer
from retinue.attest.keys.private import (
    EcdsaSigner,
    Ed25519Signer,
    Private,
    RsaSigner,
    pkcs8,
    wrap_private,
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Two PEMs: `private` is encrypted, `public` is a SubjectPublicKeyInfo."""

    private: bytes = field(repr=False)
    public: bytes
    fingerprint: str


KINDS: Mapping[str, Callable[[], Private]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa2048": partial(rsa.generate_private_key, 65537, 2048),
    "rsa3072": partial(rsa.generate_private_key, 65537, 3072),
    "rsa4096": partial(rsa.generate_private_key, 65537, 4096),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
"""P-256 is what every tool reads."""


def generate(algorithm: str = "p256", password: bytes = b"") -> KeyPair:
    """A new pair; `algorithm` is one of KINDS. Raises KeyUnusable for another."""
    if algorithm not in KINDS:
        reason = f"is not a kind of key that is made here; choose of {', '.join(KINDS)}"
        raise KeyUnusable(algorithm, reason)
    key = KINDS[algorithm]()
    return _pair(key, wrap_private(key, algorithm), password)


def take(
    content: bytes,
    password: bytes,
    reference: str,
    *,
    opened_by: Callable[[], bytes] | None = None,
) -> KeyPair:
    """An existing private key (any PEM that `pem.load_private` reads), sealed with `password`.

    `opened_by`: the password that it has now, the same one unless told. Raises KeyUnusable,
    WrongPassword.
    """
    signer = pem.load_private(content, opened_by or (lambda: password), reference)
    assert isinstance(signer, EcdsaSigner | RsaSigner | Ed25519Signer)
    return _pair(signer.key, signer, password)


def _pair(key: Private, signer: Signer, password: bytes) -> KeyPair:
    private = cosign.seal(pkcs8(key), password)
    return KeyPair(private, signer.public.pem, signer.public.fingerprint)
