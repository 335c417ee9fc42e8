"""Simple signing: JSON that names a manifest's digest, signed as it is; cosign's `.sig` layers.

https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md, and containers-signature(5).
"""

from collections.abc import Mapping
from json import dumps
from typing import Any

from msgspec import Struct

from retinue import strictjson
from retinue.attest.base64 import InvalidBase64, decode
from retinue.attest.errors import Malformed
from retinue.oci import names
from retinue.strictjson import InvalidJson

TYPE = "cosign container image signature"
TYPES = frozenset({TYPE, "atomic container signature"})
MAX_BYTES = 1024 * 1024
MAX_TOKEN = 64 * 1024


class Payload(Struct, frozen=True):
    """What a simple signature says: this manifest, under this name."""

    digest: str
    reference: str
    annotations: Mapping[str, str]


class SimpleSignature(Struct, frozen=True):
    """A layer of a `.sig` manifest: its bytes, and the annotations of its descriptor."""

    payload: bytes
    annotations: Mapping[str, str]


def payload(digest: str, reference: str, annotations: Mapping[str, str]) -> bytes:
    """The bytes to sign, as Go writes them: keys in order, `<`, `>` and `&` escaped."""
    document = {
        "critical": {
            "identity": {"docker-reference": reference},
            "image": {"docker-manifest-digest": digest},
            "type": TYPE,
        },
        "optional": dict(sorted(annotations.items())) or None,
    }
    text = dumps(document, separators=(",", ":"), ensure_ascii=False)
    for plain, escaped in _ESCAPES:
        text = text.replace(plain, escaped)
    return text.encode()


_ESCAPES = tuple((char, f"\\u{ord(char):04x}") for char in "<>&\u2028\u2029")


def read_payload(raw: bytes) -> Payload:
    """Read a payload after its signature was checked; raises Malformed.

    cosign accepts any type and ignores the reference; here the type is one of two. Values of
    `optional` that are no strings (podman writes some) are left out: nothing can be equal to them.
    """
    try:
        document = strictjson.loads(raw, max_bytes=MAX_BYTES)
    except InvalidJson as error:
        raise Malformed("payload", str(error)) from None
    critical = _object(document, "critical")
    kind = critical.get("type")
    if kind not in TYPES:
        raise Malformed("payload", f"critical.type is {kind!r:.80}; want {TYPE!r}")
    digest = _text(_object(critical, "image"), "docker-manifest-digest")
    reference = _text(_object(critical, "identity"), "docker-reference")
    optional = document.get("optional")
    said = {} if optional is None else _object(document, "optional")
    return Payload(
        digest, reference, {key: value for key, value in said.items() if isinstance(value, str)}
    )


def _object(value: Any, field: str) -> dict[str, Any]:
    found = value.get(field) if isinstance(value, dict) else None
    if not isinstance(found, dict):
        raise Malformed("payload", f"{field} is not an object")
    return found


def _text(value: dict[str, Any], field: str) -> str:
    found = value.get(field)
    if not isinstance(found, str):
        raise Malformed("payload", f"{field} is not a string")
    return found


def timestamp(annotations: Mapping[str, str]) -> bytes | None:
    """The RFC 3161 response that a layer's annotation holds (DER); raises Malformed."""
    text = annotations.get(names.ANNOTATION_TIMESTAMP)
    if not text:
        return None
    try:
        document = strictjson.loads(text.encode(), max_bytes=MAX_TOKEN)
        return decode(document.get("SignedRFC3161Timestamp"))
    except (InvalidJson, InvalidBase64, AttributeError, UnicodeEncodeError):
        raise Malformed("timestamp", "the annotation does not hold one") from None


def signature(annotations: Mapping[str, str]) -> bytes:
    """The signature that a layer's annotation holds; raises Malformed."""
    try:
        found = decode(annotations.get(names.ANNOTATION_SIGNATURE))
    except InvalidBase64:
        found = b""
    if not found:
        raise Malformed("signature", "the layer's annotation does not hold one")
    return found
