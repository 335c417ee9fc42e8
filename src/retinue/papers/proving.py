"""What one payload proves about a subject: a row for each form that a signature may have."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from retinue.attest.anchors import Trust
from retinue.attest.errors import EvidenceError, Malformed
from retinue.attest.proof import Format, Proof
from retinue.attest.target import Target
from retinue.oci.descriptor import Descriptor
from retinue.papers.content import Content
from retinue.papers.kinds import Kind, kind_of_predicate
from retinue.papers.ways.part import Form

if TYPE_CHECKING:
    from retinue.attest.formats.dsse import Envelope
    from retinue.attest.statement import Statement

Outcome: TypeAlias = Proof | EvidenceError

FORMATS: Mapping[Form, Format] = {
    Form.BUNDLE: Format.BUNDLE,
    Form.ENVELOPE: Format.LEGACY,
    Form.SIMPLE: Format.LEGACY,
    Form.NOTATION: Format.NOTATION,
    Form.TOKEN: Format.JWS,
}
"""What a signature of each form is called; simple signing in a referrer is `oci11`."""

MAX_SIMPLE = 1024 * 1024
"""Bytes of a simple signing payload, and of a notation envelope."""
PEEKED = 4 * 1024 * 1024
"""Bytes of a paper that is looked into although nothing in it was proven."""


def prove(
    form: Form, layer: Descriptor | None, content: Content, target: Target, trust: Trust
) -> Sequence[Outcome]:
    """What verification says of each signature in it: a proof, or why there is none."""
    try:
        return _PROVERS[form](layer, content, target, trust)
    except EvidenceError as problem:
        return (problem,)


def _bundle(
    _: Descriptor | None, content: Content, target: Target, trust: Trust
) -> Sequence[Outcome]:
    from retinue.attest.verify import verify_bundle

    return (verify_bundle(content, target, trust),)


def _envelope(
    layer: Descriptor | None, content: Content, target: Target, trust: Trust
) -> Sequence[Outcome]:
    from retinue.attest.verify import verify_envelope

    annotations = layer.annotations if layer is not None else {}
    return verify_envelope(content, target, trust, annotations)


def _simple(
    layer: Descriptor | None, content: Content, target: Target, trust: Trust
) -> Sequence[Outcome]:
    from retinue.attest.verify import verify_simple

    annotations = layer.annotations if layer is not None else {}
    return (verify_simple(_small(content), annotations, target, trust),)


def _notation(
    layer: Descriptor | None, content: Content, target: Target, trust: Trust
) -> Sequence[Outcome]:
    from retinue.attest.notation import verify_notation

    media_type = layer.media_type if layer is not None else ""
    return (verify_notation(_small(content), media_type, target, trust),)


def _token(_: Descriptor | None, content: Content, __: Target, trust: Trust) -> Sequence[Outcome]:
    """Only what says itself that it is about the subject has this form (`ways/objects.py`)."""
    from retinue.attest.objects import verify_jws

    return (verify_jws(bytes(content), trust),)


def _small(content: Content) -> bytes:
    """Both of these are small, or none; a large one stays in its file."""
    if len(content) > MAX_SIMPLE:
        raise Malformed("payload", f"{len(content)} bytes are more than the {MAX_SIMPLE} allowed")
    return bytes(content)


_Prover: TypeAlias = Callable[[Descriptor | None, Content, Target, Trust], Sequence[Outcome]]
_PROVERS: Mapping[Form, _Prover] = {
    Form.BUNDLE: _bundle,
    Form.ENVELOPE: _envelope,
    Form.SIMPLE: _simple,
    Form.NOTATION: _notation,
    Form.TOKEN: _token,
}


def signatures_in(form: Form, layer: Descriptor | None, content: Content) -> Sequence[bytes]:
    """The bytes of the signatures that it holds, verified or not; raises Malformed."""
    from retinue.attest.formats import bundle, dsse, notary, simplesigning

    if form is Form.BUNDLE:
        found = bundle.read_bundle(content)
        return found.envelope.signatures if found.envelope else (found.message or b"",)
    if form is Form.ENVELOPE:
        return dsse.read_envelope(content).signatures
    if form is Form.SIMPLE and layer is not None:
        return (simplesigning.signature(layer.annotations),)
    if form is Form.NOTATION and layer is not None:
        return (notary.read_envelope(bytes(content), layer.media_type).signature,)
    return ()


def statement_in(envelope: "Envelope") -> "Statement":
    """What an envelope holds, signed by whomever; raises Malformed."""
    from retinue.attest.large import spooled
    from retinue.attest.statement import read_statement

    if isinstance(envelope.payload, bytes):
        return read_statement(envelope.payload)
    with spooled(envelope.payload) as payload:
        return read_statement(payload)


def peek(form: Form, content: Content) -> str | None:
    """The predicate type that an unproven paper states, to show it under its kind; None: none."""
    from retinue.attest.formats import bundle, dsse

    if len(content) > PEEKED or form not in {Form.BUNDLE, Form.ENVELOPE}:
        return None
    try:
        found = bundle.read_bundle(content) if form is Form.BUNDLE else None
        envelope = found.envelope if found is not None else dsse.read_envelope(content)
        return None if envelope is None else statement_in(envelope).predicate_type
    except Malformed:
        return None  # whoever verifies it has told why


def kind_of_proof(proof: Proof, otherwise: Kind) -> Kind:
    """The kind of what was proven: a bundle without a statement is a signature."""
    if proof.statement is not None:
        return kind_of_predicate(proof.statement.predicate_type)
    return Kind.SIGNATURE if proof.format is Format.MESSAGE else otherwise


def kind_stated(predicate_type: str | None, otherwise: Kind) -> Kind:
    """The kind of a predicate type; without one, what its media type says."""
    return otherwise if predicate_type is None else kind_of_predicate(predicate_type)
