"""Certificates that break a rule of the Notary Project sign nothing, whoever issued them."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Use
from cryptography.x509.oid import NameOID

from retinue.attest.anchors import X509Anchor
from retinue.attest.certificate import load_certificate
from retinue.attest.codesigning import Chain, matches, read_chain
from retinue.attest.errors import EvidenceError, Malformed, Refused

SHA256 = hashes.SHA256()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
ROOT_KEY = ec.generate_private_key(ec.SECP256R1())


def usage(*set_bits: str) -> x509.KeyUsage:
    bits = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment"]
    bits += ["key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{bit: bit in set_bits for bit in bits})


SIGNS = (usage("digital_signature"), True)
ISSUES = (usage("key_cert_sign"), True)
CA = (x509.BasicConstraints(ca=True, path_length=None), True)
CODE = (x509.ExtendedKeyUsage([Use.CODE_SIGNING]), False)


def make(
    subject: str,
    *extensions: tuple[x509.ExtensionType, bool],
    issuer: str = "CN=root",
    digest: hashes.SHA256 | hashes.SHA224 = SHA256,
    days: tuple[int, int] = (0, 10),
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name.from_rfc4514_string(subject))
        .issuer_name(x509.Name.from_rfc4514_string(issuer))
        .public_key((ROOT_KEY if subject == "CN=root" else KEY).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=days[0]))
        .not_valid_after(NOW + timedelta(days=days[1]))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(ROOT_KEY if issuer == "CN=root" else KEY, digest)


@pytest.mark.parametrize(
    "problem",
    [
        ValueError("no"),
        KeyError(8),
        UnsupportedAlgorithm("no"),
        x509.DuplicateExtension("twice", x509.ObjectIdentifier("1.2.3")),
        x509.InvalidVersion("no", 7),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_whatever_the_library_says_of_foreign_bytes_they_are_unreadable(
    problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which class it raises for which byte changes from release to release."""
    der = make("CN=root", CA).public_bytes(Encoding.DER)

    def fail(_: bytes) -> None:
        raise problem

    monkeypatch.setattr(x509, "load_der_x509_certificate", fail)
    with pytest.raises(Malformed):
        read_chain((der,))
    with pytest.raises(Malformed):
        load_certificate(der, "certificate")


def chain(*certificates: x509.Certificate) -> Chain:
    return read_chain(tuple(each.public_bytes(Encoding.DER) for each in certificates))


ROOT = make("CN=root", CA, ISSUES, days=(-5, 5))


def test_a_chain_is_valid_while_all_of_it_is() -> None:
    found = chain(make("CN=leaf", SIGNS, CODE), ROOT)

    assert (NOW, NOW + timedelta(days=5)) == (found.since, found.until)


@pytest.mark.parametrize(
    ("leaf", "why"),
    [
        (lambda: make("CN=leaf"), "no key usage"),
        (lambda: make("CN=leaf", (usage("digital_signature"), False)), "no key usage"),
        (lambda: make("CN=leaf", (usage("content_commitment"), True)), "lacks digitalSignature"),
        (lambda: make("CN=leaf", (usage("digital_signature", "crl_sign"), True)), "more than"),
        (lambda: make("CN=leaf", (usage("digital_signature", "key_agreement"), True)), "more than"),
        (lambda: make("CN=leaf", SIGNS, CA), "authority's"),
        *(
            (lambda use=use: make("CN=leaf", SIGNS, (x509.ExtendedKeyUsage([use]), False)), "names")
            for use in (Use.SERVER_AUTH, Use.TIME_STAMPING, Use.ANY_EXTENDED_KEY_USAGE)
        ),
        (lambda: make("CN=leaf", SIGNS, issuer="CN=other"), "not issued by"),
        (lambda: make("CN=leaf", SIGNS, digest=hashes.SHA224()), "SHA-2"),
    ],
    ids=itertools.count(),
)
def test_leaves_that_may_not_sign_images(leaf: Callable[[], x509.Certificate], why: str) -> None:
    with pytest.raises(Refused, match=why):
        chain(leaf(), ROOT)


@pytest.mark.parametrize(
    ("root", "why"),
    [
        (lambda: make("CN=root", ISSUES), "authority"),
        (lambda: make("CN=root", (CA[0], False), ISSUES), "authority"),
        (lambda: make("CN=root", CA), "no key usage"),
        (lambda: make("CN=root", CA, SIGNS), "keyCertSign"),
    ],
    ids=itertools.count(),
)
def test_roots_that_may_not_issue(root: Callable[[], x509.Certificate], why: str) -> None:
    with pytest.raises(Refused, match=why):
        chain(make("CN=leaf", SIGNS), root())


def test_the_length_of_a_path_is_bounded_by_its_authorities() -> None:
    short = make("CN=root", (x509.BasicConstraints(ca=True, path_length=0), True), ISSUES)
    middle = make("CN=middle", CA, ISSUES)

    with pytest.raises(Refused, match="allows 0 authorities"):
        chain(make("CN=leaf", SIGNS, issuer="CN=middle"), middle, short)


def test_a_leaf_that_signed_itself_is_a_chain_of_one() -> None:
    found = chain(make("CN=own", SIGNS, issuer="CN=own"))

    assert matches(X509Anchor("own", (found.leaf,), {"cn": "own"}), found)


@pytest.mark.parametrize(
    ("subject", "fits"),
    [
        ({}, True),
        ({"O": "Acme", "CN": "leaf"}, True),
        ({"2.5.4.10": "Acme"}, True),
        ({"O": "acme"}, False),
        ({"OU": "a"}, False),  # which of the two is meant?
        ({"L": "Berlin"}, False),
    ],
)
def test_subjects_match_by_attributes(subject: dict[str, str], fits: bool) -> None:
    leaf = make("CN=leaf,OU=a,OU=b,O=Acme", SIGNS)

    assert matches(X509Anchor("x", (ROOT,), subject), chain(leaf, ROOT)) is fits
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)


def test_weak_keys_issue_and_sign_nothing() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    builder = x509.CertificateBuilder().public_key(weak.public_key()).serial_number(1)
    name = x509.Name.from_rfc4514_string("CN=weak")
    builder = builder.subject_name(name).issuer_name(name).add_extension(*SIGNS)
    own = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1)).sign(weak, SHA256)

    with pytest.raises(Refused, match="1024 bits"):
        chain(own)


def test_what_is_no_certificate_is_malformed() -> None:
    with pytest.raises(Malformed):
        read_chain((b"0",))
    with pytest.raises(EvidenceError):
        read_chain((bytes(100_000),))
