"""Certificates of code signers and of their authorities, made on the spot."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
CODE = (ExtendedKeyUsageOID.CODE_SIGNING,)
_OTHER_USES = (
    "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign",
    "encipher_only", "decipher_only",
)  # fmt: skip

Key: TypeAlias = ec.EllipticCurvePrivateKey
Issuer: TypeAlias = tuple[x509.Certificate, Key]


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def name(subject: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme"),
            x509.NameAttribute(NameOID.COMMON_NAME, subject),
        ]
    )


def certificate(
    subject: str,
    key: Key,
    issuer: Issuer | None = None,
    *,
    days: int = 365,
    authority: bool | None = None,
    purposes: Sequence[ObjectIdentifier] | None = None,
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> x509.Certificate:
    """Of an authority where it is issued by nobody else, or `authority` says so; else of a signer.

    `more` are further extensions, each with whether it is critical.
    """
    above, signer = issuer or (None, key)
    authority = above is None if authority is None else authority
    usage = x509.KeyUsage(
        **dict.fromkeys(_OTHER_USES, False),
        digital_signature=not authority,
        key_cert_sign=authority,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(above.subject if above else name(subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(SINCE)
        .not_valid_after(SINCE + timedelta(days=days))
        .add_extension(usage, critical=True)
    )
    uses = CODE if purposes is None and not authority else purposes
    if uses:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    if authority:
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        builder = builder.add_extension(constraints, critical=True)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signer, hashes.SHA256())
