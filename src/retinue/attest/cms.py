"""Timestamp tokens: RFC 3161 2.4.2 in RFC 5652 (CMS), with RFC 5816's certificate identifiers."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from msgspec import Struct

from retinue.attest import der
from retinue.attest.certificate import load_certificate
from retinue.attest.chain import extensions
from retinue.attest.der import Node, Reader
from retinue.attest.errors import Malformed, Refused

PART = "timestamp"
MAX_BYTES = 256 * 1024

_SIGNED_DATA = "1.2.840.113549.1.7.2"
_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
_RSA = "1.2.840.113549.1.1.1"
_PSS = "1.2.840.113549.1.1.10"
_ED25519 = "1.3.101.112"
_HASHES: dict[str, str] = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_WITH_HASH: dict[str, str] = {
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
}
_KINDS: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - of certificates, where RFC 3161 names them so
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_MOST_CERTIFICATES = 10
_MIN_RSA = 2048
_GRANTED = (0, 1)


class Token(Struct, frozen=True):
    """A timestamp, and all that is needed to check who signed it.

    `at` is genTime, `imprint` the stamped hash. `signed` is what the signature signs, over `info`
    by way of `info_digest`. `identifies`: algorithm and hash of the signer's certificate.
    """

    at: datetime
    imprint_algorithm: str
    imprint: bytes
    certificates: tuple[x509.Certificate, ...]
    signer: Node
    identifies: tuple[str, bytes]
    signed: bytes
    hash: str
    scheme: str
    signature: bytes


def read_token(raw: bytes) -> Token:
    """A TimeStampResp or a bare TimeStampToken. Raises Malformed; Refused: not granted, weak."""
    if len(raw) > MAX_BYTES:
        raise Malformed(PART, f"is larger than {MAX_BYTES} bytes")
    outer = Reader(raw, PART)
    body = outer.inside(der.SEQUENCE)
    outer.end()
    if body.peek() != der.OID:
        _check_status(body.inside(der.SEQUENCE))
        body, response = body.inside(der.SEQUENCE), body
        response.end()
    if body.oid() != _SIGNED_DATA:
        raise Malformed(PART, "is not signed data")
    wrapper = body.inside(0xA0)
    body.end()
    data = wrapper.inside(der.SEQUENCE)
    wrapper.end()
    return _signed_data(data)


def _check_status(status: Reader) -> None:
    number = status.integer()
    if number not in _GRANTED:
        raise Refused(PART, f"was not granted (status {number})")


def _signed_data(data: Reader) -> Token:
    data.integer()
    data.take(der.SET)
    content = data.inside(der.SEQUENCE)
    if content.oid() != _TST_INFO:
        raise Malformed(PART, "signs something else than a time")
    wrapper = content.inside(0xA0)
    content.end()
    info = wrapper.octets()
    wrapper.end()
    certificates = _certificates(data.maybe(0xA0), data)
    data.maybe(0xA1)
    signers = data.inside(der.SET)
    data.end()
    signer = signers.inside(der.SEQUENCE)
    signers.end()
    return _token(info, certificates, signer)


def _certificates(node: Node | None, reader: Reader) -> tuple[x509.Certificate, ...]:
    """Nobody vouches for this part: only the signer's path in it matters."""
    found = list(reader.within(node).rest()) if node else []
    if len(found) > _MOST_CERTIFICATES:
        raise Malformed(PART, f"holds more than {_MOST_CERTIFICATES} certificates")
    return tuple(load_certificate(item.raw, f"{PART}'s certificate") for item in found)


def _token(info: bytes, certificates: tuple[x509.Certificate, ...], signer: Reader) -> Token:
    signer.integer()
    who = signer.any()
    digest = _hash(signer.inside(der.SEQUENCE))
    attributes = signer.take(0xA0)
    scheme, digest_of_signature = _scheme(signer.inside(der.SEQUENCE), digest)
    signature = signer.octets()
    identifies = _attributes(signer.within(attributes), hashlib.new(digest, info).digest())
    signed = bytes((der.SET,)) + attributes.raw[1:]
    at, algorithm, imprint = _info(info)
    return Token(
        at=at,
        imprint_algorithm=algorithm,
        imprint=imprint,
        certificates=certificates,
        signer=who,
        identifies=identifies,
        signed=signed,
        hash=digest_of_signature,
        scheme=scheme,
        signature=signature,
    )


def _hash(algorithm: Reader) -> str:
    """Of an AlgorithmIdentifier. SHA-1 and MD5 are refused."""
    oid = algorithm.oid()
    if oid not in _HASHES:
        raise Refused(PART, f"uses a hash that is too weak, or not known here ({oid})")
    return _HASHES[oid]


def _scheme(algorithm: Reader, digest: str) -> tuple[str, str]:
    """The signature algorithm and its hash, which may be said once or twice (RFC 5754 3)."""
    oid = algorithm.oid()
    if oid == _PSS:
        return oid, _pss_hash(algorithm)
    if oid in {_RSA, _ED25519}:
        return oid, digest
    if oid not in _WITH_HASH:
        raise Refused(PART, f"is signed in a way that is not known here ({oid})")
    return oid, _WITH_HASH[oid]


