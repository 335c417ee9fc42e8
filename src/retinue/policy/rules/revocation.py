"""Whether the revocation list at hand may be believed (trust.md 8; policy file 2).

What it voids is applied to each paper, in `standing`.
"""

from collections.abc import Iterator
from datetime import datetime

from retinue.papers.revocations import Revocations
from retinue.policy.decision import Outcome, Reason
from retinue.policy.model import Policy, Rule
from retinue.policy.units import later

CHECK = "revocation list"


def check(
    policy: Policy, rule: Rule, revocations: Revocations | None, now: datetime
) -> Reason | None:
    """A line where the policy names a list: without a fresh one nothing that is enforced passes."""
    if policy.revocation is None or policy.revocation.list is None:
        return None
    if revocations is None or revocations.name != policy.revocation.list:
        why = f"there is no valid list at hand; it is kept in {policy.revocation.list}"
        return Reason(rule.name, CHECK, Outcome.UNDECIDED, why, None, rule.enforced)
    ended = [each for each in ends(policy, revocations) if now >= each]
    if ended:
        why = f"version {revocations.version} is too old since {min(ended):%Y-%m-%dT%H:%M:%SZ}"
        return Reason(rule.name, CHECK, Outcome.UNDECIDED, why, None, rule.enforced)
    why = f"version {revocations.version}"
    return Reason(rule.name, CHECK, Outcome.PASSED, why, None, rule.enforced)


def ends(policy: Policy, revocations: Revocations | None) -> Iterator[datetime]:
    """When the list ceases to be believed."""
    terms = policy.revocation
    if terms is None or terms.list is None or revocations is None:
        return
    yield revocations.expires
    if terms.max_age is not None:
        yield later(revocations.issued, terms.max_age)
