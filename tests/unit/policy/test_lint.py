"""What `policy check` says of a policy that is valid, and may not mean what it says."""

from datetime import timedelta
from typing import Any

import pytest

from policies import DAY, NOW, TRUST, VULN, anchor, attestation, policy, rule, signatures
from retinue.attest.anchors import KeylessAnchor, Trust
from retinue.attest.root import TrustedRoot
from retinue.papers.kinds import Kind
from retinue.policy import lint
from retinue.policy.cel import compiled
from retinue.policy.globs import Glob
from retinue.policy.model import (
    Coverage,
    Mode,
    PaperType,
    Policy,
    Revocation,
    Rule,
    Select,
    Tags,
    Unmatched,
)
from retinue.policy.schemas import Schema

LISTED = Revocation(("security",), list="reg.acme/trust", max_age=DAY)
GOOD = rule(signatures=signatures(1, "ci", "release"))


def fields(checked: Policy) -> list[str]:
    return [advice.field for advice in lint.check(checked, NOW)]


def of(*rules: Rule, **more: Any) -> Policy:
    given = {"revocation": LISTED, "trust": Trust(TRUST.anchors), **more}
    return policy(*(rules or (GOOD,)), **given)


def keyless(expression: str) -> Trust:
    root = TrustedRoot("0")
    return Trust((*TRUST.anchors, KeylessAnchor("id", root, "https://issuer", None, expression)))


def test_a_good_policy_needs_no_advice() -> None:
    assert lint.check(of(), NOW) == ()


@pytest.mark.parametrize(
    ("left", "soon"), [(timedelta(days=29), True), (timedelta(days=31), None), (-DAY, False)]
)
def test_keys_that_end_within_a_month_are_told_of(left: timedelta, soon: bool | None) -> None:
    trust = Trust((anchor("ci", until=NOW + left), *TRUST.anchors[1:]))

    found = [advice for advice in lint.check(of(trust=trust), NOW) if ".until" in advice.field]

    assert [advice.soon for advice in found] == ([] if soon is None else [soon])


def test_an_anchor_whose_keys_are_all_gone_signs_nothing_more() -> None:
    trust = Trust((anchor("ci", revoked=NOW), *TRUST.anchors[1:]))

    assert fields(of(trust=trust)) == ["anchors.ci.keys"]


@pytest.mark.parametrize(
    ("checked", "field"),
    [
        (of(revocation=None), "revocation"),
        (of(revocation=Revocation(("security",))), "revocation.list"),
        (of(revocation=Revocation(("security",), list="r/l")), "revocation.max_age"),
        (of(unmatched=Unmatched.ALLOW), "unmatched"),
        (of(rule(signatures=signatures(), mode=Mode.WARN)), "rule"),
        (of(rule(signatures=signatures(), excepted=(Glob("reg.acme/**"),))), "rule[0].except"),
        (
            of(rule(signatures=signatures(), images=(Glob("r/a"),), excepted=(Glob("r/*"),))),
            "rule[0].images[0]",
        ),
        (of(GOOD, rule("again", signatures=signatures(1, "ci", "release"))), "rule[1]"),
        (of(rule(signatures=signatures(1, "ci"))), "anchors.release"),
        (of(rule(signatures=signatures(), tag=Tags.SIGNED)), "rule[0].tag"),
        (
            of(rule(attestations=(attestation(by=("ci", "release")),), index=Coverage.PARENT)),
            "rule[0].index",
        ),
        (
            of(rule(attestations=(attestation(by=("ci", "release"), select=Select.ALL),))),
            "rule[0].attestation[0].max_age",
        ),
        (
            of(rule(attestations=(attestation(by=("ci", "release"), max_age=DAY),))),
            "rule[0].attestation[0].max_age",
        ),
        (
            of(
                rule(
                    attestations=(
                        attestation(
                            by=("ci", "release"),
                            type=PaperType(VULN, Kind.VULNERABILITIES),
                        ),
                    )
                )
            ),
            "rule[0].attestation[0].select",
        ),
    ],
)
def test_what_may_not_be_meant_is_told_where_it_stands(checked: Policy, field: str) -> None:
    assert field in fields(checked)


def test_a_policy_without_rules_is_told_of() -> None:
    assert "rule" in fields(policy())


@pytest.mark.parametrize(
    ("expression", "told"),
    [(".*", True), ("https://github.com/acme.*", True), (r"https://x/a\.yml@refs/tags/v.+", False)],
)
def test_identities_that_take_strangers_are_told_of(expression: str, told: bool) -> None:
    signed = rule(signatures=signatures(1, "ci", "release", "id"))

    assert ("anchors.id" in fields(of(signed, trust=keyless(expression)))) is told


def test_ages_of_papers_signed_by_keys_are_told_of() -> None:
    asked = rule(attestations=(attestation(by=("ci", "release"), max_age=DAY),))

    def said(trust: Trust) -> list[str]:
        found = lint.check(of(asked, trust=trust), NOW)
        return [advice.text for advice in found if advice.field.endswith("max_age")]

    assert said(Trust(TRUST.anchors)) == [
        "papers by 'ci' have no trusted time here, so none is ever young enough"
    ]
    assert said(TRUST) == ["'ci' signs by key: whoever has an old paper can have it stamped anew"]


def test_what_a_schema_or_an_expression_never_says_no_to_is_told() -> None:
    sboms = PaperType("sbom", Kind.SBOM)
    empty = (Schema({}, "s.json"), compiled("predicate.a || true", ""))
    full = (Schema({"required": ["a"]}, ""), compiled("predicate.a", ""))

    assert fields(of(rule(attestations=(attestation(type=sboms, demands=empty),)), GOOD)) == [
        "rule[0].attestation[0].schema",
        "rule[0].attestation[0].cel",
    ]
    assert fields(of(rule(attestations=(attestation(type=sboms, demands=full),)), GOOD)) == []
