"""Certificates of keyless signers: whom they name, who issued them, and what a log promised."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from msgspec.structs import replace

from keylesskit import NOW, START, URL, WHO, Local, dev, local, stack_folder, stack_state
from retinue.attest.anchors import KeylessAnchor
from retinue.attest.certificate import load_certificate
from retinue.attest.certificates import Identity, identity, match, verify_chain
from retinue.attest.der import Reader
from retinue.attest.errors import EvidenceError, Malformed, NoAnchor, Refused
from retinue.attest.root import Period, TrustedRoot
from retinue.devstack.encode import octets, utf8

__all__ = ["dev", "stack_folder", "stack_state"]

KEY = ec.generate_private_key(ec.SECP256R1())
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
ARC = "1.3.6.1.4.1.57264.1."


def leaf(dev: Local, subject: str = WHO, **claims: str) -> x509.Certificate:
    said = {"iss": URL, "sub": subject, **claims}
    return dev.stack.authority.certify(KEY.public_key(), said, NOW)


def made(
    dev: Local,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    *,
    start: datetime = NOW,
    signer: Any = None,
) -> x509.Certificate:
    """A certificate by the stack's issuer with these extensions and no promise of a log."""
    issuer = dev.stack._state.issuer
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.certificate.subject)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + 10 * MINUTE)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer or issuer.key, hashes.SHA256())


def san(*names: x509.GeneralName) -> tuple[x509.ExtensionType, bool]:
    return x509.SubjectAlternativeName(names or [x509.RFC822Name(WHO)]), True


def said(number: int, value: bytes) -> tuple[x509.ExtensionType, bool]:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{ARC}{number}"), value), False


ISSUER = said(8, utf8(URL))
PURPOSE = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)


@pytest.mark.parametrize(
    "subject", [WHO, "https://ci.example.test/job@refs/heads/main", "builder 7"]
)
def test_a_certificate_names_one_of_three_kinds(dev: Local, subject: str) -> None:
    assert identity(leaf(dev, subject)) == Identity(URL, subject, {})


def test_other_extensions_are_claims(dev: Local) -> None:
    claims = {"sourceRepositoryURI": "https://git.test/a", "githubWorkflowRef": "refs/tags/v1"}

    assert identity(leaf(dev, **claims)).claims == claims


def test_the_older_issuer_alone_counts(dev: Local) -> None:
    certificate = made(dev, [san(), said(1, URL.encode())])

    assert identity(certificate).issuer == URL


def test_two_issuers_are_refused(dev: Local) -> None:
    certificate = made(dev, [san(), said(1, b"https://other.test"), ISSUER])

    with pytest.raises(Refused, match="two issuers"):
        identity(certificate)


@pytest.mark.parametrize(
    ("extensions", "why"),
    [
        ([ISSUER], "exactly one"),
        ([ISSUER, san(x509.RFC822Name(WHO), x509.RFC822Name(WHO))], "exactly one"),
        ([ISSUER, san(x509.DNSName("example.test"))], "foreign kind"),
        ([ISSUER, san(x509.OtherName(x509.ObjectIdentifier("1.2.3"), utf8("x")))], "foreign kind"),
        ([ISSUER, san(x509.OtherName(x509.ObjectIdentifier(f"{ARC}7"), utf8("")))], "empty"),
        ([san()], "no issuer"),
        ([san(), said(1, b"\xff")], "UTF-8"),
        ([san(), ISSUER, said(9, utf8("x" * 5000))], "larger"),
    ],
    ids=["none", "two", "dns", "other", "empty", "issuer", "utf8", "large"],
)
def test_what_names_nobody_is_refused(dev: Local, extensions: Any, why: str) -> None:
    with pytest.raises(Refused, match=why):
        identity(made(dev, extensions))


