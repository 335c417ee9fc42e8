"""What is known when a rule is asked: the facts, ordered for it, and what has been revoked."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from retinue.attest.proof import Clock, TrustedTime
from retinue.oci.digest import Digest
from retinue.papers.facts import Fact, Findings, Verdict
from retinue.policy.anchors import LOG
from retinue.policy.decision import Request
from retinue.policy.model import Policy, Rule
from retinue.policy.rules.signers import signers_of

if TYPE_CHECKING:
    from retinue.papers.revocations import Revocation, Revocations


class Case(Struct, frozen=True, dict=True):
    """One question with all evidence, without the time at which it is asked."""

    policy: Policy
    request: Request
    findings: Findings
    revocations: "Revocations | None"

    @property
    def blind(self) -> bool:
        return bool(self.findings.blind)

    @cached_property
    def facts(self) -> Sequence[Fact]:
        """All facts in an order of their own: how they were found makes no difference."""
        return sorted(self.findings.facts, key=_order)

    def about(self, subject: Digest) -> Sequence[Fact]:
        return self._by_subject.get(subject, ())

    def same_as(self, digest: Digest) -> Collection[Digest]:
        """A digest, and the others of the same bytes as far as they are known."""
        known = [self.request.aliases] if digest == self.request.digest else []
        known += [fact.aliases for fact in self.about(digest) if fact.subject == digest]
        return dict.fromkeys((digest, *(each for aliases in known for each in aliases)))

    @cached_property
    def _by_subject(self) -> Mapping[Digest, Sequence[Fact]]:
        found: dict[Digest, list[Fact]] = defaultdict(list)
        for fact in self.facts:
            for digest in dict.fromkeys((fact.subject, *fact.aliases)):
                found[digest].append(fact)
        return found

    @cached_property
    def _times(self) -> Mapping[str, frozenset[TrustedTime]]:
        """All trusted times of a signature, in whichever of its copies they were found.

        A copy without its timestamp would else be younger than the signature that it is.
        """
        found: dict[str, set[TrustedTime]] = defaultdict(set)
        for fact in self._verified:
            found[fact.signature or ""].update(fact.times)
        return {signature: frozenset(times) for signature, times in found.items() if signature}

    @cached_property
    def _logged(self) -> frozenset[str | None]:
        return frozenset(fact.signature for fact in self._verified if fact.logged)

    @cached_property
    def _verified(self) -> Sequence[Fact]:
        return [fact for fact in self.facts if fact.verdict is Verdict.VERIFIED]

    @cached_property
    def _signers(self) -> Mapping[str, str]:
        return signers_of(self._verified)

    def signer(self, fact: Fact) -> str:
        """Who made it, the same for all papers of one signer."""
        return self._signers.get(fact.principal or "", "")

    def logged(self, fact: Fact) -> bool:
        return fact.logged or (fact.signature is not None and fact.signature in self._logged)

    def stamped(self, fact: Fact, rule: Rule) -> TrustedTime | None:
        """The earliest time that this very paper proves, by the word of those a rule believes.

        Every such time is an upper bound of when it was signed; the earliest says most.
        """
        return _earliest(rule, fact.times) if fact.times else None

    def signed_at(self, fact: Fact, rule: Rule) -> TrustedTime | None:
        """The same of all copies of its signature."""
        times = self._times.get(fact.signature or "", fact.times)
        return _earliest(rule, times) if times else None

    @cached_property
    def stated(self) -> "Sequence[tuple[Fact, Revocation]]":
        """What revocation papers say, where the policy names those who revoke; whether each counts
        is another question."""
        if self.policy.revocation is None:
            return ()
        from retinue.papers.revocations import stated  # few policies name who revokes

        found = ((fact, stated(fact)) for fact in self._verified)
        return [(fact, entry) for fact, entry in found if entry is not None]


def _order(fact: Fact) -> tuple[str, ...]:
    texts = (fact.signature, fact.predicate_type, fact.principal, fact.elsewhere)
    times = sorted((time.at.isoformat(), time.authority) for time in fact.times)
    said = sorted((*fact.annotations.items(), *fact.claims.items()), key=str)
    rest = (times, said, fact.expires, fact.not_before, fact.not_after, fact.logged)
    return (fact.paper, fact.subject, *(text or "" for text in texts), fact.why, str(rest))


def _earliest(rule: Rule, times: Collection[TrustedTime]) -> TrustedTime | None:
    believed = [time for time in times if _believes(rule, time)]
    if len(believed) == 1:
        return believed[0]
    return min(believed, key=lambda time: (time.at, time.authority), default=None)


def _believes(rule: Rule, time: TrustedTime) -> bool:
    if rule.trusted_time is None or time.authority in rule.trusted_time:
        return True
    return time.clock is Clock.TLOG and LOG in rule.trusted_time


class Hearing(Struct, frozen=True):
    """A case before one rule at one instant."""

    case: Case
    rule: Rule
    now: datetime

    def signed_at(self, fact: Fact) -> TrustedTime | None:
        return self.case.signed_at(fact, self.rule)

    def signed(self, fact: Fact) -> datetime | None:
        """The time at which it was signed, as this rule may believe it."""
        found = self.signed_at(fact)
        return found.at if found is not None else None

    def stamped(self, fact: Fact) -> TrustedTime | None:
        return self.case.stamped(fact, self.rule)
