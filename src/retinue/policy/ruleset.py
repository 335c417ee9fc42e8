"""The rules of a policy file."""

from collections.abc import Collection

from retinue.attest.anchors import KeyAnchor, KeylessAnchor, Trust
from retinue.attest.proof import Format
from retinue.papers.kinds import SHORT, Kind
from retinue.policy import conditions, demands, globs, units
from retinue.policy.anchors import LOG, Files
from retinue.policy.decision import Operation
from retinue.policy.demands import CEL, WAITED_FOR, Compile
from retinue.policy.errors import PolicyInvalid
from retinue.policy.fields import Table, choose, read
from retinue.policy.model import (
    Attestation,
    Coverage,
    Mode,
    Naming,
    PaperType,
    Rule,
    Sbom,
    Select,
    Signatures,
    Slsa,
    Tags,
)

DEFAULT_FORMATS = frozenset({Format.BUNDLE, Format.LEGACY, Format.NOTATION})

_KINDS = {
    "sbom": Kind.SBOM,
    "slsa-provenance": Kind.PROVENANCE,
    "vulnerabilities": Kind.VULNERABILITIES,
    "vex": Kind.VEX,
    "test-result": Kind.TEST_RESULT,
    "verification-summary": Kind.VERIFICATION_SUMMARY,
}


def load(
    document: Table, trust: Trust, files: Files, cel: Compile | None = None
) -> tuple[Rule, ...]:
    """The tables `[[rule]]`; raises PolicyInvalid. Without `cel` no expression holds."""
    rules = tuple(_rule(table, trust, files, cel) for table in document.tables("rule"))
    names = [rule.name for rule in rules]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise PolicyInvalid(f"rule[{i}].name", f"{name!r} is the name of another rule")
    return rules


def _rule(table: Table, trust: Trust, files: Files, cel: Compile | None) -> Rule:
    images = table.each("images", globs.parse_image)
    if not images:
        raise table.wrong("images", "is empty; name what the rule is about, `**` for everything")
    rule = Rule(
        name=table.text("name"),
        images=images,
        excepted=table.each("except", globs.parse_image),
        on=_operations(table),
        mode=table.choice("mode", Mode, Mode.ENFORCE),
        papers_in=table.each("papers_in", globs.parse_place),
        index=table.choice("index", Coverage, Coverage.SELF),
        tag=table.choice("tag", Tags, Tags.IGNORE),
        trusted_time=_clocks(table, trust),
        logged=_logged(table),
        signatures=_signatures(table.table("signatures"), trust)
        if table.has("signatures")
        else None,
        attestations=tuple(
            _attestation(each, trust, files, cel) for each in table.tables("attestation")
        ),
    )
    table.done()
    _check(rule, table)
    return rule


def _check(rule: Rule, table: Table) -> None:
    if rule.enforced and rule.signatures is None and not rule.attestations:
        reason = 'asks for nothing and would let everything through; say so with mode = "audit"'
        raise PolicyInvalid(table.path, reason)
    if rule.tag is not Tags.IGNORE and rule.signatures is None:
        raise table.wrong("tag", "needs `signatures`, whose signers are to sign the tag, too")
    asked = rule.signatures
    if asked and asked.remap and asked.naming is Naming.ANY and rule.tag is Tags.IGNORE:
        reason = "has no effect: neither `reference` nor `tag` looks at names"
        raise table.wrong("signatures.remap", reason)
    _check_waiting(rule, table)


def _check_waiting(rule: Rule, table: Table) -> None:
    """Nothing bounds the time that an expression takes, so no deadline may depend on it."""
    waited = sorted(rule.on & WAITED_FOR)
    for i, asked in enumerate(rule.attestations):
        if waited and any(demand.field == CEL for demand in asked.demands):
            others = ", ".join(f'"{each}"' for each in sorted(set(Operation) - WAITED_FOR))
            reason = f"is never evaluated on {' or '.join(waited)}: say on = [{others}], or fewer"
            raise table.wrong(f"attestation[{i}].{CEL}", reason)


def _operations(table: Table) -> frozenset[Operation]:
    if not table.has("on"):
        return frozenset(Operation)
    names = table.texts("on", empty=False)
    return frozenset(
        choose(name, Operation, f"{table.at('on')}[{i}]") for i, name in enumerate(names)
    )


def _clocks(table: Table, trust: Trust) -> frozenset[str] | None:
    if not table.has("trusted_time"):
        return None
    names = table.texts("trusted_time", empty=False)
    _known(names, {LOG, *(each.name for each in trust.times)}, table.at("trusted_time"), "clock")
    return frozenset(names)


