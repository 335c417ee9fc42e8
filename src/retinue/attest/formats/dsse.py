"""Dead Simple Signing Envelopes: a payload, its type, and signatures over both.

https://github.com/secure-systems-lab/dsse/blob/master/protocol.md and envelope.md
"""

from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from json import dumps
from typing import Any

from msgspec import Struct

from retinue.attest import large
from retinue.attest.errors import Malformed
from retinue.attest.keys.message import Message
from retinue.attest.large import Encoded, Raw

MAX_SIGNATURES = 100
MAX_SIGNATURE = 16 * 1024


class Envelope(Struct, frozen=True):
    """`payload` is what was signed: in memory, or (large ones) decoded piece by piece from the
    text of the envelope. Key ids are not kept: they prove nothing.
    """

    payload_type: str
    payload: bytes | Encoded
    signatures: tuple[bytes, ...]


def pae(payload_type: str, payload: bytes) -> tuple[bytes, ...]:
    """What is signed, in parts: DSSE's pre-authentication encoding, version 1."""
    return head(payload_type, len(payload)), payload


def head(payload_type: str, size: int) -> bytes:
    """What stands before the payload in `pae`."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d " % (len(kind), kind, size)


def signed(envelope: Envelope) -> Message:
    """`pae` of an envelope, whose payload may be large."""
    payload = envelope.payload
    if isinstance(payload, bytes):
        return Message(pae(envelope.payload_type, payload))
    return Message(_LargePae(head(envelope.payload_type, len(payload)), payload))


class _LargePae(Struct, frozen=True):
    head: bytes
    payload: Encoded

    def __iter__(self) -> Iterator[bytes]:
        yield self.head
        yield from self.payload


def read_envelope(raw: Raw) -> Envelope:
    """Read a bare envelope, as cosign's `.att` layers hold; raises Malformed."""
    return from_json(large.load(raw, "envelope"))


def from_json(value: Any) -> Envelope:
    """An envelope from its JSON; fields that are not known are ignored. Raises Malformed."""
    if not isinstance(value, dict):
        raise Malformed("envelope", "is not an object")
    payload_type = value.get("payloadType")
    if not isinstance(payload_type, str):
        raise Malformed("envelope", f"payloadType is {payload_type!r:.80}, not a string")
    signatures = value.get("signatures")
    if not isinstance(signatures, list) or not signatures:
        raise Malformed("envelope", "has no signatures")
    if len(signatures) > MAX_SIGNATURES:
        reason = f"{len(signatures)} signatures are more than the {MAX_SIGNATURES} allowed"
        raise Malformed("envelope", reason)
    payload = large.content(value.get("payload"), "payload")
    return Envelope(payload_type, payload, tuple(map(_signature, signatures)))


def _signature(value: object) -> bytes:
    if not isinstance(value, dict):
        raise Malformed("envelope", "a signature is not an object")
    return signature(value.get("sig"))


def signature(value: object) -> bytes:
    """A signature from its base64; raises Malformed."""
    decoded = large.content(value, "signature")
    if not isinstance(decoded, bytes) or not fits(decoded):
        raise Malformed("signature", f"has {len(decoded)} bytes; 1 to {MAX_SIGNATURE} are allowed")
    return decoded


def fits(signature: bytes) -> bool:
    """Whether it has the length that a signature may have."""
    return 0 < len(signature) <= MAX_SIGNATURE


def to_json(payload_type: str, payload: bytes | None, signature: bytes) -> dict[str, Any]:
    """An envelope in a bundle, which has no keyid: sigstore-go refuses one that is not its own.

    Without a payload it is for `filled`.
    """
    return {
        "payload": _PLACE if payload is None else b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"sig": b64encode(signature).decode()}],
    }


def write_envelope(payload_type: str, payload: bytes, signature: bytes) -> bytes:
    """A bare envelope as cosign 2 writes it: order of the fields, and a keyid that is empty."""
    document = {
        "payloadType": payload_type,
        "payload": _PLACE,
        "signatures": [{"keyid": "", "sig": b64encode(signature).decode()}],
    }
    return filled(document, payload)


_PLACE = "~payload~"
_PIECE = 3 * 256 * 1024
"""Bytes that are encoded at once: a multiple of three, so that the pieces are one base64."""


def filled(document: dict[str, Any], payload: bytes) -> bytes:
    """The JSON of an envelope, or of what holds one, around a payload that may be large."""
    text = dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    before, after = text.split(f'"payload":"{_PLACE}"'.encode())
    whole = BytesIO()  # a large payload is not held in base64 besides
    whole.write(before + b'"payload":"')
    for start in range(0, len(payload), _PIECE):
        whole.write(b64encode(payload[start : start + _PIECE]))
    whole.write(b'"' + after)
    return whole.getvalue()
