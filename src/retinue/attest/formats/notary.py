"""The Notary Project's signature envelopes, JWS and COSE, as one value.

https://github.com/notaryproject/specifications: signature-specification.md, signature-envelope-jws.md
and signature-envelope-cose.md. Nothing here verifies a signature; headers are held to their rules.
"""

import base64
import binascii
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from retinue.attest.errors import Malformed, Refused
from retinue.attest.formats import cose, jws
from retinue.attest.formats.cbor import Tagged
from retinue.oci import names

MAX_CHAIN = 10
SCHEME = names.NOTATION_PREFIX + "signingScheme"
SIGNING_TIME = names.NOTATION_PREFIX + "signingTime"
AUTHENTIC_TIME = names.NOTATION_PREFIX + "authenticSigningTime"
EXPIRY = names.NOTATION_PREFIX + "expiry"
TIMESTAMP = names.NOTATION_PREFIX + "timestampSignature"
AGENT = names.NOTATION_PREFIX + "signingAgent"
X509 = "notary.x509"
AUTHORITY = "notary.x509.signingAuthority"

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)")


class Envelope(Struct, frozen=True):
    """`algorithm` is a JOSE name. `claimed` is the signer's (or his authority's) word for the time.

    `chain`: DER, the leaf first. `message` is what `signature` is over; `token` countersigns the
    signature (RFC 3161).
    """

    algorithm: str
    scheme: str
    claimed: datetime
    expires: datetime | None
    chain: tuple[bytes, ...]
    token: bytes | None
    payload: bytes
    signature: bytes
    message: bytes


class _Headers(Struct, frozen=True):
    """Both forms' headers under JWS's names; `time` reads a date as that form writes it."""

    protected: Mapping[Any, Any]
    algorithm: Any
    content_type: Any
    critical: Any
    time: Callable[[Any, str], datetime]


def read_envelope(raw: bytes, media_type: str) -> Envelope:
    """Raises Malformed; Refused where the bytes can be read and their headers break the rules."""
    if media_type == names.NOTATION_JWS:
        return _read_jws(raw)
    if media_type == names.NOTATION_COSE:
        return _read_cose(raw)
    raise Malformed("envelope", f"{media_type!r:.120} is no envelope of a notation signature")


def _read_jws(raw: bytes) -> Envelope:
    found = jws.read_flattened(raw)
    known = found.protected
    headers = _Headers(known, known.get("alg"), known.get("cty"), known.get("crit"), _rfc3339)
    chain = found.unprotected.get("x5c")
    if type(chain) is not list:
        raise Malformed("x5c", "must be an array")
    token = found.unprotected.get(TIMESTAMP)
    return _envelope(
        headers,
        found,
        tuple(_base64(item, "x5c") for item in chain),
        None if token is None else _base64(token, TIMESTAMP),
    )


def _read_cose(raw: bytes) -> Envelope:
    found = cose.read_sign1(raw)
    known = found.protected
    number = known.get(cose.LABEL_ALGORITHM)
    headers = _Headers(
        known,
        cose.ALGORITHMS.get(number) if type(number) is int else None,
        known.get(cose.LABEL_CONTENT_TYPE),
        known.get(cose.LABEL_CRITICAL),
        _epoch,
    )
    chain = found.unprotected.get(cose.LABEL_X5CHAIN)
    if type(chain) is not list or any(type(item) is not bytes for item in chain):
        raise Malformed("x5chain", "must be an array of byte strings")
    token = found.unprotected.get(TIMESTAMP)
    if token is not None and type(token) is not bytes:
        raise Malformed(TIMESTAMP, "must be a byte string")
    return _envelope(headers, found, tuple(chain), token)


