"""The usual bundle and statement, read by their types in one pass; None for all that is unusual.

Nearly every bundle that a key signed has the same fourteen strings and nothing else. What is read here
the strict readers read alike, to the same values; what is not, they judge, and say what is wrong.

The typed parser is strict about syntax, text and unknown fields, but it takes the last of two equal
keys. So strings are counted: each field that is read is there once, and one more string is too many.
Where no string has an escape, each has two quotation marks.
"""

from typing import Any

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from retinue.strictjson import distinct, shallow


class Strict(Struct, forbid_unknown_fields=True, frozen=True):
    """All fields must be there, and no others."""


class Signature(Strict, frozen=True):
    sig: bytes


class DsseEnvelope(Strict, frozen=True):
    payload: bytes
    payloadType: str  # noqa: N815 - as it is spelled there
    signatures: tuple[Signature]


class PublicKey(Strict, frozen=True):
    hint: str


class Material(Strict, frozen=True):
    publicKey: PublicKey  # noqa: N815


class UsualBundle(Strict, frozen=True):
    """Signed by a key; neither a log nor a clock saw it."""

    mediaType: str  # noqa: N815
    verificationMaterial: Material  # noqa: N815
    dsseEnvelope: DsseEnvelope  # noqa: N815


class UsualSubject(Strict, frozen=True):
    digest: dict[str, str]
    name: str | None = None
    annotations: dict[str, str] | None = None


class UsualStatement(Strict, frozen=True, rename={"kind": "_type"}):
    """`predicate` is the text of a JSON value."""

    kind: str
    subject: list[UsualSubject]
    predicateType: str  # noqa: N815
    predicate: Raw


_BUNDLE = Decoder(UsualBundle)
_STATEMENT = Decoder(UsualStatement)
_ANY: Decoder[Any] = Decoder()
_MARKS = 2 * 14
"""Quotation marks of a bundle: nine keys and five values, each once."""


def bundle(raw: bytes) -> UsualBundle | None:
    """A bundle of the usual shape."""
    if b"\\" in raw or raw.count(b'"') != _MARKS:
        return None
    try:
        return _BUNDLE.decode(raw)
    except (DecodeError, UnicodeDecodeError):
        return None


def statement(raw: bytes, max_depth: int) -> UsualStatement | None:
    """A statement of the usual shape, whose predicate comes last."""
    if not shallow(raw, max_depth):
        return None
    try:
        found = _STATEMENT.decode(raw)
        predicate = bytes(found.predicate)
        _ANY.decode(predicate)  # whose text and numbers nobody has looked at so far
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    head = raw[: -len(predicate) - 1]
    if not raw.endswith(predicate + b"}") or b"\\" in head:
        return None
    strings = 6 + sum(map(_strings, found.subject))
    if head.count(b'"') != 2 * strings or not all(map(_clear, found.subject)):
        return None
    return found


def _strings(subject: UsualSubject) -> int:
    """Keys and values."""
    count = 1 + 2 * len(subject.digest)
    if subject.name is not None:
        count += 2
    if subject.annotations is not None:
        count += 1 + 2 * len(subject.annotations)
    return count


def _clear(subject: UsualSubject) -> bool:
    """Whether no two keys differ only in case."""
    return distinct(subject.digest) and distinct(subject.annotations or ())
