"""Signatures by a key, with what clocks and logs say of them: the forms of `sign`, each witnessed."""

from base64 import b64encode
from collections.abc import Mapping

from retinue.attest.formats import dsse, simplesigning
from retinue.attest.formats.bundle import write_bundle
from retinue.attest.formats.simplesigning import SimpleSignature
from retinue.attest.keys.key import Signer
from retinue.attest.logentry import Hashes
from retinue.attest.posting import Post, post
from retinue.attest.services import Witnesses
from retinue.attest.sign import key_material
from retinue.attest.statement import read_statement
from retinue.attest.target import Target
from retinue.attest.witnessing import Signed, Verifier, signed_statement, witness
from retinue.oci import names


def sign_statement(
    statement: bytes, signer: Signer, witnesses: Witnesses, *, send: Post = post
) -> bytes:
    """A bundle 0.3 around these bytes. Raises Malformed for what is no statement, SignerFailed;
    KeyUnusable for a key that a log cannot have.
    """
    read_statement(statement)
    signature = signer.sign(dsse.pae(names.IN_TOTO, statement))
    said = witness(signed_statement(statement, signature, _verifier(signer)), witnesses, send)
    material = {**key_material(signer), **said.material()}
    return write_bundle(names.IN_TOTO, statement, signature, material)


def sign_envelope(
    statement: bytes, signer: Signer, witnesses: Witnesses, *, send: Post = post
) -> tuple[bytes, Mapping[str, str]]:
    """A bare envelope, cosign's legacy form, and the annotations of its layer that say what was
    witnessed. The timestamp is of the whole envelope, as cosign has it.

    Raises as `sign_statement`; Refused for an entry without a signed timestamp, which this form needs.
    """
    read_statement(statement)
    parts = dsse.pae(names.IN_TOTO, statement)
    signature = signer.sign(parts)
    envelope = dsse.write_envelope(names.IN_TOTO, statement, signature)
    hashes = Hashes(parts, statement, envelope)
    signed = Signed(signature, _verifier(signer), hashes, lambda: envelope, stamped=envelope)
    return envelope, witness(signed, witnesses, send).annotations()


def sign_simple(
    target: Target,
    reference: str,
    annotations: Mapping[str, str],
    signer: Signer,
    witnesses: Witnesses,
    *,
    send: Post = post,
) -> SimpleSignature:
    """A layer of a `.sig` manifest. Raises as `sign_envelope`."""
    payload = simplesigning.payload(target.digest, reference, annotations)
    signature = signer.sign((payload,))
    said = witness(Signed(signature, _verifier(signer), Hashes((payload,))), witnesses, send)
    text = b64encode(signature).decode()
    return SimpleSignature(payload, {names.ANNOTATION_SIGNATURE: text, **said.annotations()})


def _verifier(signer: Signer) -> Verifier:
    return Verifier(signer.public.spki, signer.algorithm)
