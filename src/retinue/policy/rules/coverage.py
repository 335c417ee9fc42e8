"""Index and children: whose papers answer for the manifest that is asked for (trust.md 10)."""

from collections.abc import Callable, Iterator

from retinue.oci.digest import Digest
from retinue.policy.decision import Outcome
from retinue.policy.model import Attestation, Coverage, Signatures
from retinue.policy.rules import attestation, deny, revocation, signatures
from retinue.policy.rules.evidence import Hearing
from retinue.policy.rules.section import Section, all_of

MAX_DEPTH = 4


def signed(hearing: Hearing, asked: Signatures) -> Section:
    """The section on signatures, with what index coverage adds or demands."""
    digest = hearing.case.request.digest
    own = signatures.check(hearing, asked, digest)
    if hearing.rule.index is Coverage.PARENT:
        return own if own.met else _covered(hearing, own)
    if hearing.rule.index is Coverage.EVERY:
        return _everywhere(hearing, own, lambda child: signatures.check(hearing, asked, child))
    return own


def attested(hearing: Hearing, asked: Attestation) -> Section:
    """The section on one attestation: never covered by a parent, asked of each platform instead of
    the index under `every-platform`."""
    own = attestation.check(hearing, asked, hearing.case.request.digest)
    if hearing.rule.index is not Coverage.EVERY or not list(_platforms(hearing)):
        return own
    return _everywhere(hearing, None, lambda child: attestation.check(hearing, asked, child))


def _everywhere(
    hearing: Hearing, own: Section | None, check: Callable[[Digest], Section]
) -> Section:
    platforms = list(_platforms(hearing))
    below = [_of_child(hearing, child, check) for child in platforms]
    if own is None:
        return all_of(below, f"every one of {len(below)} platforms does")
    return all_of([own, *below], own.why) if below else own


def _of_child(hearing: Hearing, child: Digest, check: Callable[[Digest], Section]) -> Section:
    section = check(child)
    refusal = deny.denied(hearing.case, child)
    if refusal is not None:
        why = f"{child} is denied: {refusal.why}"
        return Section(section.check, met=False, settled=True, why=why, papers=section.papers)
    if section.met:
        return section
    why = f"{child}: {section.why}"
    return Section(
        section.check, met=False, settled=section.settled, why=why, papers=section.papers
    )


def _platforms(hearing: Hearing) -> Iterator[Digest]:
    """What of an index runs. BuildKit's entries for `unknown/unknown` are papers, which no client
    chooses; fetched by digest they are judged themselves."""
    for child, platform in hearing.case.request.children.items():
        if platform is None or (platform.os, platform.architecture) != ("unknown", "unknown"):
            yield child


def _covered(hearing: Hearing, own: Section) -> Section:
    """Whether a present, allowed index lists what is asked for."""
    parents = hearing.case.request.parents
    papers = own.papers
    for parent, depth in sorted(parents.items(), key=lambda item: (item[1], item[0])):
        if not 1 <= depth <= MAX_DEPTH or deny.denied(hearing.case, parent) is not None:
            continue
        sections = list(_of_parent(hearing, parent))
        papers += tuple(reason for section in sections for reason in section.papers)
        if all(section.outcome(blind=hearing.case.blind) is Outcome.PASSED for section in sections):
            why = f"the index {parent} lists it, and is allowed"
            return Section(own.check, met=True, settled=True, why=why, papers=papers)
    return Section(own.check, met=False, settled=False, why=own.why, papers=papers)


def _of_parent(hearing: Hearing, parent: Digest) -> Iterator[Section]:
    """All that an index must satisfy to be allowed itself: every enforced rule about this image."""
    case = hearing.case
    for rule in case.policy.matching(case.request.image, case.request.operation):
        if not (rule.enforced or rule is hearing.rule):
            continue
        there = Hearing(case, rule, hearing.now)
        listed = revocation.check(there)
        if listed is not None:
            met = listed.outcome is Outcome.PASSED
            yield Section(listed.check, met=met, settled=met, why=listed.why)
        if rule.signatures is not None:
            yield signatures.check(there, rule.signatures, parent)
        for asked in rule.attestations:
            yield attestation.check(there, asked, parent)
