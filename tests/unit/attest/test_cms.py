"""Timestamp tokens of every allowed make, and each way in which one can be wrong."""

import hashlib
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from retinue.attest.anchors import TimeAnchor
from retinue.attest.errors import Malformed, Refused
from retinue.attest.proof import Clock, TrustedTime
from retinue.attest.timestamp import verify_timestamp
from retinue.devstack import encode
from retinue.devstack.encode import element, integer, null, octets, oid, sequence, set_of

SIGNATURE = b"the signature"
AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SHA256, SHA384, SHA1 = "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.2", "1.3.14.3.2.26"
SIGNED_DATA, TST_INFO = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE, DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
CERTIFICATE, CERTIFICATE_2 = "1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"
RSA, PSS = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10"
ECDSA_SHA256, ED25519 = "1.2.840.10045.4.3.2", "1.3.101.112"


@cache
def keys() -> Mapping[str, Any]:
    return {
        "ec": ec.generate_private_key(ec.SECP256R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "rsa": rsa.generate_private_key(65537, 2048),
        "weak": rsa.generate_private_key(65537, 1024),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "root": ec.generate_private_key(ec.SECP256R1()),
    }


@cache
def certificate(kind: str) -> x509.Certificate:
    """The root, or a signer of times under it; valid from long ago until far away."""
    key, root = keys()[kind].public_key(), keys()["root"]
    builder = (
        x509.CertificateBuilder().subject_name(name(kind)).issuer_name(name("root"))
        .public_key(key).serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2060, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )  # fmt: skip
    extension: x509.ExtensionType = x509.BasicConstraints(ca=True, path_length=0)
    if kind != "root":
        extension = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    return builder.add_extension(extension, critical=True).sign(root, hashes.SHA256())


def name(kind: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, kind)])


def raw(kind: str) -> bytes:
    return certificate(kind).public_bytes(Encoding.DER)


def algorithm(dotted: str, *parameters: bytes) -> bytes:
    return sequence(oid(dotted), *parameters)


def attribute(kind: str, *values: bytes) -> bytes:
    return sequence(oid(kind), set_of(*values))


def identifier(kind: str, digest: Callable[..., Any] = hashlib.sha256, *prefix: bytes) -> bytes:
    return sequence(sequence(sequence(*prefix, octets(digest(raw(kind)).digest()))))


PSS_SHA256 = sequence(element(0xA0, algorithm(SHA256)))
SCHEMES: Mapping[str, tuple[str, bytes]] = {
    "ecdsa": ("ec", algorithm(ECDSA_SHA256)),
    "rsa": ("rsa", algorithm(RSA, null())),
    "rsa with hash": ("rsa", algorithm("1.2.840.113549.1.1.11", null())),
    "pss": ("rsa", algorithm(PSS, PSS_SHA256)),
    "ed25519": ("ed25519", algorithm(ED25519)),
}


def sign(kind: str, scheme: bytes, message: bytes) -> bytes:
    key = keys()[kind]
    sha256 = hashes.SHA256()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(sha256), 32)
        return key.sign(message, pss if oid(PSS) in scheme else padding.PKCS1v15(), sha256)
    signature: bytes = key.sign(message, ec.ECDSA(sha256))
    return signature


