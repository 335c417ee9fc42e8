"""k distinct signers signed (trust.md 2 and 15; policy file 8)."""

from collections.abc import Sequence

from retinue.oci.digest import Digest, InvalidDigest
from retinue.oci.reference import InvalidReference, parse
from retinue.papers.facts import Fact
from retinue.papers.kinds import Kind
from retinue.policy.decision import Outcome, Reason
from retinue.policy.model import Naming, Signatures
from retinue.policy.rules.evidence import Hearing
from retinue.policy.rules.section import Section, line
from retinue.policy.rules.standing import Objection, objection, told

CHECK = "signatures"


def check(hearing: Hearing, asked: Signatures, subject: Digest) -> Section:
    """Whether enough of the signers that are asked for have signed this manifest."""
    signers: dict[str, str] = {}
    papers: list[Reason] = []
    for fact in hearing.case.about(subject):
        if fact.kind is not Kind.SIGNATURE:
            continue
        against = signature_objection(hearing, asked, fact)
        if against is None:
            signers.setdefault(hearing.case.signer(fact), fact.principal or "")
            against = Objection(Outcome.PASSED, told(hearing, fact))
        papers.append(line(hearing.rule, CHECK, fact, against.outcome, against.why))
    met = len(signers) >= asked.k
    why = _why(asked, list(signers.values()))
    return Section(CHECK, met=met, settled=met, why=why, papers=tuple(papers))


def _why(asked: Signatures, signers: Sequence[str]) -> str:
    by = f": {', '.join(signers)}" if signers else ""
    return f"{len(signers)} of {asked.k} needed from {', '.join(asked.of)}{by}"


def signature_objection(hearing: Hearing, asked: Signatures, fact: Fact) -> Objection | None:
    """What speaks against a signature; None: it counts."""
    against = objection(hearing, fact, asked.of)
    if against is not None:
        return against
    why = _unfit(asked, fact, hearing.case.request.image)
    return Objection(Outcome.FAILED, why) if why is not None else None


def _unfit(asked: Signatures, fact: Fact, image: str) -> str | None:
    if fact.format not in asked.formats:
        return f"is written as {fact.format}, which this rule does not take"
    for name, value in asked.annotations.items():
        if fact.annotations.get(name) != value:
            return f"does not sign the annotation {name}={value}"
    if asked.naming is Naming.DOCKER_REFERENCE:
        return _misnamed(asked, fact, image)
    return None


def _misnamed(asked: Signatures, fact: Fact, image: str) -> str | None:
    wanted = original_name(image, asked)
    if fact.reference is None:
        return f"names no image, and must name {wanted}"
    if repository(fact.reference) == wanted:
        return None
    return f"is for {fact.reference}, not for {wanted}"


def original_name(image: str, asked: Signatures) -> str:
    """How an image was called when it was signed: its longest prefix in `remap`, replaced."""
    for prefix in sorted(asked.remap, key=len, reverse=True):
        if image.startswith(prefix):
            return asked.remap[prefix] + image[len(prefix) :]
    return image


def repository(reference: str) -> str | None:
    """HOST/REPOSITORY of a reference, as rules see it; None for what is none."""
    try:
        return parse(reference).place
    except (InvalidReference, InvalidDigest):
        return None
