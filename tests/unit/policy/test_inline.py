"""Policies in a few words, as `verify` takes them from the command line."""

from typing import Any

import pytest
from msgspec.structs import replace

from policies import NOW, Named, certificate_pem, fact, judged, scan
from retinue.attest.anchors import KeylessAnchor, TimeAnchor, X509Anchor
from retinue.attest.root import TrustedRoot
from retinue.papers.facts import Verdict
from retinue.papers.kinds import Kind
from retinue.policy.anchors import certificates
from retinue.policy.errors import PolicyInvalid
from retinue.policy.inline import Words, policy
from retinue.policy.model import Coverage

CI, OTHER = Named("ci"), Named("other")
ROOT = TrustedRoot("0" * 64)
IDENTITY = Words(identity="https://x", issuer="https://issuer", root=ROOT)
CERTIFICATES = certificates(certificate_pem("ca.pem").encode(), "ca")


def by_key(name: str = "key", **more: Any) -> Any:
    return fact(name, **{"principal": f"key:{name}", "anchors": (name,), **more})


def test_a_key_must_have_signed() -> None:
    by = policy(Words(keys=[CI]))

    assert judged(by, by_key()).allowed
    assert not judged(by).allowed
    assert not judged(by, by_key(verdict=Verdict.FAILED)).allowed


def test_of_several_keys_one_will_do_unless_more_are_asked_for() -> None:
    one = policy(Words(keys=[CI, OTHER]))
    two = policy(Words(keys=[CI, OTHER], signers=2))

    assert judged(one, by_key("key 2")).allowed
    assert not judged(two, by_key("key 2")).allowed
    assert judged(two, by_key("key 1"), by_key("key 2")).allowed


def test_a_key_given_twice_is_one() -> None:
    (anchor,) = policy(Words(keys=[CI, CI])).trust.anchors

    assert anchor.name == "key"


def test_every_image_and_operation_is_meant() -> None:
    by = policy(Words(keys=[CI]))

    assert judged(by, by_key(), image="oci:/somewhere/else").allowed
    assert judged(by, by_key(), image="docker.io/library/alpine").allowed


def test_annotations_must_be_signed() -> None:
    by = policy(Words(keys=[CI], annotations={"a": "b"}))

    assert not judged(by, by_key()).allowed
    assert judged(by, by_key(annotations={"a": "b"})).allowed


def test_a_log_can_be_demanded() -> None:
    by = policy(Words(keys=[CI], log_required=True))

    assert not judged(by, by_key()).allowed
    assert judged(by, by_key(logged=True)).allowed


def test_an_attestation_is_wanted_where_its_type_is_said() -> None:
    by = policy(Words(keys=[CI], predicate_type="vuln"))

    assert not judged(by, by_key()).allowed
    assert judged(by, scan("key")).allowed


def test_builders_are_not_asked_about_in_few_words() -> None:
    by = policy(Words(keys=[CI], predicate_type="slsa-provenance"))

    assert judged(by, by_key(kind=Kind.PROVENANCE, claims={"builder": "x"})).allowed


def test_an_identity_comes_with_issuer_and_root() -> None:
    (anchor,) = policy(IDENTITY).trust.anchors

    assert anchor == KeylessAnchor("identity", ROOT, "https://issuer", "https://x")
    assert policy(IDENTITY).trust.roots == (ROOT,)


def test_certificates_of_an_authority() -> None:
    by = policy(Words(ca_roots=CERTIFICATES, subject={"O": "Acme"}))

    (anchor,) = by.trust.anchors
    assert isinstance(anchor, X509Anchor)
    assert anchor.subject == {"O": "Acme"}


def test_papers_elsewhere_and_platforms() -> None:
    by = policy(Words(keys=[CI], papers_in=["reg/sigs"], index=Coverage.EVERY))

    assert by.papers_in == ("reg/sigs",)
    assert by.rules[0].index is Coverage.EVERY


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (Words(), "command line"),
        (Words(issuer="https://i"), "identity"),
        (replace(IDENTITY, identity_re2="x"), "identity"),
        (replace(IDENTITY, identity=None, identity_re2="(?=x)"), "identity"),
        (replace(IDENTITY, issuer=None), "issuer"),
        (replace(IDENTITY, root=None), "root"),
        (Words(keys=[CI], signers=0), "signers"),
        (Words(keys=[CI], signers=2, predicate_type="vuln"), "signers"),
        (Words(keys=[CI], annotations={"a": "b"}, predicate_type="vuln"), "annotations"),
        (Words(keys=[CI], predicate_type="what"), "type"),
    ],
)
def test_words_that_say_too_little_or_too_much(words: Words, field: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        policy(words)
    assert caught.value.field == field


def test_the_digest_tells_policies_apart() -> None:
    different = [
        Words(keys=[CI]),
        Words(keys=[OTHER]),
        Words(keys=[CI, OTHER]),
        Words(keys=[CI, OTHER], signers=2),
        Words(keys=[CI], annotations={"a": "b"}),
        Words(keys=[CI], predicate_type="vuln"),
        Words(keys=[CI], times=[TimeAnchor("t", CERTIFICATES)]),
        Words(keys=[CI], root=ROOT),
        Words(keys=[CI], root=TrustedRoot("1" * 64)),
        IDENTITY,
        replace(IDENTITY, identity=None, identity_re2="https://x"),
        Words(ca_roots=CERTIFICATES),
        Words(ca_roots=CERTIFICATES, subject={"O": "Acme"}),
    ]

    assert len({policy(words).digest for words in different}) == len(different)
    assert policy(different[0]).epoch == policy(Words(keys=[CI])).epoch
    assert judged(policy(different[0]), by_key(), now=NOW).epoch == policy(different[0]).epoch


def test_the_digest_is_the_same_in_every_process() -> None:
    expected = "f8b10f95b2e603407cc7369f5b908364fdd358ff5643b661c688573074758e96"

    assert policy(Words(keys=[CI])).digest == expected
