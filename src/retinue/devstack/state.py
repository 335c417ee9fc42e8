"""The stack's keys and certificates: made once, kept in a folder, the same after a restart."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from retinue.devstack.errors import StateUnusable
from retinue.files import Root, UnsafePath, make_folders

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

YEARS = timedelta(days=3650)

_LIMIT = 1 << 16
_PEM = serialization.Encoding.PEM
_PKCS8 = serialization.PrivateFormat.PKCS8


class Member(Struct, frozen=True):
    """A key with the certificate that another one issued for it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


class State(Struct, frozen=True):
    """Everything that signs. `since` is when the folder was made: all validity starts there."""

    folder: Root
    since: datetime
    tokens: rsa.RSAPrivateKey
    root: Member
    issuer: Member
    ct_log: ec.EllipticCurvePrivateKey
    log_1: ec.EllipticCurvePrivateKey
    log_2: ed25519.Ed25519PrivateKey
    time_root: Member
    time: Member


def open_state(path: Path, now: datetime) -> State:
    """The state in `path`, made there if it is new. Raises StateUnusable."""
    try:
        make_folders(path)
        folder = Root(path)
        folder.make_folder("keys")
        return _load(folder, now.astimezone(UTC).replace(microsecond=0))
    except (OSError, ValueError, UnsafePath) as error:
        raise StateUnusable(path, str(error)) from error


def _load(folder: Root, now: datetime) -> State:
    keys = {name: _ec_key(folder, name) for name in ("ct-log", "log-1")}
    root = _member(folder, "root", lambda key: _authority(key, "retinue dev root", None, now))
    issuer = _member(folder, "issuer", lambda key: _authority(key, "retinue dev issuer", root, now))
    time_root = _member(
        folder, "time-root", lambda key: _authority(key, "retinue dev time root", None, now)
    )
    return State(
        folder,
        root.certificate.not_valid_before_utc,
        _rsa_key(folder, "tokens"),
        root,
        issuer,
        keys["ct-log"],
        keys["log-1"],
        _ed25519_key(folder, "log-2"),
        time_root,
        _member(folder, "time", lambda key: _timestamper(key, time_root, now)),
    )


def _key(folder: Root, name: str, make: Callable[[], PrivateKey]) -> PrivateKey:
    file = f"keys/{name}.key"
    if folder.status(file) is None:
        pem = make().private_bytes(_PEM, _PKCS8, serialization.NoEncryption())
        folder.write_atomically(file, pem)
    key = serialization.load_pem_private_key(folder.read(file, _LIMIT), None)
    assert isinstance(key, PrivateKey)
    return key


def _ec_key(folder: Root, name: str) -> ec.EllipticCurvePrivateKey:
    key = _key(folder, name, lambda: ec.generate_private_key(ec.SECP256R1()))
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"keys/{name}.key is not an elliptic-curve key")  # noqa: TRY004 - a file
    return key


def _ed25519_key(folder: Root, name: str) -> ed25519.Ed25519PrivateKey:
    key = _key(folder, name, ed25519.Ed25519PrivateKey.generate)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise ValueError(f"keys/{name}.key is not an Ed25519 key")  # noqa: TRY004 - a file
    return key


def _rsa_key(folder: Root, name: str) -> rsa.RSAPrivateKey:
    key = _key(folder, name, lambda: rsa.generate_private_key(65537, 2048))
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"keys/{name}.key is not an RSA key")  # noqa: TRY004 - a file
    return key


def _member(
    folder: Root, name: str, certify: Callable[[ec.EllipticCurvePrivateKey], x509.Certificate]
) -> Member:
    key = _ec_key(folder, name)
    file = f"keys/{name}.crt"
    if folder.status(file) is None:
        folder.write_atomically(file, certify(key).public_bytes(_PEM), 0o644)
    return Member(key, x509.load_pem_x509_certificate(folder.read(file, _LIMIT)))


def _name(common: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "retinue dev stack")
    return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _authority(
    key: ec.EllipticCurvePrivateKey, common: str, parent: Member | None, now: datetime
) -> x509.Certificate:
    """A root, or an intermediate for certificates that sign code."""
    builder = (
        _certificate(key.public_key(), common, parent, now)
        .add_extension(
            x509.BasicConstraints(ca=True, path_length=0 if parent else 1), critical=True
        )
        .add_extension(usage(certificates=True), critical=True)
    )
    if parent is not None:
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
        builder = builder.add_extension(purposes, critical=False)
    return builder.sign(parent.key if parent else key, hashes.SHA256())


def _timestamper(
    key: ec.EllipticCurvePrivateKey, parent: Member, now: datetime
) -> x509.Certificate:
    """RFC 3161 2.3: for timestamps alone, and critically so."""
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    builder = _certificate(key.public_key(), "retinue dev time", parent, now)
    builder = builder.add_extension(usage(certificates=False), critical=True)
    return builder.add_extension(purposes, critical=True).sign(parent.key, hashes.SHA256())


def _certificate(
    key: ec.EllipticCurvePublicKey, common: str, parent: Member | None, now: datetime
) -> x509.CertificateBuilder:
    subject = _name(common)
    above = parent.key.public_key() if parent else key
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(parent.certificate.subject if parent else subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + YEARS)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above), critical=False)
    )


def usage(*, certificates: bool) -> x509.KeyUsage:
    """What a key may do: sign certificates, or else anything but them."""
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
