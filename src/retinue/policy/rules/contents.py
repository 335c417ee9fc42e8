"""What an attestation must say: builder, provenance, how full an SBOM is, `where`, and
`schema` and `cel`, which were evaluated when it was read."""

from collections.abc import Iterator

from retinue.papers.facts import Claim, Fact
from retinue.papers.kinds import Kind
from retinue.policy.conditions import holds
from retinue.policy.globs import Glob
from retinue.policy.model import Attestation, Demand, Policy, Sbom, Slsa


def foreign_builder(policy: Policy, asked: Attestation, fact: Fact) -> str | None:
    """Why this signer may not speak of that builder; None: he may, or it is no provenance."""
    if not asked.builders or fact.kind is not Kind.PROVENANCE:
        return None
    builder = fact.claims.get("builder")
    globs = [
        glob
        for anchor in fact.anchors
        if anchor in asked.by
        for glob in policy.builders.get(anchor, ())
    ]
    if isinstance(builder, str) and any(glob.matches(builder) for glob in globs):
        return None
    return f"names the builder {builder!r:.200}, which does not belong to {fact.principal}"


def complaints(asked: Attestation, fact: Fact) -> Iterator[str]:
    """What a paper does not say that it must."""
    if asked.slsa is not None:
        yield from _provenance(asked.slsa, fact)
    if asked.sbom is not None:
        yield from _fullness(asked.sbom, fact)
    for condition in asked.where:
        if not holds(condition, fact.claims):
            found = fact.claims.get(condition.path, "nothing")
            yield f"{condition} does not hold of {found!r:.100}"
    for demand in asked.demands:
        yield from _unmet(demand, fact)


def _unmet(demand: Demand, fact: Fact) -> Iterator[str]:
    """What was found against a whole predicate; what nobody could read satisfies nothing."""
    found = fact.claims.get(demand.name)
    if not isinstance(found, tuple):
        yield f"{demand}: the predicate cannot be read as JSON"
    else:
        yield from (f"{demand}: {each}" for each in found)


def _provenance(asked: Slsa, fact: Fact) -> Iterator[str]:
    for name, globs in (
        ("source", asked.source),
        ("ref", asked.ref),
        ("build_type", asked.build_type),
    ):
        claim = fact.claims.get(name)
        if globs and not _one_of(globs, claim):
            yield f"{name} is {claim!r:.200}, and must be {' or '.join(g.text for g in globs)}"


def _one_of(globs: tuple[Glob, ...], claim: Claim) -> bool:
    """Where several are claimed, each must do."""
    claims = claim if isinstance(claim, tuple) else (claim,)
    return bool(claims) and all(
        isinstance(each, str) and any(glob.matches(each) for glob in globs) for each in claims
    )


def _fullness(asked: Sbom, fact: Fact) -> Iterator[str]:
    components, purls = _count(fact, "components"), _count(fact, "purls")
    if components < asked.min_components:
        yield f"has {components} components, and must have {asked.min_components}"
    if asked.purl_ratio and (not components or purls / components < asked.purl_ratio):
        yield f"has a purl for {purls} of {components} components, needed is {asked.purl_ratio:g}"


def _count(fact: Fact, name: str) -> int:
    claim = fact.claims.get(name)
    return claim if isinstance(claim, int) and not isinstance(claim, bool) else 0
