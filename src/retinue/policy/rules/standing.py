"""Whether a paper counts at all: verified, by somebody who is asked for, in time, not revoked
(trust.md 14)."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple

from retinue.attest.anchors import AnchorKey
from retinue.papers.facts import Fact, Verdict
from retinue.policy.decision import Outcome
from retinue.policy.rules.evidence import Hearing

_ALWAYS = (None, None, None)


class Objection(NamedTuple):
    """Why a paper does not count. `IGNORED`: it is nobody's whose word matters here."""

    outcome: Outcome
    why: str


def objection(hearing: Hearing, fact: Fact, of: Collection[str]) -> Objection | None:
    """What speaks against a paper that should be by one of the anchors `of`; None: it counts."""
    stranger = _stranger(hearing, fact, of)
    if stranger is not None:
        return Objection(Outcome.IGNORED, stranger)
    why = _void(hearing, fact, of)
    return Objection(Outcome.FAILED, why) if why is not None else None


def disowned(hearing: Hearing, fact: Fact, of: Collection[str]) -> str | None:
    """Why what is signed to revoke has no effect: a list, or a revocation paper; None: it has.

    All that is asked of other signatures is asked of it, but for being in a log: that it is not
    must not keep what it voids. The list can void it, papers cannot: two could void each other.
    """
    return _stranger(hearing, fact, of) or _listed(hearing, fact) or _past(hearing, fact, of)


def _stranger(hearing: Hearing, fact: Fact, of: Collection[str]) -> str | None:
    if fact.verdict is not Verdict.VERIFIED:
        return f"{fact.verdict}: {fact.why}"
    if not any(anchor in of for anchor in fact.anchors):
        return f"is by {fact.principal}, who is not asked for here"
    if fact.elsewhere is not None and fact.elsewhere not in hearing.rule.papers_in:
        return f"lies in {fact.elsewhere}, which this rule does not name in papers_in"
    return None


def _void(hearing: Hearing, fact: Fact, of: Collection[str]) -> str | None:
    why = _listed(hearing, fact) or _taken_back(hearing, fact)
    if why is not None:
        return why
    if hearing.rule.logged and not hearing.case.logged(fact):
        return "is in no transparency log that we trust"
    return _past(hearing, fact, of)


def _listed(hearing: Hearing, fact: Fact) -> str | None:
    listed = hearing.case.revocations
    entry = listed.voids(fact, hearing.signed(fact)) if listed is not None else None
    return f"was revoked: {entry.reason}" if entry is not None else None


def _taken_back(hearing: Hearing, fact: Fact) -> str | None:
    """Whether a revocation paper that counts itself voids it."""
    for paper, entry in hearing.case.stated:
        if not entry.voids(fact, hearing.signed(fact)) or paper is fact:
            continue
        from retinue.papers.revocations import entitled

        terms = hearing.case.policy.revocation
        by = entitled(paper, fact, terms.revokers, own=terms.own) if terms is not None else ()
        if disowned(hearing, paper, by) is None:
            return f"was revoked: {entry.reason}"
    return None


def _past(hearing: Hearing, fact: Fact, of: Collection[str]) -> str | None:
    """Why its time is over, or has not come: its own, its certificates', its key's."""
    if fact.expires is not None and hearing.now >= fact.expires:
        return f"expired {_at(fact.expires)}"
    return _lapsed(hearing, fact) or _outside(hearing, fact, of)


def _lapsed(hearing: Hearing, fact: Fact) -> str | None:
    """Why its certificates are not valid now, where no trusted time shows that they were.

    Its own trusted times were held against the chain when it was verified. Another copy may have
    come with another certificate for the same key, so its time is held against this one.
    """
    since, until = fact.not_before, fact.not_after
    if since is None and until is None:
        return None
    other = hearing.signed_at(fact)
    if hearing.stamped(fact) is not None or _within(other.at if other else None, since, until):
        return None
    if since is not None and hearing.now < since:
        return f"has no trusted time, and its certificate is valid from {_at(since)}"
    if until is not None and hearing.now >= until:
        return f"has no trusted time that counts, and its certificate was valid until {_at(until)}"
    return None


def _within(at: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    return at is not None and (since is None or since <= at) and (until is None or at <= until)


def _outside(hearing: Hearing, fact: Fact, of: Collection[str]) -> str | None:
    """Why the windows of all keys that may have made it are missed; None: one is met.

    Judged by its own time, and by that of all copies: another copy can help, and never harm, or
    taking one away would let through what was refused.
    """
    missed = None
    for anchor in fact.anchors:
        if anchor not in of:
            continue
        key = hearing.case.policy.keys.get((anchor, fact.key or ""))
        if key is None or (key.since, key.until, key.revoked) == _ALWAYS:
            return None
        own, all_copies = hearing.stamped(fact), hearing.signed_at(fact)
        for time in (own,) if own == all_copies else (own, all_copies):
            missed = outside(key, time.at if time else None, hearing.now)
            if missed is None:
                return None
    return missed


def outside(key: AnchorKey, signed: datetime | None, now: datetime) -> str | None:
    """Why a signature of this time is outside of its key's window; None: it is inside.

    `signed` is trusted; without it `now` stands for it, so that expiry ends what has no proof of
    its time (trust.md 7).
    """
    at = signed or now
    shown = f"signed {_at(signed)}" if signed else "without a trusted time, so judged by now"
    if key.since is not None and at < key.since:
        return f"{shown}: its key counts from {_at(key.since)}"
    if key.until is not None and at >= key.until:
        return f"{shown}: its key counted until {_at(key.until)}"
    if key.revoked is None:
        return None
    if key.compromised and (signed is None or signed >= key.revoked):
        return f"{shown}: its key was compromised {_at(key.revoked)}"
    if at >= key.revoked:
        return f"{shown}: its key was revoked {_at(key.revoked)}"
    return None


def _at(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def told(hearing: Hearing, fact: Fact) -> str:
    """By whom, and when: what is said of a paper that counts."""
    signed = hearing.signed_at(fact)
    when = f", {_at(signed.at)} ({signed.clock}, {signed.authority})" if signed else ""
    return f"by {fact.principal}{when}"
