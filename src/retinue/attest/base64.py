"""Base64 as Go's tools read it: standard or URL-safe alphabet, padded or not (RFC 4648, 4 and 5)."""

import binascii

_STANDARD = bytes.maketrans(b"-_", b"+/")


class InvalidBase64(ValueError):
    """The text is not base64. Never seen outside: callers say what the text should have been."""


def decode(text: object) -> bytes:
    """The bytes that a JSON string stands for; raises InvalidBase64."""
    if not isinstance(text, str):
        raise InvalidBase64
    try:
        encoded = text.encode("ascii")
        if "-" in text or "_" in text:
            encoded = encoded.translate(_STANDARD)
        if len(encoded) % 4:
            encoded += b"=" * (-len(encoded) % 4)
        return binascii.a2b_base64(encoded, strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        raise InvalidBase64 from None
