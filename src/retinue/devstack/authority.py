"""A certificate authority for identities, as Fulcio's interfaces have it; every certificate carries
the promise of a certificate log (a key: there is no such log).

https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md
"""

import hashlib
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from msgspec import Struct

from retinue.attest.certificates import EXTENSIONS
from retinue.attest.sct import milliseconds, signed_part
from retinue.devstack.encode import octets, utf8
from retinue.devstack.errors import NotGiven
from retinue.devstack.state import State, usage
from retinue.devstack.tokens import Issuer, is_address

MINUTES = 10

Public: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

_ARC = "1.3.6.1.4.1.57264.1"
_PEM = serialization.Encoding.PEM
_DER = serialization.Encoding.DER
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
_HASHES = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}


class Authority(Struct, frozen=True):
    state: State
    issuer: Issuer

    def chain(self) -> list[str]:
        members = (self.state.issuer, self.state.root)
        return [m.certificate.public_bytes(_PEM).decode() for m in members]

    def issue(self, request: Mapping[str, Any], bearer: str, now: datetime) -> list[str]:
        """PEM certificates, leaf first, for a request of either form. Raises NotGiven."""
        credentials = request.get("credentials") or {}
        token = credentials.get("oidcIdentityToken") or bearer
        if not isinstance(token, str) or not token:
            raise NotGiven(401, "there is no identity token")
        claims = self.issuer.read(token, now)
        leaf = self.certify(_requested(request, claims["sub"]), claims, now)
        return [leaf.public_bytes(_PEM).decode(), *self.chain()]

    def certify(self, key: Public, claims: Mapping[str, Any], now: datetime) -> x509.Certificate:
        """A certificate of ten minutes for the claims' subject, with what else they say."""
        issuer = self.state.issuer
        start = now.replace(microsecond=0)
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(minutes=MINUTES))
            .add_extension(usage(certificates=False), critical=True)
            .add_extension(purposes, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(above, critical=False)
            .add_extension(x509.SubjectAlternativeName([_name(claims["sub"])]), critical=True)
        )
        for extension in _extensions(claims):
            builder = builder.add_extension(extension, critical=False)
        return self._promised(builder, now)

    def _promised(self, builder: x509.CertificateBuilder, now: datetime) -> x509.Certificate:
        """Signed twice: once for the log to see, once with the log's promise (RFC 6962 3.1)."""
        key = self.state.issuer.key
        before = builder.sign(key, hashes.SHA256()).tbs_certificate_bytes
        oid = ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS
        promise = x509.UnrecognizedExtension(oid, octets(self._promises(before, now)))
        leaf = builder.add_extension(promise, critical=False).sign(key, hashes.SHA256())
        assert leaf.tbs_precertificate_bytes == before
        return leaf

    def _promises(self, tbs: bytes, now: datetime) -> bytes:
        """A SignedCertificateTimestampList of one (RFC 6962 3.3)."""
        at = milliseconds(now)
        issuer = self.state.issuer.key.public_key().public_bytes(_DER, _SPKI)
        signed = signed_part(at, hashlib.sha256(issuer).digest(), tbs, b"")
        signature = self.state.ct_log.sign(signed, ec.ECDSA(hashes.SHA256()))
        log = self.state.ct_log.public_key().public_bytes(_DER, _SPKI)
        sha256_with_ecdsa = b"\x04\x03"
        promise = b"\x00" + hashlib.sha256(log).digest() + at.to_bytes(8, "big") + b"\x00\x00"
        return _sized(_sized(promise + sha256_with_ecdsa + _sized(signature)))


def _sized(raw: bytes) -> bytes:
    return len(raw).to_bytes(2, "big") + raw


def _name(subject: str) -> x509.GeneralName:
    if is_address(subject):
        return x509.RFC822Name(subject)
    if "://" in subject:
        return x509.UniformResourceIdentifier(subject)
    return x509.OtherName(x509.ObjectIdentifier(f"{_ARC}.7"), utf8(subject))


def _extensions(claims: Mapping[str, Any]) -> list[x509.UnrecognizedExtension]:
    """The issuer, old and new; and each claim that is called as Fulcio calls an extension."""
    issuer = claims["iss"]
    found = {1: issuer.encode(), 8: utf8(issuer)}
    for number, (name, encoded) in EXTENSIONS.items():
        if isinstance(claims.get(name), str):
            found[number] = utf8(claims[name]) if encoded else claims[name].encode()
    return [
        x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{_ARC}.{number}"), value)
        for number, value in sorted(found.items())
    ]


def _requested(request: Mapping[str, Any], subject: str) -> Public:
    """The key of a request, whose possession it proves."""
    try:
        if request.get("certificateSigningRequest"):
            return _from_csr(b64decode(request["certificateSigningRequest"]))
        wanted = request.get("publicKeyRequest") or request
        content = wanted["publicKey"]["content"]
        proof = wanted.get("proofOfPossession") or wanted["signedEmailAddress"]
        return _from_key(content, b64decode(proof), subject)
    except (KeyError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise NotGiven(400, f"the request cannot be read: {error}") from None


def _from_csr(raw: bytes) -> Public:
    request = x509.load_pem_x509_csr(raw)
    if not request.is_signature_valid:
        raise NotGiven(400, "the certificate request is not signed by its key")
    return _public(request.public_key())


def _from_key(content: str, proof: bytes, subject: str) -> Public:
    """`content` is PEM; the older interface has PEM or DER in base64."""
    raw = content.encode() if content.startswith("-----") else b64decode(content)
    pem = raw.startswith(b"-----")
    load = serialization.load_pem_public_key if pem else serialization.load_der_public_key
    key = _public(load(raw))
    try:
        verify(key, proof, subject.encode())
    except InvalidSignature:
        raise NotGiven(400, "the proof does not show possession of the key") from None
    return key


def _public(key: object) -> Public:
    if isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey):
        return key
    raise NotGiven(400, "a key of this kind gets no certificate")


def verify(key: Public, signature: bytes, message: bytes) -> None:
    """With the hash that fits the key. Raises InvalidSignature."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, message)
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    else:
        key.verify(signature, message, ec.ECDSA(_HASHES[key.curve.key_size]))