@dataclass
class Make:
    """A token, part by part; each part may be another."""

    kind: str = "ec"
    scheme: bytes = SCHEMES["ecdsa"][1]
    imprint: bytes = sequence(algorithm(SHA256, null()), octets(hashlib.sha256(SIGNATURE).digest()))
    version: int = 1
    tail: bytes = b""
    content_type: str = TST_INFO
    digest: str = SHA256
    signer: bytes | None = None
    attributes: dict[str, bytes | None] = field(default_factory=dict)
    repeated: bytes = b""
    copies: int = 1

    def info(self) -> bytes:
        return sequence(integer(self.version), oid("1.2.3"), self.imprint, integer(7),
                        encode.time(AT), self.tail)  # fmt: skip

    def signed(self) -> bytes:
        found: dict[str, bytes | None] = {
            CONTENT_TYPE: oid(TST_INFO),
            DIGEST: octets(hashlib.sha256(self.info()).digest()),
            CERTIFICATE_2: identifier(self.kind),
            **self.attributes,
        }
        parts = [attribute(kind, value) for kind, value in found.items() if value is not None]
        return set_of(*parts, *([self.repeated] if self.repeated else []))

    def token(self) -> bytes:
        named = sequence(name("root").public_bytes(), integer(certificate(self.kind).serial_number))
        signer = sequence(
            integer(1), self.signer or named, algorithm(self.digest), b"\xa0" + self.signed()[1:],
            self.scheme, octets(sign(self.kind, self.scheme, self.signed())),
        )  # fmt: skip
        data = sequence(
            integer(3), set_of(algorithm(SHA256)),
            sequence(oid(self.content_type), element(0xA0, octets(self.info()))),
            element(0xA0, *[raw(self.kind)] * self.copies), set_of(signer),
        )  # fmt: skip
        return sequence(oid(SIGNED_DATA), element(0xA0, data))

    def verify(self) -> TrustedTime:
        return verify(self.token())


def verify(token: bytes) -> TrustedTime:
    return verify_timestamp(token, SIGNATURE, (TimeAnchor("a", (certificate("root"),)),), ())


TIME = TrustedTime(AT, Clock.RFC3161, "a")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_signatures_of_each_kind_verify(scheme: str) -> None:
    kind, identifies = SCHEMES[scheme]

    assert Make(kind, identifies).verify() == TIME


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_signature_over_something_else_does_not(scheme: str) -> None:
    kind, identifies = SCHEMES[scheme]
    token = Make(kind, identifies).token()
    changed = token[:-1] + bytes((token[-1] ^ 1,))

    with pytest.raises(Refused, match="does not verify"):
        verify(changed)


def test_a_signer_may_be_named_by_its_key() -> None:
    found = certificate("ec").extensions.get_extension_for_class(x509.SubjectKeyIdentifier)

    assert Make(signer=element(0x80, found.value.digest)).verify() == TIME


def test_a_signer_that_is_named_twice_is_one() -> None:
    other = sequence(name("root").public_bytes(), integer(5))

    with pytest.raises(Refused, match="two certificates"):
        Make(signer=other).verify()
    with pytest.raises(Refused, match="two certificates"):
        Make(attributes={CERTIFICATE_2: identifier("rsa")}).verify()


@pytest.mark.parametrize(
    "attributes",
    [
        {CERTIFICATE_2: None, CERTIFICATE: identifier("ec", hashlib.sha1)},
        {CERTIFICATE_2: identifier("ec", hashlib.sha384, algorithm(SHA384))},
        {CERTIFICATE_2: identifier("ec", hashlib.sha256, algorithm(SHA256, null()))},
    ],
    ids=["the first form", "another hash", "the hash that needs no name"],
)
def test_the_certificate_is_named_in_several_forms(attributes: dict[str, bytes | None]) -> None:
    assert Make(attributes=attributes).verify() == TIME


