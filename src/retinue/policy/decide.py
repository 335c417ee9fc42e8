"""May this happen to this image? A pure function of policy, evidence, question and time."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from retinue.papers.facts import Fact, Findings
from retinue.policy.decision import Decision, Outcome, Reason, Request
from retinue.policy.model import Policy, Rule, Tags, Unmatched
from retinue.policy.rules import coverage, deny, revocation
from retinue.policy.rules.evidence import Case, Hearing
from retinue.policy.rules.section import Section
from retinue.policy.units import later

if TYPE_CHECKING:
    from retinue.papers.revocations import Revocations

MAX_INSTANTS = 64
"""How many future instants are tried for `valid_until`; then the next one is named, which is early
and never late."""

_REFUSING = frozenset({Outcome.FAILED, Outcome.UNDECIDED})


def decide(
    policy: Policy,
    findings: Findings,
    revocations: "Revocations | None",
    request: Request,
    now: datetime,
) -> Decision:
    """Allowed or refused, with a reason for every rule and every paper. Total: it raises nothing.

    `revocations` is the verified list in its highest known version; None: there is none at hand.
    `findings` are about the requested digest, and about `request.parents` and `request.children`
    where a rule speaks of them; statements on the tag may be about images that it named before.
    """
    case = Case(policy, request, findings, revocations)
    reasons = tuple(_reasons(case, now))
    allowed, undecided = _answer(reasons)
    version = revocations.version if revocations is not None else None
    return Decision(
        allowed=allowed,
        undecided=undecided,
        digest=request.digest,
        epoch=policy.epoch_with(version),
        list_version=version,
        valid_until=_valid_until(case, (allowed, undecided), now),
        reasons=(*reasons, *_unread(case, reasons)),
    )


def _answer(reasons: Sequence[Reason]) -> tuple[bool, bool]:
    """(allowed, undecided). Lines about single papers trace; lines about sections decide."""
    outcomes = {r.outcome for r in reasons if r.enforced and r.paper is None} & _REFUSING
    return not outcomes, outcomes == {Outcome.UNDECIDED}


def _reasons(case: Case, now: datetime) -> Iterator[Reason]:
    refusal = deny.denied(case, case.request.digest)
    if refusal is not None:
        yield refusal
    rules = list(case.policy.matching(case.request.image, case.request.operation))
    if not rules:
        yield _unmatched(case)
    for rule in rules:
        yield from _rule(Hearing(case, rule, now))


def _unmatched(case: Case) -> Reason:
    passes = case.policy.unmatched is Unmatched.ALLOW
    outcome = Outcome.PASSED if passes else Outcome.FAILED
    why = f"no rule is about {case.request.operation} of {case.request.image}"
    return Reason("unmatched", "unmatched", outcome, why)


def _rule(hearing: Hearing) -> Iterator[Reason]:
    rule, case = hearing.rule, hearing.case
    listed = revocation.check(hearing)
    if listed is not None:
        yield listed
    for section in _sections(hearing):
        outcome = section.outcome(blind=case.blind)
        why = section.why if outcome is not Outcome.UNDECIDED else _blindly(section, case)
        yield Reason(rule.name, section.check, outcome, why, None, rule.enforced)
        yield from section.papers
    if rule.tag is not Tags.IGNORE and case.request.tag is None:
        from retinue.policy.rules import tag

        why = "tag not applicable: asked for by digest"
        yield Reason(rule.name, tag.CHECK, Outcome.NOT_APPLICABLE, why, None, rule.enforced)
    if rule.signatures is None and not rule.attestations:
        why = "asks for nothing"
        yield Reason(rule.name, "rule", Outcome.PASSED, why, None, rule.enforced)


def _sections(hearing: Hearing) -> Iterator[Section]:
    rule, asked_tag = hearing.rule, hearing.case.request.tag
    if rule.signatures is not None:
        yield coverage.signed(hearing, rule.signatures)
        if rule.tag is not Tags.IGNORE and asked_tag is not None:
            from retinue.policy.rules import tag  # few rules ask for it

            yield tag.check(hearing, rule.signatures, asked_tag)
    for asked in rule.attestations:
        yield coverage.attested(hearing, asked)


def _blindly(section: Section, case: Case) -> str:
    what, why = next(iter(sorted(case.findings.blind.items())))
    more = f" (and {len(case.findings.blind) - 1} more)" if len(case.findings.blind) > 1 else ""
    return f"{section.why}; could not look at {what}: {why}{more}"


def _unread(case: Case, reasons: Sequence[Reason]) -> Iterator[Reason]:
    """A line for each paper that no section read."""
    traced = {reason.paper for reason in reasons}
    for fact in case.facts:
        if fact.paper not in traced:
            traced.add(fact.paper)
            why = f"{fact.kind}, {fact.verdict}: no rule reads it"
            yield Reason("", "paper", Outcome.IGNORED, why, fact.paper, enforced=False)


def _valid_until(case: Case, answer: tuple[bool, bool], now: datetime) -> datetime | None:
    """The first instant at which time alone changes the answer (or could, beyond MAX_INSTANTS)."""
    instants = sorted({at for at in _instants(case) if at > now})
    for at in instants[:MAX_INSTANTS]:
        if _answer(tuple(_reasons(case, at))) != answer:
            return at
    return instants[MAX_INSTANTS] if len(instants) > MAX_INSTANTS else None


def _instants(case: Case) -> Iterator[datetime]:
    """Every instant at which some comparison with the time turns out otherwise than before."""
    rules = list(case.policy.matching(case.request.image, case.request.operation))
    if not rules:
        return
    yield from revocation.ends(case.policy, case.revocations)
    if case.revocations is not None and case.revocations.signed is not None:
        yield from _of_fact(case, case.revocations.signed)
    if any(rule.tag is not Tags.IGNORE for rule in rules):
        from retinue.policy.rules import tag

        yield from tag.expiries(case.facts)
    for fact in case.facts:
        yield from _of_fact(case, fact)
        for rule in rules:
            yield from _ages(case, rule, fact)


def _of_fact(case: Case, fact: Fact) -> Iterator[datetime]:
    """When it expires, and the windows of its certificates and of the keys that may have made it."""
    yield from filter(None, (fact.expires, fact.not_before, fact.not_after))
    for anchor in fact.anchors:
        key = case.policy.keys.get((anchor, fact.key or ""))
        if key is not None:
            yield from filter(None, (key.since, key.until, key.revoked))


def _ages(case: Case, rule: Rule, fact: Fact) -> Iterator[datetime]:
    signed = case.stamped(fact, rule)
    for asked in rule.attestations:
        if signed is not None and asked.max_age is not None:
            yield later(signed.at, asked.max_age)
