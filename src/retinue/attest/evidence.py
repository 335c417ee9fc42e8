"""A signature, and what came with it to say who made it and when."""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from retinue.attest.errors import Malformed
from retinue.attest.formats import dsse, simplesigning
from retinue.attest.formats.bundle import Bundle
from retinue.attest.keys.message import Message
from retinue.oci import names

if TYPE_CHECKING:
    from retinue.attest.tlog import LogEntry

MAX_CERTIFICATES = 10
MAX_PEM = 256 * 1024
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


class Evidence(Struct, frozen=True):
    """`message` is what `signature` is over. `certificates` (DER, the leaf first) are empty where a
    key signed. `version` is the bundle's; empty for cosign's legacy forms.
    """

    signature: bytes
    message: Message
    version: str
    hint: str
    certificates: tuple[bytes, ...]
    entries: tuple["LogEntry", ...]
    timestamps: tuple[bytes, ...]


def of_bundle(bundle: Bundle, manifest: bytes) -> Evidence:
    """`manifest` is what a bundle without an envelope signs."""
    if bundle.envelope is None:
        assert bundle.message is not None
        message, signature = Message((manifest,)), bundle.message
    else:
        message, signature = dsse.signed(bundle.envelope), bundle.envelope.signatures[0]
    return Evidence(
        signature,
        message,
        bundle.version,
        bundle.hint,
        bundle.certificates,
        bundle.entries,
        bundle.timestamps,
    )


def of_layer(signature: bytes, message: Message, annotations: Mapping[str, str]) -> Evidence:
    """Cosign's legacy forms keep what vouches in annotations of the layer; raises Malformed."""
    stamp = simplesigning.timestamp(annotations)
    return Evidence(
        signature,
        message,
        "",
        "",
        _certificates(annotations),
        _entries(annotations),
        () if stamp is None else (stamp,),
    )


def _certificates(annotations: Mapping[str, str]) -> tuple[bytes, ...]:
    leaf = annotations.get(names.ANNOTATION_CERTIFICATE, "")
    if not leaf:
        return ()
    own, above = _pem(leaf), _pem(annotations.get(names.ANNOTATION_CHAIN, ""))
    if len(own) != 1:
        raise Malformed("certificate", f"the annotation holds {len(own)} of them, not one")
    if len(above) >= MAX_CERTIFICATES:
        raise Malformed("certificates", f"{len(above)} in the chain are too many")
    return own + above


def _pem(text: str) -> tuple[bytes, ...]:
    if len(text) > MAX_PEM:
        reason = f"{len(text)} characters of PEM are more than the {MAX_PEM} allowed"
        raise Malformed("certificate", reason)
    try:
        return tuple(b64decode("".join(body.split()), validate=True) for body in _PEM.findall(text))
    except Base64Error:
        raise Malformed("certificate", "the annotation does not hold PEM") from None


def _entries(annotations: Mapping[str, str]) -> tuple["LogEntry", ...]:
    text = annotations.get(names.ANNOTATION_LOG_BUNDLE, "")
    if not text:
        return ()
    from retinue.attest.tlog import read_legacy_bundle

    return (read_legacy_bundle(text),)
