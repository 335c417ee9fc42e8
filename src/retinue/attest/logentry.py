"""What log entries say: of which signature, by which key, over which content.

Kinds: hashedrekord, dsse and intoto of Rekor's first version
(https://github.com/sigstore/rekor/tree/main/pkg/types), hashedrekord and dsse of its second
(https://github.com/sigstore/rekor-tiles/tree/main/api/proto).
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from retinue.attest.base64 import InvalidBase64, decode
from retinue.attest.errors import Malformed, Refused
from retinue.strictjson import InvalidJson, loads

PART = "log entry"
MAX_BODY = 4 * 1024 * 1024

_PEM = re.compile(
    rb"\s*-----BEGIN (CERTIFICATE|PUBLIC KEY)-----([A-Za-z0-9+/=\s]+)-----END \1-----\s*"
)
_HASHES = {
    "sha256": "sha256",
    "sha384": "sha384",
    "sha512": "sha512",
    "SHA2_256": "sha256",
    "SHA2_384": "sha384",
    "SHA2_512": "sha512",
}


class Hashes(Struct, frozen=True):
    """The content that a signature is about, to be hashed as an entry asks.

    `signed`: the parts of the exact signed bytes (a message, or an envelope's PAE). `payload`:
    that of a DSSE envelope. `envelope`: the envelope as it was found, for the oldest kind of entry.
    """

    signed: tuple[bytes | memoryview, ...]
    payload: bytes | memoryview | None = None
    envelope: bytes | memoryview | None = None


class Said(Struct, frozen=True):
    """What an entry binds together. `verifier` is DER, of a certificate or a SubjectPublicKeyInfo.
    `signature` is None for the one kind that names the whole envelope instead."""

    signature: bytes | None
    verifier: bytes
    part: str
    algorithm: str
    digest: bytes


def read_body(body: bytes, kind: str, version: str) -> Said:
    """Read an entry's body. Raises Malformed; Refused for a kind that is not known here."""
    if len(body) > MAX_BODY:
        raise Malformed(PART, f"its body is larger than {MAX_BODY} bytes")
    try:
        top = Body(loads(body, max_bytes=MAX_BODY), "body")
    except InvalidJson as error:
        raise Malformed(PART, f"its body: {error}") from None
    found = top.text("kind"), top.text("apiVersion")
    if found != (kind, version):
        raise Refused(PART, f"is {'/'.join(found)[:80]}, and is said to be {kind}/{version}"[:200])
    if found not in _KINDS:
        raise Refused(PART, f"is of a kind that is not known here: {'/'.join(found)[:80]}")
    return _KINDS[found](top.object("spec"))


def body_kind(body: bytes) -> tuple[str, str]:
    """Kind and version, from the body alone: legacy bundles do not repeat them."""
    try:
        top = Body(loads(body, max_bytes=MAX_BODY), "body")
    except InvalidJson as error:
        raise Malformed(PART, f"its body: {error}") from None
    return top.text("kind"), top.text("apiVersion")


def check_body(said: Said, signature: bytes, key_or_cert: bytes, hashes: Hashes) -> None:
    """That the entry is of this signature, key and content. Raises Refused."""
    if said.signature is not None and said.signature != signature:
        raise Refused(PART, "is of another signature")
    if said.verifier != key_or_cert:
        raise Refused(PART, "is of another key or certificate")
    parts = _parts(hashes, said.part)
    if said.signature is None and said.part != "envelope":
        raise Refused(PART, "binds no signature")
    digest = hashlib.new(said.algorithm)
    for part in parts:
        digest.update(part)
    if digest.digest() != said.digest:
        raise Refused(PART, f"is of another {said.part}")


def _parts(hashes: Hashes, part: str) -> tuple[bytes | memoryview, ...]:
    if part == "content":
        return hashes.signed
    found = hashes.payload if part == "payload" else hashes.envelope
    if found is None:
        raise Refused(PART, f"is of an envelope's {part}, and there is none")
    return (found,)


class Body:
    """A JSON object of an entry."""

    def __init__(self, value: Any, name: str) -> None:
        if not isinstance(value, dict):
            raise Malformed(PART, f"{name} must be an object")
        self.value: Mapping[str, Any] = value

    def object(self, name: str) -> "Body":
        return Body(self.value.get(name), name)

    def text(self, name: str) -> str:
        value = self.value.get(name)
        if not isinstance(value, str):
            raise Malformed(PART, f"{name} must be a text")
        return value

    def octets(self, name: str) -> bytes:
        return _base64(self.text(name), name)

    def only(self, name: str) -> "Body":
        """The one element of a list."""
        value = self.value.get(name)
        if not isinstance(value, list) or len(value) != 1:
            raise Malformed(PART, f"{name} must have exactly one element")
        return Body(value[0], name)

    def hash(self, encoding: str = "hex", name: str = "value") -> tuple[str, bytes]:
        """Algorithm and digest."""
        algorithm = _HASHES.get(self.text("algorithm"))
        if algorithm is None:
            raise Malformed(PART, f"its hash {self.text('algorithm')[:40]!r} is not known here")
        try:
            digest = bytes.fromhex(self.text(name)) if encoding == "hex" else self.octets(name)
        except ValueError:
            raise Malformed(PART, "its hash is not hexadecimal") from None
        return algorithm, digest


def _base64(text: str, name: str) -> bytes:
    try:
        return decode(text)
    except InvalidBase64:
        raise Malformed(PART, f"{name} is not base64") from None


def _pem(raw: bytes) -> bytes:
    """DER of the one certificate or public key."""
    match = _PEM.fullmatch(raw)
    if match is None:
        raise Malformed(PART, "its verifier is neither a certificate nor a public key in PEM")
    return _base64(b"".join(match[2].split()).decode(), "verifier")


def _hashedrekord_1(spec: Body) -> Said:
    signature = spec.object("signature")
    verifier = _pem(signature.object("publicKey").octets("content"))
    said = spec.object("data").object("hash").hash()
    return Said(signature.octets("content"), verifier, "content", *said)


def _dsse_1(spec: Body) -> Said:
    signature = spec.only("signatures")
    said = spec.object("payloadHash").hash()
    verifier = _pem(signature.octets("verifier"))
    return Said(signature.octets("signature"), verifier, "payload", *said)


def _intoto_1(spec: Body) -> Said:
    said = spec.object("content").object("hash").hash()
    return Said(None, _pem(spec.octets("publicKey")), "envelope", *said)


def _intoto_2(spec: Body) -> Said:
    """The signature is in base64 twice: of the envelope's text."""
    content = spec.object("content")
    signature = content.object("envelope").only("signatures")
    raw = _base64(signature.octets("sig").decode("ascii", "replace"), "sig")
    said = content.object("payloadHash").hash()
    return Said(raw, _pem(signature.octets("publicKey")), "payload", *said)


def _verifier_2(signature: Body) -> bytes:
    verifier = signature.object("verifier")
    kinds = [k for k in ("x509Certificate", "publicKey") if k in verifier.value]
    if len(kinds) != 1:
        raise Malformed(PART, "its verifier must be either a certificate or a public key")
    return verifier.object(kinds[0]).octets("rawBytes")


def _hashedrekord_2(spec: Body) -> Said:
    inner = spec.object("hashedRekordV002")
    signature = inner.object("signature")
    said = inner.object("data").hash("base64", "digest")
    return Said(signature.octets("content"), _verifier_2(signature), "content", *said)


def _dsse_2(spec: Body) -> Said:
    inner = spec.object("dsseV002")
    signature = inner.only("signatures")
    said = inner.object("payloadHash").hash("base64", "digest")
    return Said(signature.octets("content"), _verifier_2(signature), "payload", *said)


_KINDS: Mapping[tuple[str, str], Callable[[Body], Said]] = {
    ("hashedrekord", "0.0.1"): _hashedrekord_1,
    ("hashedrekord", "0.0.2"): _hashedrekord_2,
    ("dsse", "0.0.1"): _dsse_1,
    ("dsse", "0.0.2"): _dsse_2,
    ("intoto", "0.0.1"): _intoto_1,
    ("intoto", "0.0.2"): _intoto_2,
}
