"""The in-toto Statement, v0.1 and v1, as it is found; tolerant of what cosign really writes.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from retinue import strictjson
from retinue.attest import large, usual
from retinue.attest.errors import Malformed
from retinue.attest.large import Raw
from retinue.attest.usual import UsualStatement
from retinue.strictjson import InvalidJson

V01 = "https://in-toto.io/Statement/v0.1"
V1 = "https://in-toto.io/Statement/v1"
TYPES: Mapping[str, str] = {V01: "0.1", V1: "1"}
"""`_type`, and what it is called here."""

MAX_SUBJECTS = 10_000

_PREDICATE = frozenset({"predicate"})


class Subject(Struct, frozen=True):
    """What a statement is about. `digests`: algorithm to lower-case hex."""

    name: str
    digests: Mapping[str, str]
    annotations: Mapping[str, str]


class Statement(Struct, frozen=True):
    """`predicate` is its own JSON text within the statement's bytes, never re-serialised.

    It is empty where the statement has none (as cosign 2.6 signs).
    """

    version: str
    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: bytes


def read_statement(raw: Raw) -> Statement:
    """Read a statement; raises Malformed.

    The predicate is not looked into, other than that it is JSON: whoever reads it is as strict as
    he needs to be. Subjects without a name and a statement without a predicate are accepted.
    """
    found = usual.statement(raw, large.MAX_DEPTH) if large.is_small(raw) else None
    return (found and _of(found)) or read_strictly(raw)


def read_strictly(raw: Raw) -> Statement:
    """`read_statement` of whatever shape; it reads the usual one faster. Raises Malformed."""
    return _statement(_outline(raw))


def _of(found: UsualStatement) -> Statement | None:
    """None for what `read_strictly` has something to say about."""
    version = TYPES.get(found.kind)
    if version is None or not found.predicateType or not 0 < len(found.subject) <= MAX_SUBJECTS:
        return None
    subjects = [
        Subject(subject.name or "", subject.digest, subject.annotations or {})
        for subject in found.subject
    ]
    return Statement(version, tuple(subjects), found.predicateType, bytes(found.predicate))


def _outline(raw: Raw) -> Mapping[str, Any]:
    if len(raw) > large.MAX_BYTES:
        reason = f"{len(raw)} bytes are more than the {large.MAX_BYTES} allowed"
        raise Malformed("statement", reason)
    if len(raw) > large.SMALL:
        return large.outline(raw, "predicate", "statement")
    try:
        return strictjson.outline(bytes(raw), _PREDICATE, max_depth=large.MAX_DEPTH)
    except InvalidJson as error:
        raise Malformed("statement", str(error)) from None


def _statement(document: Mapping[str, Any]) -> Statement:
    kind = document.get("_type")
    version = TYPES.get(kind) if isinstance(kind, str) else None
    if version is None:
        raise Malformed("statement", f"_type is {kind!r:.120}; {V1} or v0.1 is needed")
    predicate_type = document.get("predicateType")
    if not isinstance(predicate_type, str) or not predicate_type:
        raise Malformed("statement", f"predicateType is {predicate_type!r:.120}, not an URI")
    subjects = document.get("subject")
    if not isinstance(subjects, list) or not subjects:
        raise Malformed("statement", "subject names nothing")
    if len(subjects) > MAX_SUBJECTS:
        reason = f"{len(subjects)} subjects are more than the {MAX_SUBJECTS} allowed"
        raise Malformed("statement", reason)
    predicate = document.get("predicate", b"")
    return Statement(version, tuple(map(_subject, subjects)), predicate_type, predicate)


def _subject(value: object) -> Subject:
    if not isinstance(value, dict):
        raise Malformed("statement", f"a subject is {value!r:.80}, not an object")
    name = value.get("name", "")
    if not isinstance(name, str):
        raise Malformed("statement", f"a subject's name is {name!r:.80}, not a string")
    return Subject(name, _texts(value, "digest"), _texts(value, "annotations"))


def _texts(value: Mapping[str, Any], field: str) -> dict[str, str]:
    """A map of strings. Annotations may have other values (in-toto); they are left out here."""
    found = value.get(field)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Malformed("statement", f"a subject's {field} is {found!r:.80}, not an object")
    return {key: text for key, text in found.items() if isinstance(text, str)}


def write_statement(
    predicate_type: str,
    predicate: bytes,
    subjects: Sequence[Subject],
    *,
    version: str = "1",
) -> bytes:
    """The bytes of a statement, ready to be signed; `predicate` stands in them as it is.

    `version` is "0.1" or "1". A subject without a name has no such field; annotations are v1 only.
    Raises Malformed where the result would not be readable as one.
    """
    kinds = {short: uri for uri, short in TYPES.items()}
    if version not in kinds:
        raise Malformed("statement", f"there is no version {version!r}; 0.1 and 1 are known")
    head = {
        "_type": kinds[version],
        "subject": [_write_subject(subject) for subject in subjects],
        "predicateType": predicate_type,
    }
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    raw = b'%b,"predicate":%b}' % (text[:-1], predicate.strip(b" \t\r\n"))
    if read_statement(raw).predicate != predicate.strip(b" \t\r\n"):
        raise Malformed("predicate", "is not one JSON value")
    return raw


def _write_subject(subject: Subject) -> dict[str, Any]:
    written: dict[str, Any] = {"name": subject.name} if subject.name else {}
    written["digest"] = dict(subject.digests)
    if subject.annotations:
        written["annotations"] = dict(sorted(subject.annotations.items()))
    return written
