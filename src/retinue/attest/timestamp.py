"""RFC 3161 timestamps over a signature: who says that it existed, and since when."""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from retinue.attest.errors import NoAnchor, Refused
from retinue.attest.proof import Clock, TrustedTime

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, ObjectIdentifier

    from retinue.attest.anchors import TimeAnchor
    from retinue.attest.cms import Token
    from retinue.attest.root import Period, TrustedRoot

PART = "timestamp"


def verify_timestamp(
    token: bytes,
    signature: bytes,
    times: Sequence["TimeAnchor"],
    roots: Sequence["TrustedRoot"],
    *,
    whole: bytes | memoryview | None = None,
) -> TrustedTime:
    """When, by the word of one of `times` or of an authority of `roots`, `signature` existed.

    `token` is DER: a TimeStampResp that grants, or its token alone. Its certificates need to be
    valid at its own time only. `whole`: an envelope with the signature in it, which cosign stamps
    instead for its legacy attestations. Raises Malformed; Refused, or NoAnchor where it is by nobody we trust.
    """
    from retinue.attest.cms import read_token

    found = read_token(token)
    _check_imprint(found, (signature, whole) if whole else (signature,))
    problem: NoAnchor | Refused = NoAnchor(PART, "is by no authority that is trusted")
    for name, chain, period in _authorities(times, roots):
        try:
            _check_authority(found, chain, period)
        except Refused as error:
            problem = error
        except NoAnchor as error:
            problem = problem if isinstance(problem, Refused) else error
        else:
            return TrustedTime(found.at, Clock.RFC3161, name)
    raise problem


def check_stamped(token: bytes, signature: bytes) -> None:
    """That `token` was granted, and for this signature; nobody says who granted it.

    Raises Malformed, Refused.
    """
    from retinue.attest.cms import read_token

    _check_imprint(read_token(token), (signature,))


def _authorities(
    times: Sequence["TimeAnchor"], roots: Sequence["TrustedRoot"]
) -> Iterator[tuple[str, tuple["Certificate", ...], "Period | None"]]:
    yield from ((anchor.name, anchor.chain, None) for anchor in times)
    yield from ((a.name, a.chain, a.period) for root in roots for a in root.timestamps)


def _check_imprint(token: "Token", stamped: Sequence[bytes | memoryview]) -> None:
    digests = (hashlib.new(token.imprint_algorithm, each).digest() for each in stamped)
    if token.imprint not in digests:
        raise Refused(PART, "is of another signature")


def _check_authority(
    token: "Token", chain: Sequence["Certificate"], period: "Period | None"
) -> None:
    """`chain` ends in the root that is trusted. If it starts with the certificate of an authority's
    signer (not of a CA), that one must have signed."""
    from retinue.attest.chain import check_path, is_authority
    from retinue.attest.cms import check_signed, check_signer, find_signer

    pinned = chain[0] if not is_authority(chain[0], PART) else None
    candidates = (pinned,) if pinned is not None else (*token.certificates, *chain[:-1])
    signer = find_signer(token, candidates)
    if signer is None:
        raise NoAnchor(PART, "is signed with a certificate that is not there, or not trusted")
    between = (*chain[:-1], *token.certificates)
    check_signer(signer)
    if signer not in chain[-1:]:
        check_path(signer, chain[-1:], between, _purpose(), token.at, PART)
    if period is not None and not period.covers(token.at):
        raise Refused(PART, f"is of {token.at}, when its authority was not trusted")
    check_signed(token, signer)


def _purpose() -> "ObjectIdentifier":
    from cryptography.x509.oid import ExtendedKeyUsageOID

    return ExtendedKeyUsageOID.TIME_STAMPING


def request(signature: bytes, nonce: int | None = None) -> bytes:
    """A TimeStampReq (DER) for the SHA-256 of `signature`, which asks for the certificates."""
    digest = hashlib.sha256(signature).digest()
    algorithm = _element(0x30, bytes.fromhex("0609608648016503040201") + b"\x05\x00")
    imprint = _element(0x30, algorithm + _element(0x04, digest))
    number = secrets.randbits(63) if nonce is None else nonce
    raw = number.to_bytes(number.bit_length() // 8 + 1, "big")
    wants_certificates = b"\x01\x01\xff"
    return _element(0x30, b"\x02\x01\x01" + imprint + _element(0x02, raw) + wants_certificates)


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size >= 0x80:
        length = size.to_bytes((size.bit_length() + 7) // 8, "big")
        return bytes((tag, 0x80 | len(length))) + length + content
    return bytes((tag, size)) + content
