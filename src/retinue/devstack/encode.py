"""Writes DER: as much as timestamp tokens and certificate timestamps need."""

from datetime import datetime


def element(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def sequence(*parts: bytes) -> bytes:
    return element(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    return element(0x31, *sorted(parts))


def integer(value: int) -> bytes:
    """One that is not negative."""
    return element(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def octets(value: bytes) -> bytes:
    return element(0x04, value)


def null() -> bytes:
    return element(0x05)


def utf8(text: str) -> bytes:
    return element(0x0C, text.encode())


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    return element(0x06, *map(_base128, (40 * first + second, *rest)))


def _base128(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(0x80 | number & 0x7F)
    return bytes(reversed(digits))


def time(at: datetime) -> bytes:
    """GeneralizedTime in UTC to the second; `at` must be in UTC."""
    return element(0x18, at.strftime("%Y%m%d%H%M%SZ").encode())