@pytest.mark.parametrize("value", [b"bare", utf8("x") + b"\0", b"\x0c\x05x"])
def test_a_text_in_der_is_strict(dev: Local, value: bytes) -> None:
    with pytest.raises(Malformed):
        identity(made(dev, [san(), said(8, value)]))


def test_extensions_that_are_not_known_are_no_claims(dev: Local) -> None:
    certificate = made(dev, [san(), ISSUER, said(99, b"?")])

    assert identity(certificate).claims == {}


def test_a_chain_leads_to_the_root(dev: Local) -> None:
    path = verify_chain(leaf(dev), (), dev.root, NOW)

    assert [c.subject.rfc4514_string() for c in path[1:]] == [
        "CN=retinue dev issuer,O=retinue dev stack", "CN=retinue dev root,O=retinue dev stack",
    ]  # fmt: skip


@pytest.mark.parametrize(("at", "good"), [
    (NOW - SECOND, False), (NOW, True), (NOW + 10 * MINUTE, True),
    (NOW + 10 * MINUTE + SECOND / 2, False), (START, False),
])  # fmt: skip
def test_it_was_valid_then_both_ends_included(dev: Local, at: datetime, good: bool) -> None:
    if good:
        verify_chain(leaf(dev), (), dev.root, at)
    else:
        with pytest.raises(Refused, match="was valid from"):
            verify_chain(leaf(dev), (), dev.root, at)


def authority(root: TrustedRoot, **changed: Any) -> TrustedRoot:
    return replace(root, authorities=(replace(root.authorities[0], **changed),))


@pytest.mark.parametrize(("start", "end", "good"), [
    (NOW, NOW, True), (NOW - SECOND, NOW - SECOND, False), (NOW + SECOND, None, False),
])  # fmt: skip
def test_the_authority_was_trusted_then(
    dev: Local, start: datetime, end: datetime | None, good: bool
) -> None:
    root = authority(dev.root, period=Period(start, end))

    if good:
        verify_chain(leaf(dev), (), root, NOW)
    else:
        with pytest.raises(NoAnchor, match="no authority"):
            verify_chain(leaf(dev), (), root, NOW)


def test_intermediates_may_come_with_the_leaf(dev: Local) -> None:
    (found,) = dev.root.authorities
    root = authority(dev.root, chain=found.chain[-1:])

    verify_chain(leaf(dev), found.chain[:1], root, NOW)
    with pytest.raises(NoAnchor):
        verify_chain(leaf(dev), (), root, NOW)


def test_a_foreign_authority_of_the_same_name_is_none(dev: Local, tmp_path: Path) -> None:
    foreign = local(tmp_path)
    certificate = leaf(foreign)
    chain = foreign.root.authorities[0].chain
    foreign.stack.close()

    with pytest.raises(NoAnchor, match="not issued under"):
        verify_chain(certificate, (), dev.root, NOW)
    with pytest.raises(NoAnchor, match="not issued under"):
        verify_chain(certificate, chain, dev.root, NOW)


@pytest.mark.parametrize(
    ("extensions", "why"),
    [
        ([san(), ISSUER], "signing code"),
        ([san(), (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)], "signing code"),
        ([PURPOSE, (x509.BasicConstraints(ca=True, path_length=None), True)], "authority"),
        ([PURPOSE, (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b""), True)],
         "not understood"),
        ([PURPOSE, san()], "has none"),
    ],
    ids=["no purpose", "servers", "authority", "critical", "no log"],
)  # fmt: skip
def test_a_certificate_for_something_else_is_refused(dev: Local, extensions: Any, why: str) -> None:
    with pytest.raises(Refused, match=why):
        verify_chain(made(dev, extensions), (), dev.root, NOW)


def constrained(dev: Local, *, critical: bool) -> TrustedRoot:
    """The stack's root with an issuer whose names are constrained."""
    state = dev.stack._state
    old = state.issuer.certificate
    builder = (
        x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer)
        .public_key(old.public_key()).serial_number(9).not_valid_before(START)
        .not_valid_after(START + timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints([x509.DNSName("example.test")], None), critical)
    )  # fmt: skip
    issuer = builder.sign(state.root.key, hashes.SHA256())
    return authority(dev.root, chain=(issuer, state.root.certificate))


