"""Signatures as they are attached to images. No clock, no randomness beyond the signer's own."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from retinue.attest.anchors import hint_of
from retinue.attest.formats import dsse, simplesigning
from retinue.attest.formats.bundle import write_bundle
from retinue.attest.formats.simplesigning import SimpleSignature
from retinue.attest.keys.key import Signer
from retinue.attest.statement import Subject, read_statement, write_statement
from retinue.attest.target import Target
from retinue.oci import names
from retinue.oci.digest import Digest, algorithm, encoded


def signature_statement(digest: Digest, annotations: Mapping[str, str]) -> bytes:
    """What `sign` says of an image, as cosign 3 does: an empty predicate, a subject without a name."""
    subject = Subject("", {algorithm(digest): encoded(digest)}, annotations)
    return write_statement(names.PREDICATE_SIGN, b"{}", (subject,))


def sign_statement(statement: bytes, signer: Signer) -> bytes:
    """A bundle 0.3 around these bytes. Raises Malformed for what is no statement, SignerFailed."""
    read_statement(statement)
    signature = signer.sign(dsse.pae(names.IN_TOTO, statement))
    return write_bundle(names.IN_TOTO, statement, signature, key_material(signer))


def key_material(signer: Signer) -> dict[str, Any]:
    """How a bundle names the key that signed."""
    return {"publicKey": {"hint": hint_of(signer.public)}}


def sign_envelope(statement: bytes, signer: Signer) -> bytes:
    """A bare envelope, cosign's legacy form. Raises Malformed, SignerFailed."""
    read_statement(statement)
    signature = signer.sign(dsse.pae(names.IN_TOTO, statement))
    return dsse.write_envelope(names.IN_TOTO, statement, signature)


def sign_simple(
    target: Target, reference: str, annotations: Mapping[str, str], signer: Signer
) -> SimpleSignature:
    """A layer of a `.sig` manifest. `reference` is the name under which the image is signed:
    `registry/repository`, for podman perhaps with a tag. Raises SignerFailed.
    """
    payload = simplesigning.payload(target.digest, reference, annotations)
    signature = b64encode(signer.sign((payload,))).decode()
    return SimpleSignature(payload, {names.ANNOTATION_SIGNATURE: signature})
