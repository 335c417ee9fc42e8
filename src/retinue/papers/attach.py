"""Attaching papers to images so that none is lost, and none comes twice.

A referrer is a manifest of its own: nobody can overwrite it. A store lists it where there is no
referrers API (`put_manifest` does). What is appended to a tag is in `append.py`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from retinue.attest.anchors import Trust
from retinue.attest.proof import Proof
from retinue.attest.statement import read_statement
from retinue.attest.target import Target
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.stores import Sink, Source
from retinue.papers.collect import collect
from retinue.papers.collected import Collected
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


@dataclass(frozen=True, slots=True)
class Attached:
    """`digest` is the paper's manifest, or the one at the tag that holds it. Not `new`: the same
    signer had said the same before. `replaced` are papers of his of the same type that say
    something else."""

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
) -> tuple[Attached, ...]:
    """Attach several at once, each as a referrer of its own.

    With `signer` (whose signatures these are), each must verify, and what he has said already is
    not said again. Without, each must be about the subject. Raises EvidenceError before anything
    is written.
    """
    target = Target(subject.digest, subject.media_type, subject.raw)
    types = [_check(bundle, target, signer) for bundle in bundles]
    largest = max(map(len, bundles), default=0)
    present = await _present(store, subject, largest) if signer is not None else None
    done: list[Attached] = []
    for bundle, predicate_type in zip(bundles, types, strict=True):
        said = _said(bundle, predicate_type, present, target, signer)
        if said.digest is not None:
            done.append(Attached(said.digest, new=False))
            continue
        made = bundle_paper(
            subject, bundle, predicate_type, created, annotations or {}, inline=inline
        )
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
    store: Store, subject: Manifest, size: int, form: Form = Form.BUNDLE
) -> Collected:
    """What may say the same as a paper of this size: it differs by a signature, a log entry."""
    limits = Limits(statement=size + DIFFERENCE)
    return await collect(store, subject, depth=1, limits=limits, forms=(form,))


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _attach_plain(store: Store, subject: Manifest, made: Made) -> Attached:
    present = await collect(store, subject, depth=1, forms=())
    wanted = _holds(made.manifest)
    for paper in present.papers:
        if isinstance(paper.manifest, Manifest) and _holds(paper.manifest) == wanted:
            return Attached(paper.digest, new=False)
    await put(store, made)
    return Attached(made.manifest.digest, new=True)


def _holds(paper: Manifest) -> tuple[object, ...]:
    """What tells papers apart that nobody signed; when one was made does not."""
    layers = tuple((blob.media_type, blob.digest) for blob in paper.blobs[1:])
    return paper.subject is not None, paper.artifact_type, layers


def _check(bundle: bytes, target: Target, signer: Trust | None) -> str | None:
    """The predicate type of a bundle that is about the target; None where it has no statement."""
    from retinue.attest.formats.bundle import read_bundle
    from retinue.attest.verify import verify_bundle

    envelope = read_bundle(bundle).envelope
    if signer is not None:
        verify_bundle(bundle, target, signer)
    if envelope is None:
        return None
    statement = statement_in(envelope)
    target.subject_of(statement)
    return statement.predicate_type


@dataclass(frozen=True, slots=True)
class _Said:
    """What a signer has said before: the same in `digest`, or otherwise in `others`."""

    digest: Digest | None = None
    others: tuple[Digest, ...] = ()


def _said(
    bundle: bytes,
    predicate_type: str | None,
    present: Collected | None,
    target: Target,
    signer: Trust | None,
) -> _Said:
    if present is None or signer is None:
        return _Said()
    from retinue.attest.verify import verify_bundle

    new = verify_bundle(bundle, target, signer)
    others: list[Digest] = []
    wanted = _seen(bundle, new, signer)
    for paper, proof, content in _proofs(present, target, signer):
        if _same(new, proof):
            if wanted <= _seen(content, proof, signer):
                return _Said(paper)
        elif proof.statement is not None and proof.statement.predicate_type == predicate_type:
            others.append(paper)
    return _Said(None, tuple(dict.fromkeys(others)))


def _seen(bundle: Content, proof: Proof, signer: Trust) -> Seen:
    """What witnesses said: verified where a root says whom to believe, else whatever is there."""
    return seen_of(proof) if signer.roots else seen_in_bundle(bundle)


def _proofs(
    present: Collected, target: Target, signer: Trust, form: Form = Form.BUNDLE
) -> Sequence[tuple[Digest, Proof, Content]]:
    """What this signer's papers of a form that are there prove."""
    found: list[tuple[Digest, Proof, Content]] = []
    for paper in present.papers:
        for part in paper.parts:
            content = present.contents.get(part.blob.digest) if part.blob is not None else None
            if part.form is form and content is not None:
                outcomes = prove(part.form, part.blob, content, target, signer)
                proofs = (each for each in outcomes if isinstance(each, Proof))
                found += [(paper.digest, each, content) for each in proofs]
    return found


def _lasting(proof: Proof) -> tuple[object, ...]:
    """What a notation signature says besides when it was made."""
    return proof.principal, dict(proof.annotations)


def _same(one: Proof, other: Proof) -> bool:
    """Whether a signer said the same: keyless signers have a key for each signature."""
    return one.principal == other.principal and (
        one.signature == other.signature
        or (one.statement is not None and one.statement == other.statement)
    )