@pytest.mark.parametrize("critical", [True, False])
def test_constraints_of_names_are_not_passed_over(dev: Local, critical: bool) -> None:
    with pytest.raises(Refused, match="not understood"):
        verify_chain(leaf(dev), (), constrained(dev, critical=critical), NOW)


WEAK: dict[str, Callable[[], Any]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 1024),
    "ec": lambda: ec.generate_private_key(ec.SECP192R1()),
}


@pytest.mark.parametrize("kind", WEAK)
def test_a_weak_authority_issues_nothing(dev: Local, kind: str) -> None:
    state = dev.stack._state
    key: Any = WEAK[kind]()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weak")])
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(state.root.certificate.subject)
        .public_key(key.public_key()).serial_number(9).not_valid_before(START)
        .not_valid_after(START + timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )  # fmt: skip
    issuer = builder.sign(state.root.key, hashes.SHA256())
    certificate = (
        x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(name)
        .public_key(KEY.public_key()).serial_number(1).not_valid_before(NOW)
        .not_valid_after(NOW + MINUTE).add_extension(*PURPOSE).sign(key, hashes.SHA256())
    )  # fmt: skip
    root = authority(dev.root, chain=(issuer, state.root.certificate))

    with pytest.raises(NoAnchor, match="not issued under"):
        verify_chain(certificate, (), root, NOW)


def test_a_signer_issues_nothing(dev: Local) -> None:
    """The leaf's own key signs another certificate in its name."""
    above = leaf(dev)
    below = (
        x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(above.subject)
        .public_key(KEY.public_key()).serial_number(1).not_valid_before(NOW)
        .not_valid_after(NOW + MINUTE).add_extension(*PURPOSE).sign(KEY, hashes.SHA256())
    )  # fmt: skip

    with pytest.raises((Refused, NoAnchor)):
        verify_chain(below, (above,), dev.root, NOW)


def logs(root: TrustedRoot, **changed: Any) -> TrustedRoot:
    return replace(root, ct_logs=(replace(root.ct_logs[0], **changed),))


def test_no_log_that_is_trusted_saw_it(dev: Local) -> None:
    with pytest.raises(NoAnchor, match="none by a log"):
        verify_chain(leaf(dev), (), replace(dev.root, ct_logs=()), NOW)


def test_a_promise_by_another_key_is_refused(dev: Local) -> None:
    root = logs(dev.root, key=dev.root.logs[0].key)

    with pytest.raises(Refused, match="does not verify"):
        verify_chain(leaf(dev), (), root, NOW)


@pytest.mark.parametrize(("start", "end", "good"), [
    (NOW, NOW, True), (NOW - MINUTE, NOW - SECOND, False), (NOW + SECOND, None, False),
])  # fmt: skip
def test_a_promise_outside_of_the_logs_period_is_refused(
    dev: Local, start: datetime, end: datetime | None, good: bool
) -> None:
    root = logs(dev.root, period=Period(start, end))

    if good:
        verify_chain(leaf(dev), (), root, NOW)
    else:
        with pytest.raises(Refused, match="was not trusted"):
            verify_chain(leaf(dev), (), root, NOW)


def test_a_promise_is_of_one_certificate(dev: Local) -> None:
    promise = leaf(dev).extensions.get_extension_for_oid(
        ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS
    )
    other = made(dev, [san(x509.RFC822Name("eve@example.test")), ISSUER, PURPOSE,
                       (promise.value, False)])  # fmt: skip

    with pytest.raises(Refused, match="does not verify"):
        verify_chain(other, (), dev.root, NOW)


SCT_LIST = ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS


