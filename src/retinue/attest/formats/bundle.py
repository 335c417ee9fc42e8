"""Sigstore bundles, versions 0.1 to 0.3.

https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto, in protobuf's JSON.

Unknown fields are ignored. Fields have their camelCase names; a snake_case spelling of a field that
is read here is refused: protobuf's own readers take both, so that two readers could see two bundles.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from retinue.attest import large, usual
from retinue.attest.errors import Malformed
from retinue.attest.formats import dsse
from retinue.attest.formats.dsse import Envelope
from retinue.attest.large import Raw
from retinue.attest.usual import UsualBundle
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


class Bundle(Struct, frozen=True):
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
    found = usual.bundle(raw) if large.is_small(raw) else None
    return (found and _of(found)) or read_strictly(raw)


def _of(found: UsualBundle) -> Bundle | None:
    """None for what `read_strictly` has something to say about."""
    version = VERSIONS.get(found.mediaType)
    hint = found.verificationMaterial.publicKey.hint
    stated = found.dsseEnvelope
    [signature] = stated.signatures
    if version is None or len(hint) > MAX_HINT or not dsse.fits(signature.sig):
        return None
    envelope = Envelope(stated.payloadType, stated.payload, (signature.sig,))
    return Bundle(version, envelope, None, hint, (), (), ())


def read_strictly(raw: Raw) -> Bundle:
    """`read_bundle` of whatever shape; it reads the usual one faster. Raises Malformed."""
    document = _checked(large.load(raw, "bundle"), "it")
    kind = document.get("mediaType")
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


_SNAKE: Mapping[str, str] = {
    "media_type": "mediaType",
    "verification_material": "verificationMaterial",
    "message_signature": "messageSignature",
    "dsse_envelope": "dsseEnvelope",
    "public_key": "publicKey",
    "x509_certificate_chain": "x509CertificateChain",
    "raw_bytes": "rawBytes",
    "payload_type": "payloadType",
    "tlog_entries": "tlogEntries",
    "timestamp_verification_data": "timestampVerificationData",
    "rfc3161_timestamps": "rfc3161Timestamps",
    "signed_timestamp": "signedTimestamp",
}


def _checked(value: Any, name: str) -> Any:
    """An object that spells no field in the other way."""
    if not isinstance(value, dict):
        raise Malformed("bundle", f"{name} is not an object")
    if not _SNAKE.keys().isdisjoint(value):
        snake = next(field for field in value if field in _SNAKE)
        raise Malformed("bundle", f"has the field {snake}; bundles write {_SNAKE[snake]}")
    return value


def _object(value: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """A field that is an object; null is absent (protobuf's JSON)."""
    found = value.get(name)
    return None if found is None else _checked(found, name)


def _list(value: Mapping[str, Any], name: str, most: int) -> list[Any]:
    found = value.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Malformed("bundle", f"{name} is not a list of objects")
    if len(found) > most:
        raise Malformed("bundle", f"{len(found)} {name} are more than the {most} allowed")
    return found


def _octets(value: Mapping[str, Any], name: str, most: int) -> bytes:
    found = large.content(_checked(value, name).get(name), name)
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


def write_bundle(
    payload_type: str, payload: bytes, signature: bytes, material: Mapping[str, Any]
) -> bytes:
    """A bundle 0.3 with an envelope, as cosign 3 writes it. `material` is its verificationMaterial."""
    document = {
        "mediaType": names.BUNDLE,
        "verificationMaterial": material,
        "dsseEnvelope": dsse.to_json(payload_type, None, signature),
    }
    return dsse.filled(document, payload)
