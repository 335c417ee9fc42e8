"""The path from a certificate to a trusted root at a given instant (RFC 5280 6.1, without CRLs).

Paths are short and never branch far: every certificate is one of a handful. What a certificate says
critically and we do not understand is refused.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID

from retinue.attest.errors import Malformed, NoAnchor, Refused
from retinue.attest.unreadable import UNREADABLE

_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    }
)
_ANY = x509.ObjectIdentifier("2.5.29.37.0")
_WEAK = frozenset({"md5", "sha1"})
_MIN_RSA = 2048
_MIN_CURVE = 256
_MOST = 10

_Kind = TypeVar("_Kind", bound=x509.ExtensionType)


@lru_cache(maxsize=1024)
def check_readable(certificate: x509.Certificate, part: str) -> None:
    """That every part that is looked at can be read: the library finds out late. Raises Malformed."""
    try:
        _ = (
            certificate.public_key(),
            certificate.subject.rfc4514_string(),
            certificate.not_valid_after_utc,
            certificate.signature_hash_algorithm,
            certificate.extensions,
        )
    except UNREADABLE as error:
        raise Malformed(part, f"a certificate cannot be read: {error!s:.160}") from None


def extensions(certificate: x509.Certificate, part: str) -> x509.Extensions:
    """The extensions; raises Malformed, or Refused where one is critical and unknown, or constrains
    names, critically or not.
    """
    check_readable(certificate, part)
    found = certificate.extensions
    for extension in found:
        unknown = extension.critical and extension.oid not in _UNDERSTOOD
        if unknown or extension.oid == ExtensionOID.NAME_CONSTRAINTS:
            name = extension.oid.dotted_string
            raise Refused(part, f"says what is not understood here, and would restrict it ({name})")
    return found


def check_path(
    leaf: x509.Certificate,
    anchors: Sequence[x509.Certificate],
    between: Sequence[x509.Certificate],
    purpose: x509.ObjectIdentifier,
    at: datetime,
    part: str,
) -> tuple[x509.Certificate, ...]:
    """The path from `leaf` up to one of `anchors`, which are trusted, through some of `between`.

    Every certificate of it, the anchor too, was valid `at` then (both ends included). Raises
    NoAnchor where no path leads to an anchor, Refused where one does and is no good.
    """
    check_validity(leaf, at, part)
    if is_authority(leaf, part):
        raise Refused(part, "is the certificate of an authority, not of a signer")
    path = [leaf]
    while path[-1] not in anchors:
        issuer = _issuer(path[-1], (*anchors, *between), at)
        if issuer is None or issuer in path or len(path) >= _MOST:
            raise NoAnchor(part, f"was not issued under the root {_names(anchors)}")
        _check_authority(issuer, len(path) - 1, purpose, at, part)
        path.append(issuer)
    return tuple(path)


def _names(anchors: Sequence[x509.Certificate]) -> str:
    return ", ".join(a.subject.rfc4514_string() for a in islice(anchors, 3))


def _issuer(
    certificate: x509.Certificate, candidates: Sequence[x509.Certificate], at: datetime
) -> x509.Certificate | None:
    """An authority that renewed its certificate has several: one that was valid then is better."""
    issuers = [c for c in candidates if _issued(certificate, c)]
    valid = (c for c in issuers if c.not_valid_before_utc <= at <= c.not_valid_after_utc)
    return next(valid, issuers[0] if issuers else None)


@lru_cache(maxsize=1024)  # the same few authorities stand above all signers, and at every time
def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject or certificate == issuer:
        return False
    digest = certificate.signature_hash_algorithm
    if digest is not None and digest.name in _WEAK:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
        key = issuer.public_key()
    except (InvalidSignature, *UNREADABLE):
        return False
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= _MIN_RSA
    return not isinstance(key, ec.EllipticCurvePublicKey) or key.key_size >= _MIN_CURVE


def check_validity(certificate: x509.Certificate, at: datetime, part: str) -> None:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not start <= at <= end:
        name = certificate.subject.rfc4514_string() or f"serial {certificate.serial_number:x}"
        raise Refused(part, f"{name} was valid from {start} until {end}, not at {at}")


def is_authority(certificate: x509.Certificate, part: str) -> bool:
    found = extensions(certificate, part)
    constraints = value(found, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _check_authority(
    issuer: x509.Certificate, below: int, purpose: x509.ObjectIdentifier, at: datetime, part: str
) -> None:
    """`below`: how many authorities stand between this one and the leaf."""
    check_validity(issuer, at, part)
    found = extensions(issuer, part)
    name = issuer.subject.rfc4514_string()
    if not is_authority(issuer, part):
        raise Refused(part, f"its issuer {name} is not an authority")
    longest = found.get_extension_for_class(x509.BasicConstraints).value.path_length
    if longest is not None and below > longest:
        raise Refused(part, f"{name} may not stand that far above it")
    usage = value(found, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise Refused(part, f"{name} may not sign certificates")
    purposes = value(found, x509.ExtendedKeyUsage)
    if purposes is not None and not {purpose, _ANY} & set(purposes):
        raise Refused(part, f"{name} may not issue certificates for this use")


def value(found: x509.Extensions, kind: type[_Kind]) -> _Kind | None:
    try:
        return found.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
