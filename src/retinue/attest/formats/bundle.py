"""Sigstore bundles, versions 0.1 to 0.3.

https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto, in protobuf's JSON.

Unknown fields are ignored. Fields have their camelCase names; a snake_case spelling of a field that
is read here is refused: protobuf's own readers take both, so that two readers could see two bundles.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from json import dumps
from typing import TYPE_CHECKING, Any

from retinue.attest import large
from retinue.attest.errors import Malformed
from retinue.attest.formats import dsse
from retinue.attest.formats.dsse import Envelope
from retinue.attest.large import Raw
from retinue.oci import names

if TYPE_CHECKING:
    from retinue.attest.tlog import LogEntry

VERSIONS: Mapping[str, str] = {
    f"{names.BUNDLE_UNVERSIONED};version=0.1": "0.1",
    f"{names.BUNDLE_UNVERSIONED};version=0.2": "0.2",
    f"{names.BUNDLE_UNVERSIONED};version=0.3": "0.3",
    names.BUNDLE: "0.3",
}
"""Media types, and the versions that they stand for."""

MAX_CERTIFICATES = 10
MAX_CERTIFICATE = 64 * 1024
MAX_ENTRIES = 32
MAX_TIMESTAMPS = 32
MAX_TIMESTAMP = 64 * 1024
MAX_HINT = 1024


@dataclass(frozen=True, slots=True)
class Bundle:
    """A signature and what vouches for its signer.

    Either `envelope`, or `message` (a signature over bytes that are elsewhere). Either
    `certificates` (DER, the leaf first), or none, for a key of which `hint` says something.
    """

    version: str
    envelope: Envelope | None
    message: bytes | None
    hint: str
    certificates: tuple[bytes, ...]
    entries: tuple["LogEntry", ...]
    timestamps: tuple[bytes, ...]


def read_bundle(raw: Raw) -> Bundle:
    """Read a bundle; raises Malformed."""
    document = large.load(raw, "bundle")
    kind = _get(document, "mediaType") if isinstance(document, dict) else None
    version = VERSIONS.get(kind) if isinstance(kind, str) else None
    if version is None:
        raise Malformed("bundle", f"mediaType is {kind!r:.120}; versions 0.1 to 0.3 are read")
    material = _object(document, "verificationMaterial")
    if material is None:
        raise Malformed("bundle", "has no verificationMaterial")
    envelope, message = _content(document)
    hint, certificates = _signer(material)
    return Bundle(
        version,
        envelope,
        message,
        hint,
        certificates,
        _entries(material),
        tuple(_timestamps(material)),
    )


def _get(value: Mapping[str, Any], name: str) -> Any:
    """A field; null is absent (protobuf's JSON)."""
    snake = _SNAKE.get(name)
    if snake is not None and snake in value:
        raise Malformed("bundle", f"has the field {snake}; bundles write {name}")
    return value.get(name)


_SNAKE: Mapping[str, str] = {
    "mediaType": "media_type",
    "verificationMaterial": "verification_material",
    "messageSignature": "message_signature",
    "dsseEnvelope": "dsse_envelope",
    "publicKey": "public_key",
    "x509CertificateChain": "x509_certificate_chain",
    "rawBytes": "raw_bytes",
    "payloadType": "payload_type",
    "tlogEntries": "tlog_entries",
    "timestampVerificationData": "timestamp_verification_data",
    "rfc3161Timestamps": "rfc3161_timestamps",
    "signedTimestamp": "signed_timestamp",
}


def _object(value: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    found = _get(value, name)
    if found is not None and not isinstance(found, dict):
        raise Malformed("bundle", f"{name} is not an object")
    return found


def _list(value: Mapping[str, Any], name: str, most: int) -> list[Any]:
    found = _get(value, name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Malformed("bundle", f"{name} is not a list of objects")
    if len(found) > most:
        raise Malformed("bundle", f"{len(found)} {name} are more than the {most} allowed")
    return found


def _octets(value: Mapping[str, Any], name: str, most: int) -> bytes:
    found = large.content(_get(value, name), name)
    if not isinstance(found, bytes) or len(found) > most:
        raise Malformed("bundle", f"{name} has {len(found)} bytes; {most} are allowed")
    return found


def _content(document: Mapping[str, Any]) -> tuple[Envelope | None, bytes | None]:
    envelope = _object(document, "dsseEnvelope")
    message = _object(document, "messageSignature")
    if (envelope is None) == (message is None):
        raise Malformed("bundle", "needs one of dsseEnvelope and messageSignature")
    if message is not None:
        return None, dsse.signature(message.get("signature"))
    _get(envelope or {}, "payloadType")
    read = dsse.from_json(envelope)
    if len(read.signatures) != 1:
        reason = f"has {len(read.signatures)} signatures; a bundle has exactly one"
        raise Malformed("bundle", reason)
    return read, None


def _signer(material: Mapping[str, Any]) -> tuple[str, tuple[bytes, ...]]:
    key = _object(material, "publicKey")
    chain = _object(material, "x509CertificateChain")
    certificate = _object(material, "certificate")
    if sum(found is not None for found in (key, chain, certificate)) != 1:
        reason = "needs one of publicKey, certificate and x509CertificateChain"
        raise Malformed("bundle", reason)
    if key is not None:
        hint = key.get("hint") or ""
        if not isinstance(hint, str) or len(hint) > MAX_HINT:
            raise Malformed("bundle", "the hint of its key is not a short string")
        return hint, ()
    found = [certificate] if chain is None else _list(chain, "certificates", MAX_CERTIFICATES)
    if not found:
        raise Malformed("bundle", "has an empty chain of certificates")
    return "", tuple(_octets(item or {}, "rawBytes", MAX_CERTIFICATE) for item in found)


def _entries(material: Mapping[str, Any]) -> tuple["LogEntry", ...]:
    entries = _list(material, "tlogEntries", MAX_ENTRIES)
    if not entries:
        return ()
    from retinue.attest.tlog import read_entry

    return tuple(map(read_entry, entries))


def _timestamps(material: Mapping[str, Any]) -> Iterator[bytes]:
    data = _object(material, "timestampVerificationData")
    for item in _list(data or {}, "rfc3161Timestamps", MAX_TIMESTAMPS):
        yield _octets(item, "signedTimestamp", MAX_TIMESTAMP)


def write_bundle(payload_type: str, payload: bytes, signature: bytes, hint: str) -> bytes:
    """A bundle 0.3 with an envelope that a key signed, without a log, as cosign 3 writes it."""
    document = {
        "mediaType": names.BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": hint}},
        "dsseEnvelope": dsse.to_json(payload_type, payload, signature),
    }
    return dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
