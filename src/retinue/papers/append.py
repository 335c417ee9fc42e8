"""Papers at cosign's tags: appended to what is there, without losing what others append meanwhile.

A registry that heeds conditions refuses an overwrite; with the others the last writer wins, so whoever
writes looks again, and repeats what was lost.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from retinue.attest.anchors import Trust
from retinue.attest.errors import Refused
from retinue.attest.formats.dsse import read_envelope
from retinue.attest.formats.simplesigning import SimpleSignature, read_payload
from retinue.attest.proof import Proof
from retinue.attest.target import Target
from retinue.errors import RetinueError
from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.links import Way
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.stores import TagMoved
from retinue.oci.tags import cosign_tag
from retinue.papers.attach import Attached, Store, put
from retinue.papers.collect import read_payloads
from retinue.papers.collected import Paper
from retinue.papers.content import Content
from retinue.papers.proving import Outcome, peek, prove, statement_in
from retinue.papers.ways import cosign
from retinue.papers.ways.cosign import Layer
from retinue.papers.ways.layers import parts_of_layers
from retinue.papers.ways.part import Form, Part
from retinue.papers.witnessed import Seen, seen_in_layer, seen_of

ATTEMPTS = 24
"""How often a tag is written before we give up against the others."""

Pause: TypeAlias = Callable[[int], Awaitable[None]]
"""Waits before attempt N is looked at: longer than another's read and write take."""


class TagContested(RetinueError):
    """Others kept overwriting the tag; the paper may not be there."""

    def __init__(self, tag: str) -> None:
        super().__init__(
            f"tag {tag!r} was overwritten by others {ATTEMPTS} times: repeat when it is quiet, "
            "or attach a bundle, which nobody can overwrite"
        )
        self.tag = tag


class NoSuchTag(RetinueError):
    """Cosign has no tag for papers of a digest of this algorithm."""

    def __init__(self, subject: Digest) -> None:
        super().__init__(
            f"{subject} has no tag for papers in cosign's form, only sha256 digests have: "
            "attach a bundle instead"
        )
        self.subject = subject


class TagTaken(RetinueError):
    """The tag holds something that is not ours to overwrite."""

    def __init__(self, tag: str, why: str) -> None:
        super().__init__(f"tag {tag!r} holds {why}")
        self.tag = tag
        self.why = why


async def append_signature(
    store: Store,
    subject: Manifest,
    signature: SimpleSignature,
    *,
    pause: Pause,
    signer: Trust | None = None,
) -> Attached:
    """Append a signature to the image's `.sig` manifest, as cosign 2 does.

    With `signer` (whose signature it is), what he has signed already is not appended again. Raises
    EvidenceError where it is not about the image, NoSuchTag, TagTaken, TagContested.
    """
    layer = cosign.signature_layer(signature.payload, signature.annotations)
    wish = _Wish(subject, Form.SIMPLE, layer, signature.payload, signer)
    wish.check()
    return await _append(store, _tag(subject, "sig"), wish, pause)


async def append_envelope(
    store: Store,
    subject: Manifest,
    envelope: bytes,
    *,
    pause: Pause,
    signer: Trust | None = None,
    annotations: Mapping[str, str] | None = None,
    replace: bool = False,
) -> Attached:
    """Append an attestation to the image's `.att` manifest. `annotations` hold what witnesses said.
    `replace`: instead of all others there of the same predicate type, and before the rest. Raises
    as `append_signature`.
    """
    predicate_type = _predicate_type(subject, envelope)
    layer = cosign.attestation_layer(envelope, predicate_type, annotations)
    wish = _Wish(subject, Form.ENVELOPE, layer, envelope, signer, replace=replace)
    wish.check()
    return await _append(store, _tag(subject, "att"), wish, pause)


async def put_sbom(
    store: Store,
    subject: Manifest,
    sbom: bytes,
    media_type: str,
    *,
    pause: Pause,
    replace: bool = False,
) -> Attached:
    """Put an SBOM at the image's `.sbom` tag, which holds one. Raises TagTaken where another one is,
    and should not be replaced.
    """
    wish = _Wish(subject, Form.DOCUMENT, cosign.sbom_layer(sbom, media_type), sbom, replace=replace)
    return await _append(store, _tag(subject, "sbom"), wish, pause)


