"""Whether the revocation list at hand may be believed (trust.md 8 and 14; policy file 2).

What it voids is applied to each paper, in `standing`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from retinue.papers.facts import Findings
from retinue.policy.decision import Operation, Outcome, Reason, Request
from retinue.policy.model import Policy, Rule
from retinue.policy.rules.evidence import Case, Hearing
from retinue.policy.rules.standing import disowned
from retinue.policy.units import later

if TYPE_CHECKING:
    from retinue.papers.revocations import Revocations

CHECK = "revocation list"


def check(hearing: Hearing) -> Reason | None:
    """A line where the policy names a list: without a fresh one nothing that is enforced passes."""
    policy, rule, revocations = hearing.case.policy, hearing.rule, hearing.case.revocations
    if policy.revocation is None or policy.revocation.list is None:
        return None
    if revocations is None or revocations.name != policy.revocation.list:
        why = f"there is no valid list at hand; it is kept in {policy.revocation.list}"
        return Reason(rule.name, CHECK, Outcome.UNDECIDED, why, None, rule.enforced)
    against = _unsigned(hearing, revocations)
    if against is not None:
        why = f"version {revocations.version} is not to be believed: its signature {against}"
        return Reason(rule.name, CHECK, Outcome.UNDECIDED, why, None, rule.enforced)
    ended = [each for each in ends(policy, revocations) if hearing.now >= each]
    if ended:
        why = f"version {revocations.version} is too old since {min(ended):%Y-%m-%dT%H:%M:%SZ}"
        return Reason(rule.name, CHECK, Outcome.UNDECIDED, why, None, rule.enforced)
    why = f"version {revocations.version}"
    return Reason(rule.name, CHECK, Outcome.PASSED, why, None, rule.enforced)


def _unsigned(hearing: Hearing, revocations: "Revocations") -> str | None:
    """Why its signature does not count; None: it does."""
    terms = hearing.case.policy.revocation
    if revocations.signed is None or terms is None:
        return "was not verified"
    return disowned(hearing, revocations.signed, terms.revokers)


def objection_to(policy: Policy, revocations: "Revocations", now: datetime) -> str | None:
    """Why some rule does not take the signature of a list; None: all do."""
    fact = revocations.signed
    if fact is None:
        return "was not verified"
    request = Request(revocations.name, fact.subject, Operation.CLI)
    case = Case(policy, request, Findings((), {}), revocations)
    for rule in policy.rules or (Rule("", ()),):
        why = _unsigned(Hearing(case, rule, now), revocations)
        if why is not None:
            return why
    return None


def ends(policy: Policy, revocations: "Revocations | None") -> Iterator[datetime]:
    """When the list ceases to be believed."""
    terms = policy.revocation
    if terms is None or terms.list is None or revocations is None:
        return
    yield revocations.expires
    if terms.max_age is not None:
        yield later(revocations.issued, terms.max_age)