WRONG: Mapping[str, tuple[Make, str]] = {
    "no content type": (Make(attributes={CONTENT_TYPE: None}), "that it is a time"),
    "other content type": (Make(attributes={CONTENT_TYPE: oid("1.2.3")}), "that it is a time"),
    "no digest": (Make(attributes={DIGEST: None}), "another time"),
    "other digest": (Make(attributes={DIGEST: octets(bytes(32))}), "another time"),
    "no certificate": (Make(attributes={CERTIFICATE_2: None}), "which certificate"),
    "weak name": (
        Make(attributes={CERTIFICATE_2: identifier("ec", hashlib.sha1, algorithm(SHA1))}),
        "too weak",
    ),
    "weak digest": (Make(digest=SHA1), "too weak"),
    "weak imprint": (
        Make(imprint=sequence(algorithm(SHA1), octets(hashlib.sha1(SIGNATURE).digest()))),
        "too weak",
    ),
    "other imprint": (Make(imprint=sequence(algorithm(SHA256), octets(bytes(32)))), "another sig"),
    "unknown scheme": (Make(scheme=algorithm("1.2.840.10045.4.1")), "not known"),
    "pss over sha1": (Make("rsa", algorithm(PSS, sequence())), "SHA-1"),
    "weak key": (Make("weak", algorithm(RSA, null())), "kind of key"),
    "key of another scheme": (Make("ed25519", algorithm(ECDSA_SHA256)), "kind of key"),
    "critical extension": (
        Make(tail=element(0xA1, sequence(oid("1.2.3"), b"\x01\x01\xff", octets(b"")))),
        "critical",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_shows_too_little_is_refused(what: str) -> None:
    make, why = WRONG[what]

    with pytest.raises(Refused, match=why):
        make.verify()


MALFORMED: Mapping[str, Make] = {
    "version": Make(version=2),
    "content": Make(content_type="1.2.840.113549.1.7.1"),
    "double attribute": Make(repeated=attribute(CONTENT_TYPE, oid(TST_INFO))),
    "no time": Make(imprint=sequence(algorithm(SHA256))),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_no_time_is_malformed(what: str) -> None:
    with pytest.raises(Malformed):
        MALFORMED[what].verify()


def test_another_content_is_malformed() -> None:
    with pytest.raises(Malformed, match="not signed data"):
        verify(sequence(oid("1.2.840.113549.1.7.1"), element(0xA0, octets(b""))))


def test_harmless_extensions_and_names_do_not_disturb() -> None:
    accuracy, ordering, nonce = sequence(integer(1)), b"\x01\x01\xff", integer(5)
    authority = element(0xA0, element(0xA4, name("x").public_bytes()))
    extension = element(0xA1, sequence(oid("1.2.3"), octets(b"")))

    for tail in (accuracy, accuracy + ordering + nonce + authority, nonce + extension):
        assert Make(tail=tail).verify() == TIME


def test_many_certificates_are_too_many() -> None:
    assert Make(copies=10).verify() == TIME
    with pytest.raises(Malformed, match="more than 10"):
        Make(copies=11).verify()


CONF = """
[tsa]
default_tsa = one
[one]
serial = {here}/serial
signer_cert = {here}/crt.pem
signer_key = {here}/key.pem
signer_digest = {signer}
default_policy = 1.2.3
digests = sha1, sha256, sha384, sha512
accuracy = secs:1, millisecs:500
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = {named}
clock_precision_digits = 3
"""


def openssl(here: Path, kind: str, digest: str, signer: str, named: str) -> bytes:
    """What OpenSSL answers, as an authority with this key."""
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (here / "key.pem").write_bytes(keys()[kind].private_bytes(Encoding.PEM, pkcs8, plain))
    (here / "crt.pem").write_bytes(certificate(kind).public_bytes(Encoding.PEM))
    (here / "serial").write_text("01")
    (here / "conf").write_text(CONF.format(here=here, signer=signer, named=named))
    (here / "data").write_bytes(SIGNATURE)
    for words in (
        ["-query", "-data", "data", f"-{digest}", "-cert", "-out", "query"],
        ["-reply", "-config", "conf", "-section", "one", "-queryfile", "query", "-out", "reply"],
    ):
        subprocess.run(["openssl", "ts", *words], check=True, capture_output=True, cwd=here)
    return (here / "reply").read_bytes()


@pytest.mark.parametrize(
    ("kind", "digest", "signer", "named"),
    [
        ("ec", "sha256", "sha256", "sha256"),
        ("p384", "sha384", "sha384", "sha1"),
        ("rsa", "sha512", "sha512", "sha512"),
        ("rsa", "sha256", "sha256", "sha1"),
    ],
)
def test_openssl_is_believed_the_time(
    tmp_path: Path, kind: str, digest: str, signer: str, named: str
) -> None:
    before = datetime.now(UTC).replace(microsecond=0)

    found = verify(openssl(tmp_path, kind, digest, signer, named))

    assert before <= found.at <= datetime.now(UTC)


def test_a_stamp_of_openssl_over_a_weak_hash_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="too weak"):
        verify(openssl(tmp_path, "ec", "sha1", "sha256", "sha256"))
