"""X.509 chains of code signers, as the Notary Project requires them.

https://github.com/notaryproject/specifications: signature-specification.md, "Certificate
Requirements". Of the extensions only basic constraints and key usages count, as it demands. Validity
in time is told, not judged: whose clock counts is for policy to say.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from msgspec import Struct

from retinue.attest.anchors import X509Anchor
from retinue.attest.chain import extensions, value
from retinue.attest.errors import Malformed, Refused
from retinue.attest.unreadable import UNREADABLE

T = TypeVar("T", bound=x509.ExtensionType)

MAX_CERTIFICATE = 64 * 1024
MIN_RSA_BITS = 2048
MIN_EC_BITS = 256
SHORT_NAMES = {
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "S": NameOID.STATE_OR_PROVINCE_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "STREET": NameOID.STREET_ADDRESS,
    "POSTALCODE": NameOID.POSTAL_CODE,
    "SERIALNUMBER": NameOID.SERIAL_NUMBER,
    "DC": NameOID.DOMAIN_COMPONENT,
    "UID": NameOID.USER_ID,
}
"""Names that an anchor's subject may use (RFC 4514 section 3, and `ST`, `S` as tools write it)."""

_FOREIGN_USES = {
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "any",
    ExtendedKeyUsageOID.SERVER_AUTH: "TLS servers",
    ExtendedKeyUsageOID.CLIENT_AUTH: "TLS clients",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "mail",
    ExtendedKeyUsageOID.TIME_STAMPING: "timestamps",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSP",
}
_CODE = frozenset({ExtendedKeyUsageOID.CODE_SIGNING})
_ISSUES_CODE = _CODE | {ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_READ_LATER = (
    "extensions",
    "subject",
    "issuer",
    "not_valid_before_utc",
    "not_valid_after_utc",
    "signature_hash_algorithm",
)
"""What raises only when it is looked at; looked at once, where that is caught."""
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class Chain(Struct, frozen=True):
    """A leaf and who issued it, up to a self-signed root. `since` and `until` bound when all of its
    certificates are valid."""

    certificates: tuple[x509.Certificate, ...]
    key: PublicKeyTypes
    since: datetime
    until: datetime

    @property
    def leaf(self) -> x509.Certificate:
        return self.certificates[0]


@lru_cache(maxsize=128)
def read_chain(ders: tuple[bytes, ...]) -> Chain:
    """Certificates, leaf first; raises Malformed for what is none, Refused for a broken rule.

    Kept, since one signer's chain comes with each of his signatures and costs most of checking one.
    """
    certificates = tuple(map(_certificate, ders))
    leaf = certificates[0]
    for certificate in certificates:
        _check_key(certificate)
        if not isinstance(certificate.signature_hash_algorithm, _HASHES):
            raise Refused(_name(certificate), "its signature uses no hash that is allowed (SHA-2)")
    for depth, certificate in enumerate(certificates[1:]):
        _check_issuer(certificate, depth)
    _check_leaf(leaf)
    _check_order(certificates)
    return Chain(
        certificates,
        _public_key(leaf),
        max(each.not_valid_before_utc for each in certificates),
        min(each.not_valid_after_utc for each in certificates),
    )


def _certificate(der: bytes) -> x509.Certificate:
    if len(der) > MAX_CERTIFICATE:
        raise Malformed("certificate", f"{len(der)} bytes are more than {MAX_CERTIFICATE}")
    try:
        certificate = x509.load_der_x509_certificate(der)
        for name in _READ_LATER:
            getattr(certificate, name)
    except UNREADABLE as error:
        raise Malformed("certificate", str(error)[:200]) from None
    return certificate


def _public_key(certificate: x509.Certificate) -> PublicKeyTypes:
    try:
        return certificate.public_key()
    except UNREADABLE as error:
        raise Malformed("certificate", f"its key: {str(error)[:200]}") from None


def _check_key(certificate: x509.Certificate) -> None:
    key = _public_key(certificate)
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        raise Refused(_name(certificate), f"its RSA key has {key.key_size} bits")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < MIN_EC_BITS:
        raise Refused(_name(certificate), f"its key is on the curve {key.curve.name}")


def _extension(certificate: x509.Certificate, kind: type[T]) -> x509.Extension[T] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def _check_leaf(leaf: x509.Certificate) -> None:
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.value.ca:
        raise Refused(_name(leaf), "is a certificate authority's, and signs images itself")
    usage = _key_usage(leaf)
    if not usage.digital_signature:
        raise Refused(_name(leaf), "its key usage lacks digitalSignature")
    foreign = usage.key_encipherment or usage.data_encipherment or usage.key_agreement
    if foreign or usage.key_cert_sign or usage.crl_sign:
        raise Refused(_name(leaf), "its key usage allows more than digitalSignature")
    extended = _extension(leaf, x509.ExtendedKeyUsage)
    for oid in extended.value if extended is not None else ():
        if oid in _FOREIGN_USES:
            raise Refused(_name(leaf), f"its extended key usage names {_FOREIGN_USES[oid]}")


def _check_issuer(issuer: x509.Certificate, depth: int) -> None:
    """`depth`: how many certificate authorities are below it in the chain."""
    constraints = _extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.critical or not constraints.value.ca:
        raise Refused(_name(issuer), "its critical basic constraints must make it an authority")
    length = constraints.value.path_length
    if length is not None and length < depth:
        raise Refused(_name(issuer), f"allows {length} authorities below it, and has {depth}")
    if not _key_usage(issuer).key_cert_sign:
        raise Refused(_name(issuer), "its key usage lacks keyCertSign")


def _key_usage(certificate: x509.Certificate) -> x509.KeyUsage:
    usage = _extension(certificate, x509.KeyUsage)
    if usage is None or not usage.critical:
        raise Refused(_name(certificate), "has no key usage that is marked critical")
    return usage.value


def _check_order(chain: Sequence[x509.Certificate]) -> None:
    *lower, root = chain
    _check_issued(root, root)
    for certificate, issuer in zip(lower, chain[1:], strict=True):
        if certificate.issuer == certificate.subject:
            raise Refused(_name(certificate), "is self-issued, and not the last of its chain")
        _check_issued(certificate, issuer)


def _check_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        raise Refused(_name(certificate), f"was not issued by {_name(issuer)}") from None


def _name(certificate: x509.Certificate) -> str:
    return f"certificate {certificate.subject.rfc4514_string()[:200]!r}"


def check_purpose(chain: Chain) -> None:
    """What a bundle's chain must keep to besides (RFC 5280): critical extensions that are known, no
    constraints of names, and only purposes that include signing code. Raises Malformed, Refused.

    The Notary Project has its own rules, by which none of this counts.
    """
    for certificate in chain.certificates:
        found = extensions(certificate, "certificate")
        purposes = value(found, x509.ExtendedKeyUsage)
        accepted = _CODE if certificate is chain.leaf else _ISSUES_CODE
        if purposes is not None and accepted.isdisjoint(purposes):
            raise Refused(_name(certificate), "its extended key usage lacks signing code")


def principal_of(leaf: x509.Certificate, key: str) -> str:
    """Who signed: the name that was certified; nothing of the chain, which the signature does not cover.

    Without a name it is the key, by its fingerprint.
    """
    return f"x509:{leaf.subject.rfc4514_string() or key}"


def matches(anchor: X509Anchor, chain: Chain) -> bool:
    """Whether one of the chain is one of the anchor's roots, and the leaf has all of its subject.

    Exactly one attribute of a name must be there, and be equal: a second one is an ambiguity.
    """
    if not any(certificate in anchor.roots for certificate in chain.certificates):
        return False
    return all(_has(chain.leaf.subject, name, value) for name, value in anchor.subject.items())


def _has(subject: x509.Name, name: str, value: str) -> bool:
    oid = SHORT_NAMES.get(name.upper()) or ObjectIdentifier(name)
    return [each.value for each in subject.get_attributes_for_oid(oid)] == [value]