class _Wish(Struct, frozen=True):
    """A layer that should be at the tag."""

    subject: Manifest
    form: Form
    layer: Layer
    data: bytes
    signer: Trust | None = None
    replace: bool = False

    def check(self) -> None:
        """Raises EvidenceError unless it is about the subject, and made by the signer."""
        if self.form is Form.SIMPLE:
            said = digests.parse(read_payload(self.data).digest)
            if said != self.subject.digest:
                raise _foreign(self.subject, said)
        if self.signer is not None:
            for outcome in self._prove(_part(self.form, self.layer), self.data):
                if not isinstance(outcome, Proof):
                    raise outcome

    def layers(
        self, tag: str, present: Manifest | None, contents: Mapping[Digest, Content]
    ) -> Sequence[Layer] | None:
        """What the tag should hold; None: it says this already. Raises TagTaken."""
        there = list(cosign.layers_of(present))
        if self.form is Form.DOCUMENT and there and there != [self.layer] and not self.replace:
            raise TagTaken(tag, "another SBOM; replace it, or attach this one as an artifact")
        said = [layer for layer in there if layer == self.layer] or self._said(present, contents)
        new = said[:1] or [self.layer]
        if not self.replace:
            wanted = there if said else [*there, *new]
        else:
            gone = self._others(present, contents)
            wanted = [*new, *(x for x in there if x not in new and x["digest"] not in gone)]
        return None if wanted == there else wanted

    def _said(self, present: Manifest | None, contents: Mapping[Digest, Content]) -> list[Layer]:
        """The layers in which this signer has said the same."""
        blobs = [p.blob for p in _parts(present) if self._says(p, contents) and p.blob]
        return [
            layer
            for layer in cosign.layers_of(present)
            for blob in blobs
            if layer["digest"] == blob.digest and layer.get("annotations", {}) == blob.annotations
        ]

    def _others(self, present: Manifest | None, contents: Mapping[Digest, Content]) -> set[Digest]:
        """What a replacement takes the place of: all that has its type."""
        stated = peek(self.form, self.data)
        found = (p.blob.digest for p in _parts(present) if p.blob and p.form is self.form)
        if self.form is Form.DOCUMENT:
            return set(found)
        return {d for d in found if peek(self.form, contents.get(d, b"")) == stated}

    def _says(self, part: Part, contents: Mapping[Digest, Content]) -> bool:
        """Whether this signer has said the same there."""
        if self.signer is None or part.blob is None or part.form is not self.form:
            return False
        content = contents.get(part.blob.digest)
        if content is None:
            return False
        ours = self._seen(_part(self.form, self.layer), self.data)
        theirs = self._seen(part, content)
        return any(
            signature in theirs and ours[signature] <= theirs[signature] for signature in ours
        )

    def _seen(self, part: Part, content: Content) -> Mapping[str, Seen]:
        """What witnesses said of each of the signer's signatures: verified where a root says whom to
        believe, else whatever is there.
        """
        there = seen_in_layer(part.blob.annotations if part.blob is not None else {})
        rooted = self.signer is not None and self.signer.roots
        proofs = self._proofs(part, content)
        return {proof.signature: seen_of(proof) if rooted else there for proof in proofs}

    def _proofs(self, part: Part, content: Content) -> Sequence[Proof]:
        return [each for each in self._prove(part, content) if isinstance(each, Proof)]

    def _prove(self, part: Part, content: Content) -> Sequence[Outcome]:
        target = Target(self.subject.digest, self.subject.media_type, self.subject.raw)
        return prove(part.form, part.blob, content, target, self.signer or Trust())


async def _append(store: Store, tag: str, wish: _Wish, pause: Pause) -> Attached:
    """Write until it is there when looked at again."""
    written = False
    for attempt in range(ATTEMPTS):
        present = await _present(store, tag)
        contents = await _contents(store, wish, present)
        layers = wish.layers(tag, present, contents)
        if layers is None:
            assert present is not None
            return Attached(present.digest, new=written)
        made = cosign.tag_paper(present, layers, [wish.data])
        await put(store, made)
        written = await _move(store, tag, present, made.manifest.digest) or written
        await pause(attempt)
    raise TagContested(tag)


async def _move(store: Store, tag: str, present: Manifest | None, digest: Digest) -> bool:
    """False: somebody else was faster."""
    try:
        if present is None:
            await store.put_tag(tag, digest, new=True)
        else:
            await store.put_tag(tag, digest, expected=present.digest)
    except TagMoved:
        return False
    return True


async def _present(store: Store, tag: str) -> Manifest | None:
    digest = await store.resolve(tag)
    if digest is None:
        return None
    found = (await store.manifests([digest]))[digest]
    if isinstance(found, Unreadable):
        raise TagTaken(tag, f"what cannot be read ({found}); delete it first")
    if found is not None and found.config is None:
        raise TagTaken(tag, f"{found.media_type!r}, which has no layers; delete it first")
    return found


async def _contents(
    store: Store, wish: _Wish, present: Manifest | None
) -> Mapping[Digest, Content]:
    """The payloads that are there, as far as they have to be compared."""
    if wish.form is Form.SIMPLE:
        return {digests.of(wish.data): wish.data}
    if present is None or wish.form is Form.DOCUMENT:
        return {}
    paper = Paper(present.digest, wish.subject.digest, Way.COSIGN, present, _parts(present))
    return (await read_payloads(store, [paper])).contents


def _parts(present: Manifest | None) -> tuple[Part, ...]:
    return () if present is None else parts_of_layers(present)


def _part(form: Form, layer: Layer) -> Part:
    """The part that a layer will be."""
    made = cosign.tag_paper(None, [layer], [])
    return next(part for part in parts_of_layers(made.manifest) if part.form is form)


def _tag(subject: Manifest, suffix: str) -> str:
    tag = cosign_tag(subject.digest, suffix)
    if tag is None:
        raise NoSuchTag(subject.digest)
    return tag


def _predicate_type(subject: Manifest, envelope: bytes) -> str:
    statement = statement_in(read_envelope(envelope))
    Target(subject.digest, subject.media_type, subject.raw).subject_of(statement)
    return statement.predicate_type


def _foreign(subject: Manifest, said: Digest) -> Refused:
    return Refused("payload", f"is about {said}, not {subject.digest}")
