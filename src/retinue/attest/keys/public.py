"""Public keys that check signatures here, in this process.

The algorithms are those of Sigstore's registry; accepted besides is what its tools have really
written: P-384 and P-521 with SHA-256, RSA-PSS, Ed25519ph.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from msgspec import Struct

from retinue.attest.errors import KeyUnusable, Refused
from retinue.attest.keys.key import Algorithm, PublicKey
from retinue.attest.keys.message import Message, as_message

PURE_LIMIT = 16 * 1024 * 1024
"""Pure Ed25519 needs the whole message in memory, twice over."""

HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
ECDSA = {name: ec.ECDSA(Prehashed(algorithm)) for name, algorithm in HASHES.items()}
PREHASHED = Prehashed(HASHES["sha256"])
PKCS1 = padding.PKCS1v15()
PSS = padding.PSS(padding.MGF1(HASHES["sha256"]), padding.PSS.AUTO)

CURVES: Mapping[str, tuple[Algorithm, tuple[str, ...]]] = {
    "secp256r1": (Algorithm.ECDSA_P256_SHA256, ("sha256",)),
    "secp384r1": (Algorithm.ECDSA_P384_SHA384, ("sha384", "sha256")),
    "secp521r1": (Algorithm.ECDSA_P521_SHA512, ("sha512", "sha256")),
}
"""How keys of a curve sign, and the hashes that they are found with."""

P256_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""DER of a P-256 key's SubjectPublicKeyInfo up to its point (RFC 5480, section 2)."""
POINT = 65
"""Bytes of such a point, uncompressed."""

RSA_BITS = (2048, 4096)
RSA_EXPONENT = 65537


class LocalKey(Struct, frozen=True, eq=False):
    """What all public keys share. Equal keys are equal values."""

    spki: bytes
    fingerprint: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalKey) and self.spki == other.spki

    def __hash__(self) -> int:
        return hash(self.spki)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(fingerprint={self.fingerprint!r})"

    @property
    def pem(self) -> bytes:
        """PEM, `PUBLIC KEY` (RFC 7468, section 13)."""
        text = b64encode(self.spki)
        lines = [text[start : start + 64] for start in range(0, len(text), 64)]
        return b"\n".join((b"-----BEGIN PUBLIC KEY-----", *lines, b"-----END PUBLIC KEY-----", b""))


class EcdsaKey(LocalKey, frozen=True, eq=False):
    """P-256, P-384, P-521."""

    key: ec.EllipticCurvePublicKey
    hashes: tuple[str, ...]

    def verify(self, signature: bytes, message: Iterable[bytes]) -> bool:
        whole = as_message(message)
        return any(self._verify(signature, whole, name) for name in self.hashes)

    def _verify(self, signature: bytes, message: Message, name: str) -> bool:
        try:
            self.key.verify(signature, message.digest(name), ECDSA[name])
        except InvalidSignature:
            return False
        return True


class RsaKey(LocalKey, frozen=True, eq=False):
    """RSA of 2048 to 4096 bits; PKCS #1 v1.5 as Sigstore signs, PSS with any length of salt."""

    key: rsa.RSAPublicKey

    def verify(self, signature: bytes, message: Iterable[bytes]) -> bool:
        digest = as_message(message).digest("sha256")
        return self._verify(signature, digest, PKCS1) or self._verify(signature, digest, PSS)

    def _verify(self, signature: bytes, digest: bytes, way: padding.AsymmetricPadding) -> bool:
        try:
            self.key.verify(signature, digest, way, PREHASHED)
        except InvalidSignature:
            return False
        return True


class Ed25519Key(LocalKey, frozen=True, eq=False):
    """Pure Ed25519, and Ed25519ph (RFC 8032, section 5.1), which cosign 3 signs with."""

    key: ed25519.Ed25519PublicKey

    def verify(self, signature: bytes, message: Iterable[bytes]) -> bool:
        whole = as_message(message)
        if len(signature) != 64:
            return False
        small = _joined(whole)
        if small is not None and self._pure(signature, small):
            return True
        if self._prehashed(signature, whole):
            return True
        if small is None:
            reason = f"pure Ed25519 over more than {PURE_LIMIT} bytes is not checked"
            raise Refused("signature", reason)
        return False

    def _pure(self, signature: bytes, message: bytes) -> bool:
        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def _prehashed(self, signature: bytes, message: Message) -> bool:
        from nacl import bindings, exceptions

        state = bindings.crypto_sign_ed25519ph_state()
        for part in message:
            bindings.crypto_sign_ed25519ph_update(state, bytes(part))
        try:
            return bool(
                bindings.crypto_sign_ed25519ph_final_verify(
                    state, signature, self.key.public_bytes_raw()
                )
            )
        except exceptions.BadSignatureError:
            return False


def _joined(message: Message) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    for part in message:
        size += len(part)
        if size > PURE_LIMIT:
            return None
        parts.append(part)
    return b"".join(parts)


Usable: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


def wrap(key: object, reference: str) -> PublicKey:
    """A `cryptography` key as ours; raises KeyUnusable for weak keys and for foreign kinds."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    usable = check(key, reference)
    return _wrap(usable, usable.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def wrap_p256(spki: bytes) -> PublicKey | None:
    """The usual kind of key from its DER; None for all others, which `wrap` is for.

    Loading what reads every kind takes 15 ms, more than all else that reading a key does.
    """
    if not spki.startswith(P256_SPKI) or len(spki) != len(P256_SPKI) + POINT:
        return None
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), spki[-POINT:])
    except ValueError:  # not on the curve
        return None
    return _wrap(key, spki)


def _wrap(key: Usable, spki: bytes) -> PublicKey:
    fingerprint = f"sha256:{hashlib.sha256(spki).hexdigest()}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return EcdsaKey(spki, fingerprint, key, CURVES[key.curve.name][1])
    if isinstance(key, rsa.RSAPublicKey):
        return RsaKey(spki, fingerprint, key)
    return Ed25519Key(spki, fingerprint, key)


def check(key: object, reference: str) -> Usable:
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name in CURVES:
            return key
        raise KeyUnusable(reference, f"is on the curve {key.curve.name}; {_USE}")
    if isinstance(key, rsa.RSAPublicKey):
        return _check_rsa(key, reference)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    kind = type(key).__name__.removesuffix("PublicKey").removesuffix("PrivateKey")
    raise KeyUnusable(reference, f"is of the kind {kind}; {_USE}")


_USE = "use ECDSA on P-256, P-384 or P-521, RSA, or Ed25519"


def _check_rsa(key: rsa.RSAPublicKey, reference: str) -> rsa.RSAPublicKey:
    least, most = RSA_BITS
    if not least <= key.key_size <= most:
        reason = f"is RSA of {key.key_size} bits; {least} to {most} are accepted"
        raise KeyUnusable(reference, reason)
    exponent = key.public_numbers().e
    if exponent < RSA_EXPONENT:
        reason = f"is RSA with the public exponent {exponent}; at least {RSA_EXPONENT} is accepted"
        raise KeyUnusable(reference, reason)
    return key