def _envelope(
    headers: _Headers,
    found: jws.Jws | cose.Sign1,
    chain: tuple[bytes, ...],
    token: bytes | None,
) -> Envelope:
    if not 1 <= len(chain) <= MAX_CHAIN:
        raise Malformed("certificate chain", f"has {len(chain)} certificates, not 1 to {MAX_CHAIN}")
    algorithm, scheme = _algorithm(headers), _scheme(headers)
    claimed, expires = _times(headers, scheme)
    return Envelope(
        algorithm,
        scheme,
        claimed,
        expires,
        chain,
        token if scheme == X509 else None,
        found.payload,
        found.signature,
        found.message,
    )


def _algorithm(headers: _Headers) -> str:
    algorithm = headers.algorithm
    if type(algorithm) is not str or algorithm not in cose.ALGORITHMS.values():
        allowed = ", ".join(sorted(cose.ALGORITHMS.values()))
        raise Refused("alg", f"is none of {allowed}")
    if headers.content_type != names.NOTATION_PAYLOAD:
        raise Refused("cty", f"{headers.content_type!r:.120} is not {names.NOTATION_PAYLOAD!r}")
    return algorithm


def _scheme(headers: _Headers) -> str:
    scheme = headers.protected.get(SCHEME)
    if scheme not in {X509, AUTHORITY}:
        raise Refused(SCHEME, f"{scheme!r:.80} is neither {X509!r} nor {AUTHORITY!r}")
    needed = {SCHEME}
    if scheme == AUTHORITY:
        needed.add(AUTHENTIC_TIME)
    if headers.protected.get(EXPIRY) is not None:
        needed.add(EXPIRY)
    _check_critical(headers.critical, needed)
    return str(scheme)


def _check_critical(critical: Any, needed: Collection[str]) -> None:
    """What must be critical is, and what is critical is understood and there."""
    if type(critical) is not list or any(type(item) not in {str, int} for item in critical):
        raise Malformed("crit", "must be an array of names")
    if len(set(critical)) != len(critical):
        raise Malformed("crit", "names a header twice")
    for name in critical:
        if name not in needed:
            raise Refused("crit", f"names {name!r:.120}, which is not understood here")
    if missing := set(needed) - set(critical):
        raise Refused("crit", f"does not name {min(missing)!r}")


def _times(headers: _Headers, scheme: str) -> tuple[datetime, datetime | None]:
    wanted, foreign = (SIGNING_TIME, AUTHENTIC_TIME)
    if scheme == AUTHORITY:
        wanted, foreign = foreign, wanted
    if headers.protected.get(foreign) is not None:
        raise Refused(foreign, f"has no place in the signing scheme {scheme!r}")
    if headers.protected.get(wanted) is None:
        raise Refused(wanted, f"is required by the signing scheme {scheme!r}")
    claimed = headers.time(headers.protected[wanted], wanted)
    if headers.protected.get(EXPIRY) is None:
        return claimed, None
    expires = headers.time(headers.protected[EXPIRY], EXPIRY)
    if expires <= claimed:
        raise Refused(EXPIRY, f"{expires.isoformat()} is not after the time of signing")
    return claimed, expires


def _rfc3339(value: Any, name: str) -> datetime:
    if type(value) is not str or not _RFC3339.fullmatch(value):
        raise Malformed(name, f"{value!r:.80} is no RFC 3339 time")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed(name, f"{value!r:.80} is no time") from None


def _epoch(value: Any, name: str) -> datetime:
    """RFC 8949 section 3.4.2."""
    if type(value) is not Tagged or value.tag != 1 or type(value.value) not in {int, float}:
        raise Malformed(name, "must be a number of seconds with tag 1")
    try:
        return datetime.fromtimestamp(value.value, UTC)
    except (ValueError, OverflowError, OSError):
        raise Malformed(name, f"{value.value!r:.80} is no time") from None


def _base64(value: Any, part: str) -> bytes:
    if type(value) is not str:
        raise Malformed(part, "must be base64 text")
    try:
        return base64.b64decode(value.encode(), validate=True)
    except binascii.Error:
        raise Malformed(part, "is not base64") from None
