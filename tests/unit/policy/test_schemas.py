"""`schema`: what a JSON Schema lets pass, what it says of the rest, and which schemas are refused."""

import json
import os
import sys
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retinue.attest.statement import Statement
from retinue.papers.kinds import Kind
from retinue.policy import schemas
from retinue.policy.anchors import Files
from retinue.policy.errors import ExtraMissing, PolicyInvalid
from retinue.policy.fields import Table
from retinue.policy.model import PaperType
from retinue.policy.schemas import MAX_BYTES, MAX_LISTED, Schema

QUICK = settings(deadline=None, max_examples=int(os.environ.get("POLICY_EXAMPLES", "40")))
PATH = "rule[0].attestation[0]"
SCAN = {
    "type": "object",
    "required": ["scanner"],
    "properties": {"scanner": {"properties": {"critical": {"maximum": 0}}}},
}
VULN = PaperType("vulnerabilities", Kind.VULNERABILITIES)

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def statement(predicate: Any) -> Statement:
    return Statement("1", (), "https://test/type", json.dumps(predicate).encode())


def against(schema: dict[str, Any], predicate: Any) -> tuple[str, ...]:
    return Schema(schema, "s.json").against(statement(predicate), predicate)


def load(value: object, **files: bytes) -> Schema:
    return schemas.load(Table({"schema": value}, PATH), Files(lambda name: files[name]))


def refused(value: object, **files: bytes) -> str:
    with pytest.raises(PolicyInvalid) as problem:
        load(value, **files)
    assert problem.value.field == f"{PATH}.schema"
    return problem.value.reason


def test_what_satisfies_it_has_nothing_against_it() -> None:
    assert against(SCAN, {"scanner": {"critical": 0}}) == ()


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ({}, 'at the top: "scanner" is a required property'),
        ([], 'at the top: the value is not of type "object"'),
        ({"scanner": {"critical": 3}}, "/scanner/critical: the value is greater than the maximum"),
    ],
)
def test_what_does_not_is_told_with_its_place(predicate: Any, expected: str) -> None:
    (said,) = against(SCAN, predicate)

    assert said.startswith(expected)


def test_places_are_json_pointers() -> None:
    schema = {"properties": {"a/b": {"properties": {"~": {"items": {"const": 1}}}}}}

    assert against(schema, {"a/b": {"~": [1, 2]}}) == ("/a~1b/~0/1: 1 was expected (2)",)


def test_only_the_first_few_violations_are_told() -> None:
    assert against({"items": {"type": "string"}}, list(range(9))) == (
        '/0: the value is not of type "string" (0)',
        '/1: the value is not of type "string" (1)',
        '/2: the value is not of type "string" (2)',
        "and 6 more",
    )


def test_of_a_large_predicate_one_violation_is_told() -> None:
    assert len(against({"items": {"type": "string"}}, [0] * MAX_LISTED)) == 1


@pytest.mark.parametrize("keyword", [{"maxLength": 1}, {"const": "x"}, {"type": "null"}])
def test_long_values_are_not_told_at_length(keyword: dict[str, Any]) -> None:
    (said,) = against({"properties": {"token": keyword}}, {"token": "secret" * 100})

    assert len(said) < 120