def _logged(table: Table) -> bool:
    said = table.text("transparency", "optional")
    if said not in {"optional", "required"}:
        raise table.wrong("transparency", f"{said[:80]!r} is none of: optional, required")
    return said == "required"


def _known(names: Collection[str], known: Collection[str], path: str, what: str) -> None:
    for name in names:
        if name not in known:
            raise PolicyInvalid(path, f"{name!r} is no {what} that `anchors` names")


def signers(table: Table, name: str, trust: Trust) -> tuple[str, ...]:
    """Names of anchors that sign; at least one."""
    names = table.texts(name, empty=False)
    _known(names, {anchor.name for anchor in trust.anchors}, table.at(name), "signer")
    return names


def _signatures(table: Table, trust: Trust) -> Signatures:
    of = signers(table, "of", trust)
    k = table.count("k", 1)
    single = {a.name for a in trust.anchors if _is_single(a)}
    if single.issuperset(of) and k > len(of):
        raise table.wrong("k", f"{k} distinct signers can never be found among {len(of)}")
    naming = table.choice("reference", Naming, Naming.ANY)
    result = Signatures(
        k=k,
        of=of,
        formats=_formats(table),
        annotations=table.strings("annotations"),
        naming=naming,
        remap=table.strings("remap"),
    )
    table.done()
    for name in (*result.remap, *result.remap.values()):
        read(globs.parse_prefix, name, table.at("remap"))
    return result


def _is_single(anchor: object) -> bool:
    """Whether an anchor can only ever be one principal."""
    return isinstance(anchor, KeyAnchor) or (
        isinstance(anchor, KeylessAnchor) and anchor.identity is not None
    )


def _formats(table: Table) -> frozenset[Format]:
    if not table.has("formats"):
        return DEFAULT_FORMATS
    names = table.texts("formats", empty=False)
    found = [choose(name, Format, f"{table.at('formats')}[{i}]") for i, name in enumerate(names)]
    if Format.UNSIGNED in found:
        raise table.wrong("formats", "what is unsigned is never a signature")
    return frozenset(found)


def _attestation(table: Table, trust: Trust, files: Files, cel: Compile | None) -> Attestation:
    kind = paper_type(table.text("type"), table.at("type"))
    result = Attestation(
        type=kind,
        by=signers(table, "by", trust),
        select=table.choice("select", Select, Select.ANY),
        max_age=table.unit("max_age", units.duration),
        slsa=_slsa(table.table("slsa")) if table.has("slsa") else None,
        sbom=_sbom(table.table("sbom")) if table.has("sbom") else None,
        where=tuple(conditions.load(each) for each in table.tables("where")),
        demands=tuple(demands.load(table, files, cel)),
    )
    table.done()
    _check_attestation(result, table, trust)
    return result


def _check_attestation(made: Attestation, table: Table, trust: Trust) -> None:
    if made.slsa is not None and not made.type.speaks_of(Kind.PROVENANCE):
        raise table.wrong("slsa", f"says nothing of {made.type.name!r}")
    if made.sbom is not None and not made.type.speaks_of(Kind.SBOM):
        raise table.wrong("sbom", f"says nothing of {made.type.name!r}")
    if made.type.speaks_of(Kind.PROVENANCE):
        for anchor in trust.anchors:
            if anchor.name in made.by and not anchor.builders:
                reason = f"{anchor.name!r} needs `builders`: whose builds may it speak of?"
                raise table.wrong("by", reason)


def paper_type(name: str, path: str) -> PaperType:
    """A kind of paper, one of cosign's short names, or a predicate type; raises PolicyInvalid."""
    if name in _KINDS:
        return PaperType(name, _KINDS[name])
    uri = SHORT.get(name, name)
    if ":" not in uri:
        known = ", ".join((*_KINDS, *SHORT))
        raise PolicyInvalid(
            path, f"{name[:80]!r} is no predicate type (an URI), nor one of: {known}"
        )
    return PaperType(name, None, frozenset({uri}))


def _slsa(table: Table) -> Slsa:
    made = Slsa(
        source=table.each("source", globs.parse),
        ref=table.each("ref", globs.parse),
        build_type=table.each("build_type", globs.parse),
    )
    table.done()
    return made


def _sbom(table: Table) -> Sbom:
    made = Sbom(
        min_components=table.count("min_components", 0, least=0),
        purl_ratio=table.number("purl_ratio", 0, 0, 1),
    )
    table.done()
    return made