def _pss_hash(algorithm: Reader) -> str:
    explicit = algorithm.inside(der.SEQUENCE).maybe(0xA0)
    if explicit is None:
        raise Refused(PART, "is signed over SHA-1")
    return _hash(algorithm.within(explicit).inside(der.SEQUENCE))


def _attributes(found: Reader, info_digest: bytes) -> tuple[str, bytes]:
    """Checks content type and digest; returns the hash that names the signer's certificate."""
    values: dict[str, Reader] = {}
    for node in found.rest():
        attribute = found.within(node)
        oid = attribute.oid()
        if node.tag != der.SEQUENCE or oid in values:
            raise Malformed(PART, f"has the signed attribute {oid} twice")
        values[oid] = attribute.inside(der.SET)
    if _CONTENT_TYPE not in values or values[_CONTENT_TYPE].oid() != _TST_INFO:
        raise Refused(PART, "does not sign that it is a time")
    if _MESSAGE_DIGEST not in values or values[_MESSAGE_DIGEST].octets() != info_digest:
        raise Refused(PART, "is signed over another time")
    if _SIGNING_CERTIFICATE_V2 in values:
        first = values[_SIGNING_CERTIFICATE_V2].inside(der.SEQUENCE).inside(der.SEQUENCE)
        return _certificate_v2(first.inside(der.SEQUENCE))
    if _SIGNING_CERTIFICATE in values:
        first = values[_SIGNING_CERTIFICATE].inside(der.SEQUENCE).inside(der.SEQUENCE)
        return "sha1", first.inside(der.SEQUENCE).octets()
    raise Refused(PART, "does not sign which certificate signed it")


def _certificate_v2(identifier: Reader) -> tuple[str, bytes]:
    """ESSCertIDv2 (RFC 5035 4): the hash is SHA-256 unless it says another."""
    algorithm = identifier.maybe(der.SEQUENCE)
    name = _hash(identifier.within(algorithm)) if algorithm else "sha256"
    return name, identifier.octets()


def _info(raw: bytes) -> tuple[datetime, str, bytes]:
    """TSTInfo: its time, the stamped hash's algorithm, and that hash."""
    outer = Reader(raw, PART)
    info = outer.inside(der.SEQUENCE)
    outer.end()
    if info.integer() != 1:
        raise Malformed(PART, "is not of version 1")
    info.oid()
    imprint = info.inside(der.SEQUENCE)
    algorithm, digest = _hash(imprint.inside(der.SEQUENCE)), imprint.octets()
    info.integer()
    at = info.time()
    for extension in (node for node in info.rest() if node.tag == 0xA1):
        if b"\x01\x01\xff" in extension.content:
            raise Refused(PART, "has a critical extension, and none is known here")
    return at, algorithm, digest


def find_signer(token: Token, candidates: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The certificate that signed, which a token names twice: by issuer and serial number or by key
    identifier, and, under the signature, by its hash. Raises Refused where these are two.
    """
    algorithm, expected = token.identifies
    for certificate in candidates:
        by_hash = certificate.fingerprint(_KINDS[algorithm]) == expected
        if by_hash != _named(token, certificate):
            raise Refused(PART, "names two certificates as its signer's")
        if by_hash:
            return certificate
    return None


def _named(token: Token, certificate: x509.Certificate) -> bool:
    if token.signer.tag == 0x80:
        found = extensions(certificate, PART)
        keys = (e.value for e in found if isinstance(e.value, x509.SubjectKeyIdentifier))
        return any(key.digest == token.signer.content for key in keys)
    who = Reader(token.signer.content, PART)
    issuer = who.take(der.SEQUENCE).raw
    return (
        issuer == certificate.issuer.public_bytes() and who.integer() == certificate.serial_number
    )


def check_signer(signer: x509.Certificate) -> None:
    """That the certificate is for timestamps, and nothing else (RFC 3161 2.3)."""
    for extension in extensions(signer, PART):
        if isinstance(extension.value, x509.ExtendedKeyUsage):
            if extension.critical and list(extension.value) == [ExtendedKeyUsageOID.TIME_STAMPING]:
                return
            raise Refused(PART, "its signer's certificate is not, critically, for timestamps alone")
    raise Refused(PART, "its signer's certificate is not for timestamps")


def check_signed(token: Token, signer: x509.Certificate) -> None:
    """That the key of `signer` signed it. Raises Refused."""
    key = signer.public_key()
    kind = _KINDS[token.hash]
    try:
        if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _MIN_RSA:
            key.verify(token.signature, token.signed, _padding(token, kind), kind)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(token.signature, token.signed, ec.ECDSA(kind))
        elif isinstance(key, ed25519.Ed25519PublicKey) and token.scheme == _ED25519:
            key.verify(token.signature, token.signed)
        else:
            raise Refused(PART, "is signed with a kind of key that is not accepted")
    except InvalidSignature:
        raise Refused(PART, "its signature does not verify") from None


def _padding(token: Token, kind: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
    if token.scheme == _PSS:
        return padding.PSS(padding.MGF1(kind), padding.PSS.AUTO)
    return padding.PKCS1v15()
