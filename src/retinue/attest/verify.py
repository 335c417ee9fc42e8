"""Verification of one signature over one manifest. Pure: no clock, no network, no store.

The order: caps and strict JSON; a pinned key or a certificate; the signature over the exact bytes,
which is cheap and rules most out; trusted times, the certificate's chain, the log entry; only then is
what was signed parsed; identity last. Whoever made a signature, the proof is the same for every copy.
"""

from collections.abc import Mapping
from types import MappingProxyType

from retinue.attest import evidence as evidences
from retinue.attest.anchors import PinnedKey, Trust
from retinue.attest.errors import Malformed, NoAnchor, Refused
from retinue.attest.evidence import Evidence
from retinue.attest.formats import dsse, simplesigning
from retinue.attest.formats.bundle import read_bundle
from retinue.attest.formats.dsse import Envelope
from retinue.attest.keys.key import PublicKey
from retinue.attest.keys.message import Message
from retinue.attest.large import Raw, spooled
from retinue.attest.logentry import Hashes
from retinue.attest.makers import by_certificate, by_key
from retinue.attest.proof import Format, Proof, signature_id
from retinue.attest.statement import Statement, read_statement
from retinue.attest.target import Target
from retinue.attest.vouching import Voucher, for_certificate, for_key
from retinue.oci import names
from retinue.oci.digest import algorithm, checked, encoded

NOTHING: Mapping[str, str] = MappingProxyType({})


def verify_bundle(raw: Raw, target: Target, trust: Trust) -> Proof:
    """The signature of a Sigstore bundle about this manifest. Raises Malformed, Refused, NoAnchor.

    A bundle with an envelope speaks of the manifest by a subject of its statement; one without signs
    the manifest's bytes, whatever its messageDigest says.
    """
    bundle = read_bundle(raw)
    found = evidences.of_bundle(bundle, target.raw)
    if bundle.envelope is not None:
        return _verify_envelope(Format.BUNDLE, bundle.envelope, found, target, trust, b"")
    voucher = _vouch(_maker(found, trust), found, Hashes((target.raw,)), trust)
    return _proof(Format.MESSAGE, voucher, found, None, NOTHING)


def verify_envelope(
    raw: Raw,
    target: Target,
    trust: Trust,
    annotations: Mapping[str, str] = NOTHING,
) -> tuple[Proof, ...]:
    """A bare envelope as a `.att` layer holds: all of its signatures that verify, at least one.

    `annotations` are those of the layer, for certificates, logs and times. Raises Malformed,
    Refused, NoAnchor where no signature verifies.
    """
    envelope = dsse.read_envelope(raw)
    message = dsse.signed(envelope)
    proofs: dict[str, Proof] = {}
    problems: list[Refused | NoAnchor] = []
    for signature in envelope.signatures:
        found = evidences.of_layer(signature, message, annotations)
        try:
            proof = _verify_envelope(Format.LEGACY, envelope, found, target, trust, raw)
        except (Refused, NoAnchor) as error:
            problems.append(error)
        else:
            proofs.setdefault(proof.signature, proof)
    if not proofs:
        raise next((error for error in problems if isinstance(error, Refused)), problems[0])
    return tuple(proofs.values())


def verify_simple(
    payload: bytes,
    annotations: Mapping[str, str],
    target: Target,
    trust: Trust,
    *,
    form: Format = Format.LEGACY,
) -> Proof:
    """A layer of a `.sig` manifest (or of an OCI 1.1 referrer: `form`), and its annotations.

    Raises Malformed, Refused, NoAnchor.
    """
    found = evidences.of_layer(
        simplesigning.signature(annotations), Message((payload,)), annotations
    )
    voucher = _vouch(_maker(found, trust), found, Hashes((payload,)), trust)
    said = simplesigning.read_payload(payload)
    digest = checked(said.digest)
    if digest is None or not target.names_it({algorithm(digest): encoded(digest)}):
        raise Refused("payload", f"is about {said.digest[:160]!r}, not {target.digest}")
    return _proof(form, voucher, found, None, said.annotations, said.reference)


def _verify_envelope(
    form: Format,
    envelope: Envelope,
    found: Evidence,
    target: Target,
    trust: Trust,
    whole: Raw,
) -> Proof:
    """`whole` is the text of the envelope; empty for one that is part of a bundle."""
    made = _maker(found, trust)
    payload = envelope.payload
    if isinstance(payload, bytes):
        voucher, statement = _read(made, found, trust, envelope, payload, whole)
    else:
        with spooled(payload) as mapped:
            voucher, statement = _read(made, found, trust, envelope, mapped, whole)
    subject = target.subject_of(statement)
    return _proof(form, voucher, found, statement, subject.annotations)


def _read(
    made: PinnedKey | PublicKey,
    found: Evidence,
    trust: Trust,
    envelope: Envelope,
    payload: Raw,
    whole: Raw,
) -> tuple[Voucher, Statement]:
    kind = envelope.payload_type
    with memoryview(payload) as content, memoryview(whole) as outer:
        hashes = Hashes((dsse.head(kind, len(payload)), content), content, outer)
        voucher = _vouch(made, found, hashes, trust)
    if kind != names.IN_TOTO:
        raise Malformed("envelope", f"payloadType is {kind[:120]!r}, not {names.IN_TOTO}")
    return voucher, read_statement(payload)


def _maker(found: Evidence, trust: Trust) -> PinnedKey | PublicKey:
    return by_certificate(found) if found.certificates else by_key(found, trust)


def _vouch(made: PinnedKey | PublicKey, found: Evidence, hashes: Hashes, trust: Trust) -> Voucher:
    if isinstance(made, PinnedKey):
        return for_key(made, found, hashes, trust)
    return for_certificate(made, found, hashes, trust)


def _proof(
    form: Format,
    voucher: Voucher,
    found: Evidence,
    statement: Statement | None,
    annotations: Mapping[str, str],
    reference: str | None = None,
) -> Proof:
    return Proof(
        format=form,
        signature=signature_id(voucher.key, found.message.digest("sha256")),
        principal=voucher.principal,
        anchors=voucher.anchors,
        key=voucher.key,
        times=voucher.times,
        logged=voucher.logged,
        statement=statement,
        annotations=annotations,
        reference=reference,
        certificate=voucher.certificate,
        expires=None,
        not_before=voucher.not_before,
        not_after=voucher.not_after,
    )
