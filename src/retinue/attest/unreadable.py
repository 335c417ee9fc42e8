"""What `cryptography` raises for a certificate that it cannot read, now or when a part is asked for."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import DuplicateExtension, InvalidVersion, UnsupportedGeneralNameType

UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,  # a tag, or an identifier, that its tables lack; releases differ in which are left
    UnsupportedAlgorithm,
    DuplicateExtension,
    InvalidVersion,
    UnsupportedGeneralNameType,
)