def promised(dev: Local, content: bytes) -> x509.Certificate:
    """With these bytes where the promises of logs belong."""
    extension = x509.UnrecognizedExtension(SCT_LIST, content)
    return made(dev, [san(), ISSUER, PURPOSE, (extension, False)])


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", octets(b""), octets(b"\x00\x05abc"), octets(b"\x00\x03\x00\x01\x07")],
)
def test_promises_that_cannot_be_read_are_refused(dev: Local, content: bytes) -> None:
    with pytest.raises((Malformed, Refused)):
        verify_chain(promised(dev, content), (), dev.root, NOW)


def promises_of(certificate: x509.Certificate) -> bytes:
    """The one promise in a certificate, as TLS writes it."""
    found = certificate.extensions.get_extension_for_oid(SCT_LIST).value.public_bytes()
    return Reader(found, "promises").octets()[2:]


@pytest.mark.parametrize(("copies", "why"), [(16, "does not verify"), (17, "are allowed")])
def test_promises_are_bounded(dev: Local, copies: int, why: str) -> None:
    many = promises_of(leaf(dev)) * copies
    content = octets(len(many).to_bytes(2, "big") + many)

    with pytest.raises(Refused, match=why):
        verify_chain(promised(dev, content), (), dev.root, NOW)


def outcome(raw: bytes, root: TrustedRoot) -> Identity | None:
    """None: refused, as what cannot be read."""
    try:
        certificate = load_certificate(raw, "certificate")
        verify_chain(certificate, (), root, NOW)
        return identity(certificate)
    except EvidenceError:
        return None


def test_every_changed_byte_is_refused_or_names_the_same(dev: Local) -> None:
    """Some do not count: how many bits the signature's last byte leaves unused."""
    raw = leaf(dev, sourceRepositoryURI="https://git.test/a").public_bytes(Encoding.DER)
    root = dev.root
    expected = outcome(raw, root)
    assert expected is not None

    found = [
        outcome(raw[:at] + bytes((raw[at] ^ 1 << at % 8,)) + raw[at + 1 :], root)
        for at in range(len(raw))
    ]

    assert all(each is None or each == expected for each in found)
    assert found.count(None) > len(found) - 5


def anchor(root: TrustedRoot, **names: Any) -> KeylessAnchor:
    return KeylessAnchor("dev", root, URL, **names)


@pytest.mark.parametrize(
    ("names", "good"),
    [
        ({"identity": WHO}, True),
        ({"identity": WHO.upper()}, False),
        ({"identity": "dev@example.tes"}, False),
        ({"identity_re2": r".*@example\.test"}, True),
        ({"identity_re2": r"@example\.test"}, False),
        ({"identity_re2": r"dev@example"}, False),
        ({"identity_re2": r"dev@example\.test|x"}, True),
        ({}, False),
    ],
    ids=range(8),
)
def test_an_anchor_means_the_whole_name(dev: Local, names: dict[str, str], good: bool) -> None:
    assert match(Identity(URL, WHO, {}), anchor(dev.root, **names)) is good


def test_an_anchor_means_one_issuer(dev: Local) -> None:
    who = Identity(URL + "/", WHO, {})

    assert not match(who, anchor(dev.root, identity=WHO))


def test_a_name_with_a_line_break_is_no_match(dev: Local) -> None:
    who = Identity(URL, WHO + "\n", {})

    assert not match(who, anchor(dev.root, identity_re2=r".*@example\.test"))


def test_what_the_log_saw_is_what_was_signed(dev: Local) -> None:
    """The promise is over the certificate without the promise, under the issuer's key."""
    certificate = leaf(dev)
    (sct,) = certificate.extensions.get_extension_for_class(
        x509.PrecertificateSignedCertificateTimestamps
    ).value

    assert hashlib.sha256(dev.root.ct_logs[0].key.spki).digest() == sct.log_id
    assert sct.timestamp == NOW.replace(tzinfo=None)
