"""Certificates from bytes. `cryptography` reads most of one only when it is asked for: here it is."""

import warnings
from threading import Lock
from typing import TYPE_CHECKING

from retinue.attest.der import INTEGER, SEQUENCE, Reader
from retinue.attest.errors import Malformed

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MAX_BYTES = 64 * 1024
_VERSION = 0xA0
_LOCK = Lock()  # filters of warnings are the process's
_LAZY = (
    "subject",
    "issuer",
    "not_valid_before_utc",
    "not_valid_after_utc",
    "serial_number",
    "signature_hash_algorithm",
)


def load_certificate(der: bytes, part: str) -> "Certificate":
    """A certificate whose names, validity and algorithm can be read. Raises Malformed.

    Its extensions and its key may still be what nobody can read.
    """
    from cryptography.x509 import load_der_x509_certificate

    from retinue.attest.unreadable import UNREADABLE

    if len(der) > MAX_BYTES:
        raise Malformed(part, f"{len(der)} bytes are more than the {MAX_BYTES} allowed")
    _check_serial(der, part)
    try:
        with _LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that break rules of X.520; they are kept
            found = load_der_x509_certificate(der)
            for lazily in _LAZY:
                getattr(found, lazily)
    except UNREADABLE as error:
        raise Malformed(part, f"cannot be read: {error!s:.160}") from None
    return found


def _check_serial(raw: bytes, part: str) -> None:
    """RFC 5280 4.1.2.2: it is positive. The library only warns, on the user's terminal."""
    fields = Reader(raw, part).inside(SEQUENCE).inside(SEQUENCE)
    fields.maybe(_VERSION)
    serial = fields.take(INTEGER).content
    if not any(serial) or serial[0] >= 0x80:
        raise Malformed(part, "has a serial number that is not positive")
