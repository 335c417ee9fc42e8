"""From papers to facts: what each signature of each paper establishes about its subject. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from retinue.attest.anchors import Trust
from retinue.attest.errors import EvidenceError, Malformed, NoAnchor
from retinue.attest.proof import Format, Proof, TrustedTime
from retinue.attest.target import Target
from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.links import Way
from retinue.oci.manifest import Manifest, Unreadable
from retinue.papers.claims import claims_of
from retinue.papers.collected import Collected, Paper
from retinue.papers.content import Content
from retinue.papers.facts import Fact, Findings, Verdict, Wanted
from retinue.papers.kinds import Kind
from retinue.papers.proving import (
    FORMATS,
    Outcome,
    kind_of_proof,
    kind_stated,
    peek,
    prove,
    signatures_in,
)
from retinue.papers.receipts import Receipts, receipts_in, times_of
from retinue.papers.ways.part import SIGNED, Form, Part

MAX_SIGNATURES = 50_000
"""Signatures that are checked: a manifest can hold 20,000, and each costs little."""


def derive(collected: Collected, trust: Trust, wanted: Wanted) -> Findings:
    """A fact for each signature of each paper about each subject, and one for what is not signed.

    The order of the papers makes no difference, and neither does a paper to the facts of others: a
    receipt only adds a time to the signature that it is about.
    """
    judging = _Judging(collected, trust, wanted, receipts_in(collected))
    papers, blind = _affordable(collected.papers)
    facts = [fact for paper in papers for fact in judging.facts(paper)]
    return Findings(tuple(sorted(facts, key=_order)), {**collected.blind, **blind})


def _affordable(papers: Iterable[Paper]) -> tuple[list[Paper], Mapping[str, str]]:
    """The papers that are judged, those with few signatures first; and those that are not."""
    left = MAX_SIGNATURES
    chosen: list[Paper] = []
    blind: dict[str, str] = {}
    for paper in sorted(papers, key=lambda p: (len(p.parts), p.subject, p.digest)):
        if len(paper.parts) > left:
            why = f"there are more than {MAX_SIGNATURES} signatures in all"
            blind[f"paper {paper.digest}"] = why
        else:
            left -= len(paper.parts)
            chosen.append(paper)
    return chosen, blind


def _order(fact: Fact) -> tuple[str, ...]:
    about = (fact.subject, fact.paper, fact.elsewhere or "", fact.way, fact.kind, fact.format)
    return (*about, fact.verdict, fact.signature or "", fact.key or "", fact.why)


class _Judging(Struct):
    """`proven` holds what was proven before: many papers may hold one payload."""

    collected: Collected
    trust: Trust
    wanted: Wanted
    receipts: Receipts
    targets: dict[Digest, Target] = {}
    proven: dict[tuple[object, ...], Sequence[Outcome]] = {}

    def facts(self, paper: Paper) -> Iterator[Fact]:
        if isinstance(paper.manifest, Unreadable):
            yield _fact(paper, Kind.OTHER, Verdict.UNREADABLE, str(paper.manifest))
        for part in paper.parts:
            if part.form in SIGNED:
                yield from self._signed(paper, part)
            elif part.form is Form.STATEMENT:
                yield from self._statement(paper, part)
            else:
                yield _fact(paper, part.kind, Verdict.UNSIGNED, _UNSIGNED.get(part.form, _NOBODY))

    def _signed(self, paper: Paper, part: Part) -> Iterator[Fact]:
        content = self._content(paper, part)
        if content is None:
            return  # "could not look", which `blind` says
        if part.blob is not None and len(content) != part.blob.size:
            why = f"{part.blob.digest} has {len(content)} bytes, not {part.blob.size} as stated"
            yield _fact(paper, part.kind, Verdict.UNREADABLE, why, _format(paper, part))
            return
        for outcome in self._outcomes(paper, part, content):
            if isinstance(outcome, Proof):
                yield self._verified(paper, part, content, outcome)
            else:
                yield _refused(paper, part, content, outcome)

    def _outcomes(self, paper: Paper, part: Part, content: Content) -> Sequence[Outcome]:
        blob = part.blob
        annotations = tuple(sorted(blob.annotations.items())) if blob is not None else ()
        what = blob.digest if blob is not None else paper.digest
        media_type = blob.media_type if blob is not None else ""
        case = (part.form, what, media_type, annotations, paper.subject)
        if case not in self.proven:
            target = self._target(paper.subject)
            self.proven[case] = prove(part.form, blob, content, target, self.trust)
        return self.proven[case]

    def _verified(self, paper: Paper, part: Part, content: Content, proof: Proof) -> Fact:
        statement = proof.statement
        predicate_type = statement.predicate_type if statement is not None else None
        target = self._target(paper.subject)
        claims = claims_of(statement, target, self.wanted) if statement is not None else {}
        return replace(
            _fact(paper, kind_of_proof(proof, part.kind), Verdict.VERIFIED, "it verified"),
            format=_format(paper, part) if part.form is Form.SIMPLE else proof.format,
            predicate_type=predicate_type,
            signature=proof.signature,
            principal=proof.principal,
            anchors=tuple(sorted(proof.anchors)),
            key=proof.key,
            times=self._times(part, content, proof),
            logged=proof.logged,
            reference=proof.reference,
            annotations=proof.annotations,
            certificate=proof.certificate,
            claims=claims,
            expires=proof.expires,
            aliases=_aliases(target),
            not_before=proof.not_before,
            not_after=proof.not_after,
        )

    def _times(self, part: Part, content: Content, proof: Proof) -> tuple[TrustedTime, ...]:
        found = set(proof.times)
        if self.receipts:
            signatures = signatures_in(part.form, part.blob, content)
            window = proof.not_before, proof.not_after
            found.update(times_of(signatures, self.receipts, self.trust, window))
        return tuple(sorted(found, key=lambda time: (time.at, time.clock, time.authority)))

    def _statement(self, paper: Paper, part: Part) -> Iterator[Fact]:
        """A bare statement, as BuildKit writes it: it says what it is about, and nobody vouches."""
        from retinue.attest.statement import read_statement

        content = self._content(paper, part)
        if content is None:
            return
        try:
            statement = read_statement(content)
            self._target(paper.subject).subject_of(statement)
        except EvidenceError as problem:
            yield _fact(paper, part.kind, _verdict(problem), str(problem))
        else:
            kind = kind_stated(statement.predicate_type, part.kind)
            unsigned = _fact(paper, kind, Verdict.UNSIGNED, _NOBODY)
            yield replace(unsigned, predicate_type=statement.predicate_type)

    def _content(self, paper: Paper, part: Part) -> Content | None:
        if part.blob is not None:
            return self.collected.contents.get(part.blob.digest)
        return paper.manifest.raw if isinstance(paper.manifest, Manifest) else None

    def _target(self, subject: Digest) -> Target:
        if subject not in self.targets:
            manifest = self.collected.subjects[subject]
            self.targets[subject] = Target(subject, manifest.media_type, manifest.raw)
        return self.targets[subject]


_NOBODY = "nobody signed it"
_UNSIGNED: Mapping[Form, str] = {
    Form.TIMESTAMP: "a receipt: it may add a time to the signature that it is about",
    Form.OPAQUE: "of a type that is not known",
}


def _fact(
    paper: Paper, kind: Kind, verdict: Verdict, why: str, form: Format = Format.UNSIGNED
) -> Fact:
    way = paper.way if paper.elsewhere is None else Way.ELSEWHERE
    return Fact(
        paper.digest, paper.subject, way, kind, form, verdict, why, elsewhere=paper.elsewhere
    )


def _refused(paper: Paper, part: Part, content: Content, problem: EvidenceError) -> Fact:
    stated = peek(part.form, content)
    kind = kind_stated(stated, part.kind)
    fact = _fact(paper, kind, _verdict(problem), str(problem), _format(paper, part))
    return replace(fact, predicate_type=stated)


def _verdict(problem: EvidenceError) -> Verdict:
    if isinstance(problem, Malformed):
        return Verdict.UNREADABLE
    return Verdict.NO_ANCHOR if isinstance(problem, NoAnchor) else Verdict.FAILED


def _format(paper: Paper, part: Part) -> Format:
    """Simple signing in a manifest that names its subject is what cosign calls OCI 1.1."""
    manifest = paper.manifest
    if part.form is Form.SIMPLE and isinstance(manifest, Manifest) and manifest.subject is not None:
        return Format.OCI11
    return FORMATS[part.form]


def _aliases(target: Target) -> tuple[Digest, ...]:
    if digests.algorithm(target.digest) == "sha256":
        return ()
    return (digests.of(target.raw),)
