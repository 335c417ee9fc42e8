"""A paper of a kind, by whom it must be, and what it must say (policy file 9)."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from retinue.oci.digest import Digest
from retinue.papers.facts import Fact
from retinue.policy.decision import Outcome, Reason
from retinue.policy.model import Attestation, Select
from retinue.policy.rules.contents import complaints, foreign_builder
from retinue.policy.rules.evidence import Hearing
from retinue.policy.rules.section import Section, line
from retinue.policy.rules.standing import Objection, objection, told
from retinue.policy.units import later


def name(asked: Attestation) -> str:
    """How its section is called in the trace."""
    return f"attestation {asked.type.name}"


def check(hearing: Hearing, asked: Attestation, subject: Digest) -> Section:
    """Whether the papers about this manifest satisfy one `[[rule.attestation]]`."""
    papers: list[Reason] = []
    counting: list[Fact] = []
    for fact in hearing.case.about(subject):
        if not asked.type.covers(fact.kind, fact.predicate_type):
            continue
        against = _objection(hearing, asked, fact)
        if against is None:
            counting.append(fact)
        else:
            papers.append(line(hearing.rule, name(asked), fact, against.outcome, against.why))
    return _judge(hearing, asked, counting, papers)


def _objection(hearing: Hearing, asked: Attestation, fact: Fact) -> Objection | None:
    against = objection(hearing, fact, asked.by)
    if against is not None:
        return against
    why = foreign_builder(hearing.case.policy, asked, fact)
    return Objection(Outcome.FAILED, why) if why is not None else None


def _judge(
    hearing: Hearing, asked: Attestation, counting: Sequence[Fact], papers: list[Reason]
) -> Section:
    """Select among the papers that count, and hold them to what they must say."""
    wrong = {id(fact): "; ".join(complaints(asked, fact)) for fact in counting}
    stale = _ages(hearing, asked, counting)
    for fact in counting:
        why = "; ".join(filter(None, (wrong[id(fact)], stale[id(fact)])))
        outcome = Outcome.FAILED if why else Outcome.PASSED
        why = why or "; ".join((told(hearing, fact), *map("satisfies {}".format, asked.demands)))
        papers.append(line(hearing.rule, name(asked), fact, outcome, why))
    deciding = _SELECTED[asked.select](hearing, counting)
    good = [fact for fact in deciding if not wrong[id(fact)] and not stale[id(fact)]]
    if asked.select is Select.ANY:
        return _section(asked, papers, met=bool(good), settled=bool(good))
    bad = [fact for fact in deciding if wrong[id(fact)]]
    if asked.select is Select.NEWEST:
        met = bool(deciding) and len(good) == len(deciding)
        return _section(asked, papers, met=met, settled=False)
    return _section(asked, papers, met=bool(good) and not bad, settled=bool(bad))


def _section(asked: Attestation, papers: Sequence[Reason], *, met: bool, settled: bool) -> Section:
    which = {Select.ANY: "one", Select.NEWEST: "the newest of each", Select.ALL: "every one"}
    verb = "satisfies" if met else "must satisfy"
    why = f"{which[asked.select]} by {', '.join(asked.by)} {verb} it"
    return Section(name(asked), met=met, settled=settled, why=why, papers=tuple(papers))


def _ages(hearing: Hearing, asked: Attestation, counting: Sequence[Fact]) -> Mapping[int, str]:
    """What speaks against the age of each paper: nothing, if any copy of it is young enough.

    Else who may push could refuse an image by attaching a paper again without its timestamp.
    """
    stale = {id(fact): _stale(hearing, asked, fact) for fact in counting}
    young = {fact.signature for fact in counting if not stale[id(fact)]}
    return {id(fact): "" if fact.signature in young else stale[id(fact)] for fact in counting}


def _stale(hearing: Hearing, asked: Attestation, fact: Fact) -> str:
    """Why a paper is not young enough. Without a trusted time nobody knows its age."""
    if asked.max_age is None:
        return ""
    signed = hearing.stamped(fact)
    if signed is None:
        return "has no trusted time, so its age is not known"
    if hearing.now >= later(signed.at, asked.max_age):
        return f"was signed {signed.at:%Y-%m-%dT%H:%M:%SZ}, which is too long ago"
    return ""


def _newest(hearing: Hearing, counting: Sequence[Fact]) -> Iterator[Fact]:
    """Of each signer the paper with the latest trusted time, and those without one.

    What has no trusted time could be the newest, or be an old one whose timestamp was taken off:
    so it must satisfy, too, and does not displace what has one.
    """
    for facts in _by_signer(hearing, counting).values():
        times = {id(fact): hearing.signed_at(fact) for fact in facts}
        known = [time.at for time in times.values() if time is not None]
        latest = max(known, default=None)
        for fact in facts:
            time = times[id(fact)]
            if time is None or time.at == latest:
                yield fact


def _by_signer(hearing: Hearing, facts: Sequence[Fact]) -> Mapping[str, Sequence[Fact]]:
    found: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        found[hearing.case.signer(fact)].append(fact)
    return found


_SELECTED: Mapping[Select, Callable[[Hearing, Sequence[Fact]], Sequence[Fact]]] = {
    Select.ANY: lambda _, counting: counting,
    Select.NEWEST: lambda hearing, counting: list(_newest(hearing, counting)),
    Select.ALL: lambda _, counting: counting,
}
