"""The tag that is asked for is signed, too: it was neither re-pointed nor rolled back.

By a tag statement (tag, digest, time, expiry) or the signed annotation `tag`, by as many signers
as must have signed the image. Among statements for one tag the newest rules, whichever digest it is
about; their stated times order them and are no clock: a signer's own word on which came later.

Statements about other images are found at the place of the tag (`papers/tagplace.py`): whoever asks
for decisions about tags gathers what `places` names, and says so where it could not be looked at.

A tag may name an index of which one platform is judged. So what vouches for an index that lists the
judged manifest vouches for the tag, too.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.papers.facts import Fact
from retinue.papers.kinds import Kind
from retinue.policy.decision import Outcome, Reason, Request
from retinue.policy.model import Policy, Signatures, Tags
from retinue.policy.rules.evidence import Hearing
from retinue.policy.rules.section import Section, line
from retinue.policy.rules.signatures import original_name, signature_objection
from retinue.policy.rules.standing import objection, told

CHECK = "tag"
ANNOTATION = "tag"


class Statement(Struct, frozen=True):
    """A tag statement that counts: whose, about what, as of when, until when."""

    fact: Fact
    issued: datetime
    expires: datetime


def check(hearing: Hearing, asked: Signatures, tag: str) -> Section:
    """Whether those who sign images vouch for what this tag points at."""
    meant = _meant(hearing.case.request)
    papers: list[Reason] = []
    statements = list(_statements(hearing, asked, tag, papers))
    newest = max((each.issued for each in statements), default=None)
    if any(s.issued == newest and not _is_about(s.fact, meant) for s in statements):
        why = f"the newest statement on {tag!r} is about another image: re-pointed, or rolled back"
        return Section(CHECK, met=False, settled=True, why=why, papers=tuple(papers))
    vouching = _vouching(hearing, statements, meant)
    if hearing.rule.tag is Tags.SIGNED:
        silent = {hearing.case.signer(each.fact) for each in statements}
        vouching |= {each for each in _annotated(hearing, asked, tag, papers) if each not in silent}
    met = len(vouching) >= asked.k
    why = f"{len(vouching)} of {asked.k} needed vouch that {tag!r} is this image"
    return Section(CHECK, met=met, settled=False, why=why, papers=tuple(papers))


def _vouching(
    hearing: Hearing, statements: Sequence[Statement], meant: Collection[Digest]
) -> set[str]:
    """Whose newest statement is about what is meant, and has not expired."""
    signer = hearing.case.signer
    latest: dict[str, datetime] = {}
    for each in statements:
        known = latest.get(signer(each.fact), each.issued)
        latest[signer(each.fact)] = max(known, each.issued)
    return {
        signer(each.fact)
        for each in statements
        if each.issued == latest[signer(each.fact)]
        and _is_about(each.fact, meant)
        and hearing.now < each.expires
    }


def _statements(
    hearing: Hearing, asked: Signatures, tag: str, papers: list[Reason]
) -> Iterator[Statement]:
    """The statements on this tag that count, about any image; expired ones still date others."""
    for fact in hearing.case.facts:
        if fact.kind is not Kind.TAG_STATEMENT or fact.claims.get("tag") != tag:
            continue
        against = objection(hearing, fact, asked.of)
        if against is not None:
            papers.append(line(hearing.rule, CHECK, fact, against.outcome, against.why))
            continue
        issued, expires = _instant(fact, "tag.time"), _instant(fact, "tag.expires")
        misfit = _misfit(hearing, asked, fact.claims)
        if issued is None or expires is None or misfit:
            why = misfit or "does not say when it was made, and until when it holds"
            papers.append(line(hearing.rule, CHECK, fact, Outcome.FAILED, why))
            continue
        papers.append(_traced(hearing, fact, expires))
        yield Statement(fact, issued, expires)


def _traced(hearing: Hearing, fact: Fact, expires: datetime) -> Reason:
    if hearing.now >= expires:
        why = f"expired {expires:%Y-%m-%dT%H:%M:%SZ}"
        return line(hearing.rule, CHECK, fact, Outcome.FAILED, why)
    if not _is_about(fact, _meant(hearing.case.request)):
        about = fact.claims.get("tag.digest", fact.subject)
        return line(hearing.rule, CHECK, fact, Outcome.IGNORED, f"is about {about}")
    return line(hearing.rule, CHECK, fact, Outcome.PASSED, told(hearing, fact))


def _misfit(hearing: Hearing, asked: Signatures, claims: Mapping[str, object]) -> str | None:
    """A statement that names its image holds for that name alone (copies: `remap`)."""
    named = claims.get("tag.image")
    wanted = original_name(hearing.case.request.image, asked)
    return f"is for {named!r:.200}, not for {wanted}" if named not in {None, wanted} else None


def _annotated(
    hearing: Hearing, asked: Signatures, tag: str, papers: list[Reason]
) -> Iterator[str]:
    found = [f for each in _meant(hearing.case.request) for f in hearing.case.about(each)]
    for fact in found:
        if fact.kind is not Kind.SIGNATURE or fact.annotations.get(ANNOTATION) != tag:
            continue
        if signature_objection(hearing, asked, fact) is None:
            papers.append(line(hearing.rule, CHECK, fact, Outcome.PASSED, told(hearing, fact)))
            yield hearing.case.signer(fact)


def _meant(request: Request) -> Collection[Digest]:
    """What the tag may name: the judged manifest, or an index that lists it."""
    return (request.digest, *request.aliases, *request.parents)


def _is_about(fact: Fact, meant: Collection[Digest]) -> bool:
    """One that was found at the place of its tag says itself which image it is about."""
    if "tag.digest" in fact.claims:
        return fact.claims["tag.digest"] in meant
    return fact.subject in meant or any(alias in meant for alias in fact.aliases)


def _instant(fact: Fact, name: str) -> datetime | None:
    """An RFC 3339 time among the claims, if it is one."""
    claim = fact.claims.get(name)
    if not isinstance(claim, str):
        return None
    try:
        at = datetime.fromisoformat(claim)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def places(policy: Policy, request: Request) -> Sequence[Manifest]:
    """Where statements on the tag that is asked for are kept, as far as a rule reads them."""
    if request.tag is None:
        return ()
    from retinue.papers.tagplace import place_of

    asking = policy.matching(request.image, request.operation)
    asked = [rule.signatures for rule in asking if rule.tag is not Tags.IGNORE and rule.signatures]
    names = dict.fromkeys(original_name(request.image, each) for each in asked)
    return [place_of(name, request.tag).manifest for name in names]


def expiries(facts: Sequence[Fact]) -> Iterator[datetime]:
    """When statements cease to hold."""
    for fact in facts:
        at = _instant(fact, "tag.expires") if fact.kind is Kind.TAG_STATEMENT else None
        if at is not None:
            yield at