@pytest.mark.parametrize(
    "draft",
    [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-06/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ],
)
def test_drafts_4_to_2020_are_known_and_all_hold_to_formats(draft: str) -> None:
    schema = {"$schema": draft, "properties": {"at": {"format": "date-time"}}}

    assert against(schema, {"at": "2026-06-01T00:00:00Z"}) == ()
    assert against(schema, {"at": "yesterday"})


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "/type: "),
        ({"properties": {"a": {"minimum": "x"}}}, "/properties/a/minimum: "),
        ({"pattern": "(?=a)"}, "/pattern: "),
        ({"pattern": r"(a)\1"}, "/pattern: "),
        ({"pattern": "((x{1000}){1000}){1000}"}, "/pattern: "),
        ({"format": "phone"}, "Unknown format: 'phone'"),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "Unknown meta-schema"),
        ({"$ref": "#/$defs/a"}, "'/$defs/a' does not exist"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_with_its_place(
    schema: dict[str, Any], said: str
) -> None:
    assert said in refused(schema)
    named = refused("s.json", **{"s.json": json.dumps(schema).encode()})
    assert named.startswith("'s.json' is no schema")
    assert said in named


@pytest.mark.parametrize(
    "reference",
    [
        "http://127.0.0.1:9/s.json",
        "https://example.com/s.json",
        "file:///etc/hostname",
        "/etc/hostname",
        "other.json",
    ],
)
def test_nothing_else_is_fetched_or_opened(reference: str) -> None:
    assert "retriev" in refused({"$ref": reference})
    assert "retriev" in refused({"properties": {"a": {"items": {"$ref": reference}}}})
    assert "retriev" in refused({"$id": "file:///etc/", "$ref": "hostname"})


def test_references_into_the_schema_itself_hold() -> None:
    schema = {"$ref": "#/$defs/node", "$defs": {"node": {"required": ["a"]}}}

    assert against(schema, {"a": 1}) == ()
    assert against(schema, {})


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{", "invalid JSON"),
        (b'{"type":"object","type":"array"}', "occurs twice"),
        (b'["a"]', "must be an object"),
        (b" " * (MAX_BYTES + 1), "more than"),
    ],
)
def test_files_that_hold_no_schema(raw: bytes, said: str) -> None:
    assert said in refused("s.json", **{"s.json": raw})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (7, "must be a text"),
        ("", "must be a text"),
        ({"const": Ellipsis}, "a date"),
        ({"const": float("inf")}, "a number"),
    ],
)
def test_values_that_are_no_schema(value: object, said: str) -> None:
    assert said in refused(value)


def test_one_and_the_same_schema_is_the_same_wherever_it_is_written() -> None:
    named = load("s.json", **{"s.json": b' {"required" : ["a"]}'})

    assert named == load({"required": ["a"]})
    assert named != load({"required": ["b"]})
    assert (str(named), str(load({}))) == ("schema s.json", "schema")


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)

    with pytest.raises(ExtraMissing, match=r"pip install 'retinue\[schema\]'"):
        load({})


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (SCAN, []),
        ({"required": ["a"]}, []),
        ({}, ["is satisfied by a predicate that says nothing"]),
        ({"properties": SCAN["properties"]}, ["is satisfied by a predicate that says nothing"]),
        ({"type": "array"}, ["never holds"]),
        ({"type": ["string", "null"]}, ["never holds"]),
        ({"type": ["object", "null"], "minProperties": 1}, []),
    ],
)
def test_doubts(schema: dict[str, Any], expected: list[str]) -> None:
    said = list(Schema(schema, "").doubts(VULN))

    assert expected == [text[: len(start)] for text, start in zip(said, expected, strict=True)]


@QUICK
@given(JSON)
def test_any_document_is_told_of_in_bounds(document: Any) -> None:
    schema = {
        "type": "object",
        "additionalProperties": {"type": "integer", "multipleOf": 3},
        "propertyNames": {"pattern": "^a+$"},
    }
    said = against(schema, document)

    assert all(len(each) < 500 for each in said)
    assert bool(said) is not (
        isinstance(document, dict)
        and all(_is_integer(v) and v % 3 == 0 for v in document.values())
        and all(key and set(key) == {"a"} for key in document)
    )


def _is_integer(value: object) -> bool:
    """As JSON has it: 1.0 is one, true is none."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


@QUICK
@given(st.dictionaries(st.sampled_from(["type", "pattern", "$ref", "items", "enum"]), JSON))
def test_any_schema_is_taken_or_refused(schema: dict[str, Any]) -> None:
    with suppress(PolicyInvalid):
        assert isinstance(load(schema).against(statement({}), {}), tuple)
