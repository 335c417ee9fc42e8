"""Digests that are denied, whatever speaks for them (trust.md: policy file 3)."""

from retinue.oci.digest import Digest
from retinue.policy.decision import Outcome, Reason
from retinue.policy.rules.evidence import Case

CHECK = "deny"


def denied(case: Case, digest: Digest) -> Reason | None:
    """The refusal of a digest that the policy denies.

    The other digests of the same bytes count, too: signatures carry over to a copy under SHA-512,
    and so must this.
    """
    for each in case.same_as(digest):
        why = case.policy.deny.get(each)
        if why is not None:
            return Reason(CHECK, CHECK, Outcome.FAILED, why)
    return None
