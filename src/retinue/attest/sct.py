"""Signed certificate timestamps that are embedded in a certificate (RFC 6962 3.2, 3.3)."""

import hashlib
from calendar import timegm
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.certificate_transparency import SignedCertificateTimestamp
from cryptography.x509.oid import ExtensionOID

from retinue.attest.errors import NoAnchor, Refused
from retinue.attest.unreadable import UNREADABLE

if TYPE_CHECKING:
    from retinue.attest.root import Log

PART = "certificate timestamp"

_MOST = 16


def check_sct(leaf: x509.Certificate, issuer: x509.Certificate, logs: Sequence["Log"]) -> None:
    """That one of `logs` promised to publish `leaf`, which `issuer` issued.

    Raises NoAnchor where none of its timestamps is of one of `logs`, Refused where those are no good.
    """
    problem: NoAnchor | Refused = NoAnchor(PART, "none by a log of the trusted root")
    for sct in _embedded(leaf):
        for log in logs:
            if log.log_id == sct.log_id:
                reason = _wrong(sct, leaf, issuer, log)
                if not reason:
                    return
                problem = Refused(PART, f"of the log {log.name} {reason}")
    raise problem


def _embedded(leaf: x509.Certificate) -> Iterator[SignedCertificateTimestamp]:
    try:
        extension = leaf.extensions.get_extension_for_oid(
            ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS
        )
        assert isinstance(extension.value, x509.PrecertificateSignedCertificateTimestamps)
        found = list(extension.value)
    except x509.ExtensionNotFound:
        raise Refused(
            PART, "the certificate has none: nobody could see that it was issued"
        ) from None
    except UNREADABLE as error:
        raise Refused(PART, f"cannot be read: {error}") from None
    if len(found) > _MOST:
        raise Refused(PART, f"the certificate has {len(found)}; {_MOST} are allowed")
    return iter(found)


def _wrong(
    sct: SignedCertificateTimestamp, leaf: x509.Certificate, issuer: x509.Certificate, log: "Log"
) -> str:
    """Why the timestamp is no good; empty if it is."""
    at = sct.timestamp.replace(tzinfo=UTC)
    if not log.period.covers(at):
        return f"is of {at}, when the log was not trusted"
    try:
        content = leaf.tbs_precertificate_bytes
    except ValueError as error:
        return f"cannot be checked: {error}"
    signed = signed_part(milliseconds(at), _key_hash(issuer), content, sct.extension_bytes)
    return "" if log.key.verify(sct.signature, signed) else "does not verify"


def milliseconds(at: datetime) -> int:
    return timegm(at.utctimetuple()) * 1000 + at.microsecond // 1000


def _key_hash(issuer: x509.Certificate) -> bytes:
    spki = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def signed_part(at: int, issuer_key_hash: bytes, tbs: bytes, extensions: bytes) -> bytes:
    """What a log signs for a pre-certificate; `at` in milliseconds since the epoch."""
    version_and_type = b"\x00\x00"
    precert = b"\x00\x01"
    return b"".join(
        (
            version_and_type,
            at.to_bytes(8, "big"),
            precert,
            issuer_key_hash,
            len(tbs).to_bytes(3, "big"),
            tbs,
            len(extensions).to_bytes(2, "big"),
            extensions,
        )
    )
