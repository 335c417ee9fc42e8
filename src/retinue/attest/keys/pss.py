"""RSA keys that sign as the Notary Project wants it: PSS, and the hash by the size of the key."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from retinue.attest.keys.key import Algorithm, Signer
from retinue.attest.keys.message import as_message
from retinue.attest.keys.private import LocalSigner, RsaSigner
from retinue.attest.keys.public import HASHES, RsaKey
from retinue.attest.keys.remote import RemoteSigner

BY_BITS: Mapping[int, tuple[Algorithm, str]] = {
    2048: (Algorithm.RSA_PSS_SHA256, "sha256"),
    3072: (Algorithm.RSA_PSS_SHA384, "sha384"),
    4096: (Algorithm.RSA_PSS_SHA512, "sha512"),
}
"""signature-specification.md, "Algorithm Selection"."""


@dataclass(frozen=True, slots=True)
class PssSigner(LocalSigner):
    """The salt is as long as the hash (RFC 7518, section 3.5)."""

    key: rsa.RSAPrivateKey = field(repr=False, compare=False)

    def sign(self, message: Iterable[bytes]) -> bytes:
        name = BY_BITS[self.key.key_size][1]
        way = padding.PSS(padding.MGF1(HASHES[name]), padding.PSS.DIGEST_LENGTH)
        return self.key.sign(as_message(message).digest(name), way, Prehashed(HASHES[name]))


def as_pss(signer: Signer) -> Signer:
    """An RSA key that signs with PSS, where it can; every other signer as it is."""
    if isinstance(signer, RemoteSigner) and isinstance(signer.public, RsaKey):
        wanted = BY_BITS.get(signer.public.key.key_size, (signer.algorithm, ""))[0]
        return signer.using(wanted)
    if isinstance(signer, RsaSigner) and signer.key.key_size in BY_BITS:
        return PssSigner(signer.public, BY_BITS[signer.key.key_size][0], signer.key)
    return signer
