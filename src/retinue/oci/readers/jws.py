"""Generic objects as a compact JWS (RFC 7515 section 7.1).

The payload is read for its links without trusting it: whether the signature counts is for policy
to say. What is no signature at all (`none`, unknown `crit`) is refused here.
"""

import base64
import binascii
import re
from typing import Any

from retinue import strictjson
from retinue.oci import names
from retinue.oci.readers.fields import Malformed

ALGORITHMS = frozenset({"ES256", "ES384", "EdDSA", "RS256", "PS256"})
_TYP = names.OCI_OBJECT_JWT.removeprefix("application/")
_MAX_HEADER = 64 * 1024
_ALPHABET = re.compile(rb"[A-Za-z0-9_-]+")


def payload(raw: bytes) -> bytes:
    """The signed bytes of a compact JWS; raises Malformed."""
    parts = raw.split(b".", 3)
    if len(parts) != 3:
        raise Malformed("body", "a compact JWS has three parts with dots between them")
    header, content, signature = parts
    _check_header(_decode(header, "header"))
    _decode(signature, "signature")
    return _decode(content, "payload")


def _check_header(header: bytes) -> None:
    values: Any = strictjson.loads(header, max_bytes=_MAX_HEADER)
    if type(values) is not dict:
        raise Malformed("header", "must be an object")
    algorithm = values.get("alg")
    if type(algorithm) is not str or algorithm not in ALGORITHMS:
        allowed = ", ".join(sorted(ALGORITHMS))
        raise Malformed("header.alg", f"must be one of {allowed}, not {algorithm!r:.40}")
    if values.get("typ") != _TYP:
        raise Malformed("header.typ", f"must be {_TYP!r}, not {values.get('typ')!r:.80}")
    if "crit" in values:
        raise Malformed("header.crit", "names extensions that are not understood")


def _decode(part: bytes, where: str) -> bytes:
    """base64url without padding, in its one canonical form."""
    if not _ALPHABET.fullmatch(part):
        raise Malformed(where, "must be base64url without padding, and not empty")
    try:
        data = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except binascii.Error:
        raise Malformed(where, "is not base64url") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=") != part:
        raise Malformed(where, "is not in canonical base64url")
    return data
