"""Digests that are denied, whatever speaks for them (trust.md, policy file 3)."""

from retinue.oci.digest import Digest
from retinue.policy.decision import Outcome, Reason
from retinue.policy.model import Policy

CHECK = "deny"


def denied(policy: Policy, digest: Digest) -> Reason | None:
    """The refusal of a digest that the policy denies."""
    why = policy.deny.get(digest)
    return Reason(CHECK, CHECK, Outcome.FAILED, why) if why is not None else None
