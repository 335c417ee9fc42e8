"""`schema`: a JSON Schema (drafts 4 to 2020-12) that a predicate must satisfy.

References lead into the schema itself, or to the drafts' own: nothing is fetched, and no file is
opened but the one that the policy names. Patterns are linear expressions, as everywhere.
"""

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from retinue import strictjson
from retinue.attest.predicates.pointer import lookup
from retinue.policy.anchors import Files
from retinue.policy.errors import ExtraMissing, PolicyInvalid
from retinue.policy.fields import Table, checked_text
from retinue.policy.model import PaperType

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

    from retinue.attest.statement import Statement

FIELD = "schema"
MAX_BYTES = 1024 * 1024
"""Of a schema."""
MAX_VIOLATIONS = 3
"""That are told."""
MAX_LISTED = 32 * 1024
"""Bytes of a predicate of which all violations are found: the library makes them all at once. Of a
larger one the first is told."""
MAX_TEXT = 200
MAX_VALUE = 40
_MASK = "the value"
_EXPRESSION_BYTES = 1024 * 1024


class Schema:
    """Compiled; what it asks is the same where the bytes are. `called`: by the policy file."""

    field = FIELD

    def __init__(self, document: dict[str, Any], called: str) -> None:
        """Raises ImportError without jsonschema-rs, and its ValidationError."""
        self._validator = _compiled(document)
        text = json.dumps(document, sort_keys=True)
        self.name = f"{FIELD} {sha256(text.encode()).hexdigest()[:16]}"
        self._kinds = document.get("type")
        self._called = called

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __str__(self) -> str:
        return f"{FIELD} {self._called}".rstrip()

    def against(self, statement: "Statement", predicate: Any) -> tuple[str, ...]:
        if self._validator.is_valid(predicate):
            return ()
        found = sorted({_told(each, predicate) for each in self._violations(statement, predicate)})
        more = len(found) - MAX_VIOLATIONS
        told = (*found[:MAX_VIOLATIONS], *([f"and {more} more"] if more > 0 else []))
        return told or ("it is not satisfied",)

    def _violations(self, statement: "Statement", predicate: Any) -> "Iterable[ValidationError]":
        from jsonschema_rs import ValidationError

        if len(statement.predicate) <= MAX_LISTED:
            return self._validator.iter_errors(predicate)
        try:
            self._validator.validate(predicate)
        except ValidationError as first:
            return (first,)
        return ()

    def doubts(self, about: PaperType) -> Iterator[str]:
        if about.kind is not None and not _takes_objects(self._kinds):
            yield f"never holds: the predicate of {about.name!r} is an object"
        elif self._validator.is_valid({}):
            yield "is satisfied by a predicate that says nothing: name what must be there (`required`)"


def _takes_objects(kinds: object) -> bool:
    """Whether the keyword `type` of a valid schema lets an object pass."""
    return kinds is None or kinds == "object" or (isinstance(kinds, list) and "object" in kinds)


def load(table: Table, files: Files) -> Schema:
    """The field `schema`: the name of a file, or the schema itself; raises PolicyInvalid."""
    path, value = table.at(FIELD), table.take(FIELD)
    if isinstance(value, dict):
        raw, called = _encoded(value, path), ""
    else:
        called = checked_text(value, path)
        raw = files.read(called, path)
    document = _document(raw, called, path)
    try:
        return Schema(document, called)
    except ImportError:
        raise ExtraMissing(path, "jsonschema-rs", "schema") from None
    except ValueError as problem:  # what the library's ValidationError is
        reason = f"{_quoted(called)}is no schema that can be used: {_told(problem, document)}"
        raise PolicyInvalid(path, reason) from None


def _encoded(value: dict[str, Any], path: str) -> bytes:
    try:
        return json.dumps(value, allow_nan=False).encode()
    except TypeError:
        raise PolicyInvalid(path, "holds a date, which JSON does not have") from None
    except ValueError:
        raise PolicyInvalid(path, "holds a number that JSON does not have") from None


def _document(raw: bytes, called: str, path: str) -> dict[str, Any]:
    try:
        document = strictjson.loads(raw, max_bytes=MAX_BYTES)
    except strictjson.InvalidJson as problem:
        raise PolicyInvalid(path, f"{_quoted(called)}{problem}") from None
    if not isinstance(document, dict):
        raise PolicyInvalid(path, f"{_quoted(called)}must be an object")
    return document


def _quoted(called: str) -> str:
    return f"{called!r} " if called else ""


def _compiled(document: dict[str, Any]) -> "Validator":
    """Formats are held to in every draft, and one that is not known is refused: else it would pass."""
    import jsonschema_rs

    return jsonschema_rs.validator_for(
        document,
        validate_formats=True,
        ignore_unknown_formats=False,
        mask=_MASK,
        pattern_options=jsonschema_rs.RegexOptions(
            size_limit=_EXPRESSION_BYTES, dfa_size_limit=_EXPRESSION_BYTES
        ),
        offline=True,
    )


def _told(problem: "ValueError | ValidationError", document: Any) -> str:
    """Where it is, as a JSON Pointer, and what is wrong; of values only short ones, and of those the
    beginning."""
    place = "".join(f"/{_escaped(str(part))}" for part in getattr(problem, "instance_path", ()))
    reason = getattr(problem, "message", str(problem))
    found = next(lookup(document, place), None) if len(place) < MAX_TEXT else None
    shown = f" ({found!r:.{MAX_VALUE}})" if isinstance(found, str | int | float) else ""
    return f"{place[:MAX_TEXT] or 'at the top'}: {reason[:MAX_TEXT]}{shown}"


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
