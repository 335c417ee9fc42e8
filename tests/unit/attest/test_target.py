import hashlib

import pytest

from retinue.attest.errors import Refused
from retinue.attest.statement import Statement, Subject
from retinue.attest.target import Target
from retinue.oci import digest as digests
from retinue.oci import names
from signing import MANIFEST, target

S256 = hashlib.sha256(MANIFEST).hexdigest()
S512 = hashlib.sha512(MANIFEST).hexdigest()
OTHER = "0" * 64


@pytest.mark.parametrize(
    ("asked", "digests", "same"),
    [
        ("sha256", {"sha256": S256}, True),
        ("sha256", {"sha256": S256, "sha512": "wrong", "sha1": "wrong"}, True),
        ("sha256", {"sha256": S256.upper()}, False),
        ("sha256", {"sha256": OTHER}, False),
        ("sha256", {"sha512": S512}, False),
        ("sha256", {"sha1": hashlib.sha1(MANIFEST).hexdigest()}, False),
        ("sha256", {"SHA256": S256}, False),
        ("sha256", {}, False),
        ("sha512", {"sha512": S512}, True),
        ("sha512", {"sha256": S256}, True),
        ("sha512", {"sha256": S256, "sha512": S512}, True),
        ("sha512", {"sha256": OTHER, "sha512": S512}, False),
        ("sha512", {"sha256": S256, "sha512": OTHER * 2}, False),
        ("sha512", {"sha256": OTHER}, False),
        ("sha512", {"sha512": S512.upper()}, False),
    ],
)
def test_digests_of_a_manifest(asked: str, digests: dict[str, str], same: bool) -> None:
    assert same == target(algorithm=asked).names_it(digests)


def test_bytes_that_are_not_the_digests_are_refused() -> None:
    with pytest.raises(Refused, match="manifest: its bytes have the digest"):
        Target(digests.of(b"others"), names.OCI_MANIFEST, MANIFEST)


def test_one_of_several_subjects_may_be_the_manifest() -> None:
    subjects = (Subject("a", {"sha256": OTHER}, {}), Subject("b", {"sha256": S256}, {}))
    statement = Statement("1", subjects, "https://example.com/p", b"{}")
    assert target().subject_of(statement) is subjects[1]


def test_a_statement_about_others_is_refused() -> None:
    statement = Statement("1", (Subject("a", {"sha256": OTHER}, {}),), "https://x", b"{}")
    with pytest.raises(Refused, match=f"is not about sha256:{S256} but about .*{OTHER}"):
        target().subject_of(statement)
