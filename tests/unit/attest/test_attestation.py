import doctest
import json

import pytest

from retinue.attest import attestation
from retinue.attest.attestation import Attestation
from retinue.attest.errors import Malformed, Refused
from retinue.attest.verify import verify_bundle
from retinue.oci.digest import of
from signing import anchored, target
from trust_vectors import private

P = "https://example.com/p"
IMAGE = target().digest
OTHER = of(b"another manifest")


def test_the_example_is_true() -> None:
    result = doctest.testmod(attestation)
    assert (result.failed, result.attempted > 0) == (0, True)


def test_what_is_signed_is_proven() -> None:
    made = Attestation(P, b'{ "a":1 }', (("app", IMAGE),))
    proof = verify_bundle(made.sign(private("p256")), target(), anchored("p256"))
    assert proof.statement is not None
    assert (
        proof.statement.predicate_type,
        proof.statement.predicate,
        proof.statement.subjects[0].name,
    ) == (P, b'{ "a":1 }', "app")


def test_a_subject_takes_the_place_of_those_before() -> None:
    made = Attestation(P, b"{}", (("a", OTHER),)).with_subject("b", IMAGE)
    assert made.subjects == (("b", IMAGE),)


def test_publishing_fills_in_a_subject_only_where_there_is_none() -> None:
    empty, given = Attestation(P, b"{}"), Attestation(P, b"{}", (("a", OTHER), ("b", IMAGE)))
    assert empty.about("app", IMAGE).subjects == (("app", IMAGE),)
    assert given.about("app", IMAGE) is given


def test_publishing_about_another_image_is_refused() -> None:
    with pytest.raises(Refused, match=f"is about {OTHER}, not about {IMAGE} .app."):
        Attestation(P, b"{}", (("a", OTHER),)).about("app", IMAGE)


def test_an_attestation_about_nothing_is_not_signed() -> None:
    with pytest.raises(Malformed, match="is about nothing"):
        Attestation(P, b"{}").sign(private("p256"))


@pytest.mark.parametrize("predicate", [b"", b"{", b"{}{}"])
def test_a_predicate_must_be_json(predicate: bytes) -> None:
    with pytest.raises(Malformed):
        Attestation(P, predicate, (("a", IMAGE),)).statement()


@pytest.mark.parametrize("predicate", [{"a": {1, 2}}, float("nan"), {"a": b"x"}])
def test_what_json_cannot_hold_is_told(predicate: object) -> None:
    with pytest.raises(Malformed, match="JSON cannot hold it"):
        Attestation.of(P, predicate)


@pytest.mark.parametrize("version", ["0.1", "1"])
def test_a_statement_of_somebody_else_is_taken_as_it_is(version: str) -> None:
    made = Attestation(P, b'{ "a":1 }', (("a", OTHER), ("", of(b"x", "sha512"))))
    assert made == Attestation.from_statement(made.statement(version=version))


@pytest.mark.parametrize("digest", [{}, {"sha1": "00"}, {"sha256": "AB" * 32}])
def test_a_statement_about_what_no_digest_names_is_refused(digest: dict[str, str]) -> None:
    document = {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": P,
        "subject": [{"digest": digest}],
        "predicate": {},
    }
    with pytest.raises(Malformed, match="a subject has only"):
        Attestation.from_statement(json.dumps(document).encode())
