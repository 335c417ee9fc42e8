"""Which claims of predicates a policy has read: no more than its rules compare."""

import pytest

from retinue.attest.anchors import Trust
from retinue.papers.facts import Wanted
from retinue.papers.kinds import SHORT, Kind
from retinue.policy.decision import Operation
from retinue.policy.globs import Glob
from retinue.policy.model import Attestation, PaperType, Policy, Rule, Sbom, Slsa, Unmatched

PROVENANCE = PaperType("slsa-provenance", Kind.PROVENANCE)
BY_TYPE = PaperType("slsaprovenance1", None, frozenset({SHORT["slsaprovenance1"]}))
SCANS = PaperType("vuln", Kind.VULNERABILITIES)
SBOMS = PaperType("sbom", Kind.SBOM)
NOTHING = Wanted(provenance=False, sboms=False)
OF_PROVENANCE = Wanted(provenance=True, sboms=False)


def wanted(*attestations: Attestation) -> Wanted:
    rule = Rule("all", (Glob("**"),), attestations=attestations)
    return Policy("0" * 64, Unmatched.REFUSE, (rule,), Trust(())).wanted(Operation.CLI)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Attestation(SCANS, ("ci",)), NOTHING),
        (Attestation(PROVENANCE, ("ci",), builders=False), NOTHING),
        (Attestation(PROVENANCE, ("ci",)), OF_PROVENANCE),
        (Attestation(BY_TYPE, ("ci",)), OF_PROVENANCE),
        (Attestation(PROVENANCE, ("ci",), slsa=Slsa(), builders=False), OF_PROVENANCE),
        (Attestation(SBOMS, ("ci",)), NOTHING),
        (Attestation(SBOMS, ("ci",), sbom=Sbom(1)), Wanted(provenance=False, sboms=True)),
    ],
)
def test_only_what_is_compared_is_read(asked: Attestation, expected: Wanted) -> None:
    assert expected == wanted(asked)


def test_without_attestations_nothing_is_read() -> None:
    assert wanted() == NOTHING
