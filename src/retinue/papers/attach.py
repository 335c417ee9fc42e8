"""Attaching papers to images so that none is lost, and none comes twice.

A referrer is a manifest of its own: nobody can overwrite it. A store lists it where there is no
referrers API (`put_manifest` does). What is appended to a tag is in `append.py`.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from msgspec import Struct

from retinue.attest.anchors import Trust
from retinue.attest.proof import Proof
from retinue.attest.statement import Statement, read_statement
from retinue.attest.target import Target
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.links import Way
from retinue.oci.manifest import Manifest
from retinue.oci.stores import Sink, Source
from retinue.papers.collect import collect
from retinue.papers.collected import Collected, Paper
from retinue.papers.content import Content
from retinue.papers.limits import Limits
from retinue.papers.proving import prove, statement_in
from retinue.papers.ways.artifact import receipt_paper, sbom_paper, statement_paper
from retinue.papers.ways.bundle import bundle_paper
from retinue.papers.ways.making import Made
from retinue.papers.ways.notation import notation_paper
from retinue.papers.ways.part import Form
from retinue.papers.witnessed import Seen, seen_in_bundle, seen_of

DIFFERENCE = 256 * 1024
"""Bytes by which two bundles around one statement may differ."""


class Store(Source, Sink, Protocol):
    """A repository to read from and to write to."""


class Attached(Struct, frozen=True):
    """`digest` is the paper's manifest, or the one at the tag that holds it. Not `new`: the same
    signer had said the same before. `replaced` are papers of his of the same type that say
    something else, and hold nothing besides."""

    digest: Digest
    new: bool
    replaced: tuple[Digest, ...] = ()


async def attach_bundle(
    store: Store,
    subject: Manifest,
    bundle: bytes,
    *,
    created: datetime,
    signer: Trust | None = None,
    annotations: Mapping[str, str] | None = None,
    inline: bool = False,
    replacing: bool = False,
) -> Attached:
    """Attach a Sigstore bundle as cosign 3 does. See `attach_bundles`."""
    attached = await attach_bundles(
        store,
        subject,
        [bundle],
        created=created,
        signer=signer,
        annotations=annotations,
        inline=inline,
        replacing=replacing,
    )
    return attached[0]


async def attach_bundles(
    store: Store,
    subject: Manifest,
    bundles: Sequence[bytes],
    *,
    created: datetime,
    signer: Trust | None = None,
    annotations: Mapping[str, str] | None = None,
    inline: bool = False,
    replacing: bool = False,
) -> tuple[Attached, ...]:
    """Attach several at once, each as a referrer of its own.

    With `signer` (whose signatures these are), each must verify, and what he has said already is
    not said again. Without, each must be about the subject, and the same bytes are not attached
    twice. With `replacing`, what he said otherwise
    is looked for among papers of any size. Raises EvidenceError before anything is written.
    """
    target = Target(subject.digest, subject.media_type, subject.raw)
    words = [_word(bundle, target, signer) for bundle in bundles]
    largest = None if replacing else max(map(len, bundles), default=0)
    present = await _present(store, subject, largest, None if signer is None else Form.BUNDLE)
    done: list[Attached] = []
    for bundle, word in zip(bundles, words, strict=True):
        made = bundle_paper(
            subject, bundle, word.predicate_type, created, annotations or {}, inline=inline
        )
        if signer is None:
            said = _Said(_holder(present, made.manifest))
        else:
            said = _said(word, present, target, signer)
        if said.digest is not None:
            done.append(Attached(said.digest, new=False, replaced=said.others))
            continue
        await put(store, made)
        done.append(Attached(made.manifest.digest, new=True, replaced=said.others))
    return tuple(done)


async def attach_notation(
    store: Store,
    subject: Manifest,
    envelope: bytes,
    *,
    created: datetime,
    media_type: str = names.NOTATION_JWS,
    signer: Trust | None = None,
) -> Attached:
    """Attach a Notary Project signature, as notation does.

    With `signer` it must verify, and one of his with the same annotations is enough, unless either
    expires. Raises EvidenceError before anything is written.
    """
    made = notation_paper(subject, envelope, media_type, created)
    if signer is not None:
        target = Target(subject.digest, subject.media_type, subject.raw)
        layer = made.manifest.blobs[1]
        new = prove(Form.NOTATION, layer, envelope, target, signer)[0]
        if not isinstance(new, Proof):
            raise new
        present = await _present(store, subject, len(envelope), Form.NOTATION)
        for paper, proof, _ in _proofs(present, target, signer, Form.NOTATION):
            if _lasting(new) == _lasting(proof) and new.expires is None is proof.expires:
                return Attached(paper, new=False)
    await put(store, made)
    return Attached(made.manifest.digest, new=True)


async def attach_sbom(
    store: Store,
    subject: Manifest,
    sbom: bytes,
    media_type: str,
    *,
    created: datetime,
    annotations: Mapping[str, str] | None = None,
) -> Attached:
    """Attach an SBOM as it is, unsigned. The same document is not attached twice."""
    made = sbom_paper(subject, sbom, media_type, created, annotations or {})
    return await _attach_plain(store, subject, made)


async def attach_statement(
    store: Store,
    subject: Manifest,
    statement: bytes,
    *,
    created: datetime,
    annotations: Mapping[str, str] | None = None,
) -> Attached:
    """Attach an attestation that nobody signed. Raises EvidenceError: it must be about the subject."""
    target = Target(subject.digest, subject.media_type, subject.raw)
    target.subject_of(read_statement(statement))
    made = statement_paper(subject, statement, created, annotations or {})
    return await _attach_plain(store, subject, made)


async def attach_receipt(
    store: Store, paper: Manifest, token: bytes, signature: bytes, *, created: datetime
) -> Attached:
    """Attach a time stamp over the bytes of a signature in this paper."""
    made = receipt_paper(paper, token, signature, created)
    await put(store, made)
    return Attached(made.manifest.digest, new=True)


async def put(store: Store, made: Made) -> None:
    """Blobs that are not there yet, then the manifest."""
    for digest in await store.lacks(made.blobs):
        await store.put_blob(digest, len(made.blobs[digest]), _one(made.blobs[digest]))
    await store.put_manifest(made.manifest)


async def _present(
    store: Store, subject: Manifest, size: int | None, form: Form | None
) -> Collected:
    """What may say the same as a paper of this size: it differs by a signature, a log entry.

    Without a form no payloads are read.
    """
    limits = Limits() if size is None else Limits(statement=size + DIFFERENCE)
    forms = () if form is None else (form,)
    return await collect(store, subject, depth=1, limits=limits, forms=forms)


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _attach_plain(store: Store, subject: Manifest, made: Made) -> Attached:
    present = await collect(store, subject, depth=1, forms=())
    there = _holder(present, made.manifest)
    if there is not None:
        return Attached(there, new=False)
    await put(store, made)
    return Attached(made.manifest.digest, new=True)


def _holder(present: Collected, made: Manifest) -> Digest | None:
    """A paper that holds the same bytes."""
    wanted = _holds(made)
    for paper in present.papers:
        if isinstance(paper.manifest, Manifest) and _holds(paper.manifest) == wanted:
            return paper.digest
    return None


def _holds(paper: Manifest) -> tuple[object, ...]:
    """What tells papers apart that nobody signed; when one was made does not."""
    layers = tuple((blob.media_type, blob.digest) for blob in paper.blobs[1:])
    return paper.subject is not None, paper.artifact_type, layers


class _Word(Struct, frozen=True):
    """What a bundle says, by whom. A predicate may be large: of a statement only hashes are kept."""

    predicate_type: str | None
    statement: tuple[object, ...] | None = None
    principal: str = ""
    signature: str = ""
    seen: Seen = frozenset()

    def is_said_by(self, proof: Proof) -> bool:
        """Whether a signer said the same: keyless signers have a key for each signature."""
        return self.principal == proof.principal and (
            self.signature == proof.signature
            or (self.statement is not None and self.statement == _gist(proof.statement))
        )


def _gist(statement: Statement | None) -> tuple[object, ...] | None:
    """What tells statements apart."""
    if statement is None:
        return None
    predicate = sha256(statement.predicate).digest()
    return statement.version, statement.subjects, statement.predicate_type, predicate


def _word(bundle: bytes, target: Target, signer: Trust | None) -> _Word:
    """Raises EvidenceError for what is not about the target, or not by the signer."""
    from retinue.attest.formats.bundle import read_bundle
    from retinue.attest.verify import verify_bundle

    if signer is not None:
        proof = verify_bundle(bundle, target, signer)
        kind = proof.statement.predicate_type if proof.statement is not None else None
        seen = _seen(bundle, proof, signer)
        return _Word(kind, _gist(proof.statement), proof.principal, proof.signature, seen)
    envelope = read_bundle(bundle).envelope
    if envelope is None:
        return _Word(None)
    statement = statement_in(envelope)
    target.subject_of(statement)
    return _Word(statement.predicate_type)


class _Said(Struct, frozen=True):
    """What a signer has said before: the same in `digest`, and otherwise in `others`."""

    digest: Digest | None = None
    others: tuple[Digest, ...] = ()


def _said(word: _Word, present: Collected, target: Target, signer: Trust) -> _Said:
    same: list[Digest] = []
    others: list[Digest] = []
    alone = {paper.digest for paper in present.papers if _is_one_referrer(paper)}
    for paper, proof, content in _proofs(present, target, signer):
        if word.is_said_by(proof):
            same += [paper] if word.seen <= _seen(content, proof, signer) else []
        elif proof.statement is not None and proof.statement.predicate_type == word.predicate_type:
            others += [paper] if paper in alone else []
    return _Said(same[0] if same else None, tuple(dict.fromkeys(others)))


def _is_one_referrer(paper: Paper) -> bool:
    """Whether nobody else's word goes with it when it is deleted."""
    return paper.way in {Way.REFERRERS, Way.FALLBACK} and len(paper.parts) == 1


def _seen(bundle: Content, proof: Proof, signer: Trust) -> Seen:
    """What witnesses said: verified where a root says whom to believe, else whatever is there."""
    return seen_of(proof) if signer.roots else seen_in_bundle(bundle)


def _proofs(
    present: Collected, target: Target, signer: Trust, form: Form = Form.BUNDLE
) -> Iterator[tuple[Digest, Proof, Content]]:
    """What this signer's papers of a form that are there prove, one by one: they may be large."""
    for paper in present.papers:
        for part in paper.parts:
            content = present.contents.get(part.blob.digest) if part.blob is not None else None
            if part.form is form and content is not None:
                for outcome in prove(part.form, part.blob, content, target, signer):
                    if isinstance(outcome, Proof):
                        yield paper.digest, outcome, content


def _lasting(proof: Proof) -> tuple[object, ...]:
    """What a notation signature says besides when it was made."""
    return proof.principal, dict(proof.annotations)
