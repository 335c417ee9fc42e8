"""Paths of certificates: who may issue what, how far down, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from retinue.attest.chain import check_path
from retinue.attest.errors import Malformed, NoAnchor, Refused

AT = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CODE = ExtendedKeyUsageOID.CODE_SIGNING
AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)


@cache
def key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Cert:
    """A certificate for `name` by `issuer`, which signs with its own key unless `by` does."""

    name: str
    issuer: str
    extensions: Sequence[x509.ExtensionType] = field(default=(AUTHORITY,))
    start: datetime = AT - DAY
    end: datetime = AT + DAY
    by: str = ""

    def make(self) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder().subject_name(named(self.name))
            .issuer_name(named(self.issuer)).public_key(key(self.name).public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(self.start)
            .not_valid_after(self.end)
        )  # fmt: skip
        for extension in self.extensions:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(key(self.by or self.issuer), hashes.SHA256())


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def check(leaf: Cert, anchor: Cert, *between: Cert) -> list[str]:
    """The names on the path."""
    made = [each.make() for each in between]
    path = check_path(leaf.make(), (anchor.make(),), made, CODE, AT, "certificate")
    return [each.subject.rfc4514_string() for each in path]


def usage(*, certificates: bool) -> x509.KeyUsage:
    no: dict[str, Any] = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only", "crl_sign"), False,
    )  # fmt: skip
    return x509.KeyUsage(digital_signature=True, key_cert_sign=certificates, **no)


ROOT = Cert("root", "root")
MIDDLE = Cert("middle", "root")
LOW = Cert("low", "middle")
LEAF = Cert("leaf", "root", ())


def test_a_root_issues() -> None:
    assert check(LEAF, ROOT) == ["CN=leaf", "CN=root"]


def test_a_path_is_found_in_any_order() -> None:
    leaf = Cert("leaf", "low", ())

    assert check(leaf, ROOT, Cert("x", "root"), LOW, MIDDLE) == [
        "CN=leaf", "CN=low", "CN=middle", "CN=root",
    ]  # fmt: skip


def test_an_anchor_need_not_be_a_root() -> None:
    assert check(Cert("leaf", "middle", ()), MIDDLE) == ["CN=leaf", "CN=middle"]


def test_a_renewed_authority_counts_with_what_was_valid_then() -> None:
    old = Cert("middle", "root", end=AT - timedelta(hours=1))

    assert check(Cert("leaf", "middle", ()), ROOT, old, MIDDLE)[1] == "CN=middle"


def limited(depth: int) -> tuple[x509.BasicConstraints]:
    return (x509.BasicConstraints(ca=True, path_length=depth),)


@pytest.mark.parametrize(("depth", "good"), [(0, False), (1, False), (2, True)])
def test_an_authority_may_limit_how_far_down_it_reaches(depth: int, good: bool) -> None:
    root = Cert("root", "root", limited(depth))
    leaf = Cert("leaf", "low", ())

    if good:
        assert len(check(leaf, root, MIDDLE, LOW)) == 4
    else:
        with pytest.raises(Refused, match="that far above"):
            check(leaf, root, MIDDLE, LOW)


WRONG: Mapping[str, Sequence[x509.ExtensionType]] = {
    "no authority": (),
    "expressly none": (x509.BasicConstraints(ca=False, path_length=None),),
    "no certificates": (AUTHORITY, usage(certificates=False)),
    "another purpose": (AUTHORITY, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
    "critical": (AUTHORITY, x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"")),
}


@pytest.mark.parametrize("where", ["between", "anchor"])
@pytest.mark.parametrize("what", WRONG)
def test_who_may_not_issue_does_not(what: str, where: str) -> None:
    leaf = Cert("leaf", "middle", ())
    middle = Cert("middle", "root", WRONG[what])
    anchor, between = (ROOT, (middle,)) if where == "between" else (middle, ())

    with pytest.raises(Refused):
        check(leaf, anchor, *between)


@pytest.mark.parametrize("purpose", [CODE, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
def test_who_may_issue_for_this_use_does(purpose: x509.ObjectIdentifier) -> None:
    extensions = (AUTHORITY, x509.ExtendedKeyUsage([purpose]), usage(certificates=True))

    assert len(check(Cert("leaf", "middle", ()), ROOT, Cert("middle", "root", extensions))) == 3


@pytest.mark.parametrize("which", ["leaf", "between", "anchor"])
@pytest.mark.parametrize("shift", [-1, 1])
def test_all_were_valid_then(which: str, shift: int) -> None:
    start, end = AT - DAY + 3 * shift * DAY, AT + DAY + 3 * shift * DAY
    certs = {"leaf": Cert("leaf", "middle", ()), "between": MIDDLE, "anchor": ROOT}
    certs[which] = replace(certs[which], start=start, end=end)

    with pytest.raises(Refused, match="was valid from"):
        check(certs["leaf"], certs["anchor"], certs["between"])


@pytest.mark.parametrize(
    ("leaf", "between"),
    [
        (Cert("leaf", "unknown", ()), ()),
        (Cert("leaf", "root", (), by="other"), ()),
        (Cert("leaf", "middle", ()), ()),
        (Cert("leaf", "middle", ()), (Cert("middle", "root", by="other"),)),
        (Cert("leaf", "a", ()), (Cert("a", "b"), Cert("b", "a"))),
        (Cert("leaf", "a", ()), (Cert("a", "a"),)),
        (Cert("leaf", "a0", ()), tuple(Cert(f"a{n}", f"a{n + 1}") for n in range(12))),
    ],
    ids=["unknown", "forged", "gap", "forged between", "circle", "own", "long"],
)
def test_a_path_that_leads_nowhere_is_no_anchor(leaf: Cert, between: Sequence[Cert]) -> None:
    with pytest.raises(NoAnchor, match="not issued under the root CN=root"):
        check(leaf, ROOT, *between)


def test_an_authority_is_no_signer() -> None:
    with pytest.raises(Refused, match="of an authority"):
        check(MIDDLE, ROOT)
    with pytest.raises(Refused, match="of an authority"):
        check(ROOT, ROOT)


def test_extensions_that_cannot_be_read_are_malformed() -> None:
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.15"), b"\x04\x00")

    with pytest.raises(Malformed):
        check(Cert("leaf", "root", (broken,)), ROOT)
