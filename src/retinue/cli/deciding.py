"""How decisions are shown: a line for each reason, or JSON; and the exit code they end with."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retinue.cli import exits
from retinue.cli.render import BOLD, DIM, GREEN, RED, YELLOW, clean, paint

if TYPE_CHECKING:
    from retinue.cli.judging import Judged
    from retinue.papers.facts import Fact
    from retinue.policy.decision import Decision, Reason

_COLOURS = {"passed": GREEN, "failed": RED, "undecided": YELLOW}


def text(judged: "Judged", *, whole: bool = False) -> str:
    """The answer, a line for each rule, and for each paper below the rules that were not met.

    `whole`: every line, as `policy explain` shows them.
    """
    decision = judged.decision
    lines = [_answer(str(judged.location), decision)]
    unmet = {r.rule for r in decision.reasons if str(r.outcome) in {"failed", "undecided"}}
    shown = (r for r in decision.reasons if r.paper is None or whole or r.rule in unmet)
    lines.extend(map(_line, shown))
    if whole:
        lines += _footer(decision)
    return "\n".join(lines)


def _answer(name: str, decision: "Decision") -> str:
    if decision.allowed:
        said = paint("allowed", GREEN)
    elif decision.undecided:
        said = paint("undecided, so refused", YELLOW)
    else:
        said = paint("refused", RED)
    return f"{paint(clean(name), BOLD)}: {said}  {paint(decision.digest, DIM)}"


def _line(reason: "Reason") -> str:
    outcome = str(reason.outcome)
    shown = paint(outcome, _COLOURS.get(outcome, DIM))
    if reason.paper is not None:
        return f"      {shown}  {clean(reason.why)}  {paint(reason.paper, DIM)}"
    rule = f"{clean(reason.rule)}, " if reason.rule and reason.rule != reason.check else ""
    mode = "" if reason.enforced else " (only a warning)"
    return f"  {shown}  {rule}{clean(reason.check)}: {clean(reason.why)}{mode}"


def _footer(decision: "Decision") -> list[str]:
    until = decision.valid_until.isoformat() if decision.valid_until else "something changes"
    version = decision.list_version if decision.list_version is not None else "none"
    return [paint(f"  epoch {decision.epoch[:16]}, revocation list {version}, until {until}", DIM)]


def data(judged: "Judged") -> dict[str, Any]:
    """A decision with its reasons, and the facts that it rests on."""
    decision = judged.decision
    return {
        "reference": str(judged.location),
        "digest": decision.digest,
        "allowed": decision.allowed,
        "undecided": decision.undecided,
        "epoch": decision.epoch,
        "revocation_list": decision.list_version,
        "valid_until": decision.valid_until.isoformat() if decision.valid_until else None,
        "reasons": [_reason(reason) for reason in decision.reasons],
        "papers": [fact_data(fact) for fact in judged.findings.facts],
        "blind": dict(judged.findings.blind),
    }


def _reason(reason: "Reason") -> dict[str, Any]:
    return {
        "rule": reason.rule,
        "check": reason.check,
        "outcome": str(reason.outcome),
        "why": reason.why,
        "paper": reason.paper,
        "enforced": reason.enforced,
    }


def fact_data(fact: "Fact") -> dict[str, Any]:
    """What was established about one signature, or about one unsigned paper."""
    return {
        "paper": fact.paper,
        "subject": fact.subject,
        "way": str(fact.way),
        "kind": str(fact.kind),
        "format": str(fact.format),
        "verdict": str(fact.verdict),
        "why": fact.why,
        "predicate_type": fact.predicate_type,
        "signer": fact.principal,
        "anchors": list(fact.anchors),
        "key": fact.key,
        "signed_at": [_time(at) for at in fact.times],
        "logged": fact.logged,
        "reference": fact.reference,
        "annotations": dict(fact.annotations),
        "claims": {name: _plain(value) for name, value in fact.claims.items()},
        "elsewhere": fact.elsewhere,
    }


def _time(time: Any) -> Mapping[str, str]:
    return {"at": time.at.isoformat(), "clock": str(time.clock), "authority": time.authority}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def code(answers: Sequence["Judged"]) -> int:
    """0 when all are allowed; else what is wrong with the first that is not."""
    for judged in answers:
        if not judged.decision.allowed:
            return _refusal(judged)
    return exits.DONE


def _refusal(judged: "Judged") -> int:
    if judged.decision.undecided or judged.findings.blind:
        return exits.BLIND
    if not judged.findings.facts:
        return exits.NO_PAPERS
    return exits.REFUSED
