"""JSON Web Signatures (RFC 7515): the flattened form with an unprotected header, and the compact one.

Nothing here trusts: parts are taken apart, strictly, and say what was signed.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from retinue import strictjson
from retinue.attest.errors import Malformed
from retinue.strictjson import InvalidJson

MAX_BYTES = 4 * 1024 * 1024
MAX_HEADER = 64 * 1024

_URLSAFE = re.compile(rb"[A-Za-z0-9_-]*")
_FLATTENED = frozenset({"payload", "protected", "header", "signature"})


class Jws(Struct, frozen=True):
    """`message` is the JWS signing input, which the signature is over."""

    protected: Mapping[str, Any]
    unprotected: Mapping[str, Any]
    payload: bytes
    signature: bytes
    message: bytes


def read_flattened(raw: bytes) -> Jws:
    """RFC 7515 section 7.2.2; raises Malformed."""
    document = _object(raw, "envelope", MAX_BYTES)
    if unknown := document.keys() - _FLATTENED:
        raise Malformed("envelope", f"has the unknown field {min(unknown)[:80]!r}")
    unprotected = document.get("header", {})
    if type(unprotected) is not dict:
        raise Malformed("header", "must be an object")
    parts = (_text(document, name) for name in ("protected", "payload", "signature"))
    jws = _assemble(*parts, unprotected=unprotected)
    if shared := jws.protected.keys() & unprotected.keys():
        raise Malformed("header", f"{min(shared)[:80]!r} is both protected and not")
    return jws


def read_compact(raw: bytes) -> Jws:
    """RFC 7515 section 7.1; raises Malformed."""
    if len(raw) > MAX_BYTES:
        raise Malformed("envelope", f"{len(raw)} bytes are more than the {MAX_BYTES} allowed")
    parts = raw.split(b".", 3)
    if len(parts) != 3:
        raise Malformed("envelope", "a compact JWS has three parts with dots between them")
    protected, payload, signature = parts
    return _assemble(protected, payload, signature, unprotected={})


def _assemble(
    protected: bytes, payload: bytes, signature: bytes, *, unprotected: Mapping[str, Any]
) -> Jws:
    return Jws(
        _object(decode(protected, "protected header"), "protected header", MAX_HEADER),
        unprotected,
        decode(payload, "payload"),
        decode(signature, "signature"),
        protected + b"." + payload,
    )


def _object(raw: bytes, part: str, limit: int) -> Mapping[str, Any]:
    try:
        value = strictjson.loads(raw, max_bytes=limit)
    except InvalidJson as error:
        raise Malformed(part, str(error)) from None
    if type(value) is not dict:
        raise Malformed(part, "must be an object")
    return value


def _text(document: Mapping[str, Any], name: str) -> bytes:
    value = document.get(name)
    if type(value) is not str:
        raise Malformed(name, "must be a string")
    return value.encode()


def decode(text: bytes, part: str) -> bytes:
    """base64url without padding, in its one canonical form, and not empty; raises Malformed."""
    if not _URLSAFE.fullmatch(text):
        raise Malformed(part, "must be base64url without padding")
    try:
        data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        raise Malformed(part, "is not base64url") from None
    if encode(data) != text:
        raise Malformed(part, "is not in canonical base64url")
    if not data:
        raise Malformed(part, "is empty")
    return data


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
