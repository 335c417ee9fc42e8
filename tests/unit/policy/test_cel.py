"""`cel`: what expressions see, what they come to, and which are refused."""

import json
import os
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retinue.attest.statement import Statement
from retinue.papers.kinds import Kind
from retinue.policy import cel
from retinue.policy.cel import MAX_PREDICATE, compiled
from retinue.policy.errors import ExtraMissing, PolicyInvalid
from retinue.policy.model import PaperType

QUICK = settings(deadline=None, max_examples=int(os.environ.get("POLICY_EXAMPLES", "40")))
TYPE = "https://test/type"
PATH = "rule[0].attestation[0].cel"

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=12,
)


def against(text: str, predicate: Any, predicate_type: str = TYPE) -> tuple[str, ...]:
    raw = json.dumps(predicate).encode()
    return compiled(text, PATH).against(Statement("1", (), predicate_type, raw), predicate)


@pytest.mark.parametrize(
    ("text", "predicate"),
    [
        ("predicate.scanner.critical == 0", {"scanner": {"critical": 0}}),
        ("predicate.scanner.critical == 0", {"scanner": {"critical": 0.0}}),
        ("predicate.ok", {"ok": True}),
        ("predicate.all(x, x.severity < 7 || x.waived)", [{"severity": 9, "waived": True}]),
        ("predicate.name.matches('^a+$')", {"name": "aaa"}),
        (
            "timestamp(predicate.at) > timestamp('2026-01-01T00:00:00Z')",
            {"at": "2026-06-01T00:00:00Z"},
        ),
        ("size(predicate) == 0", {}),
        ("predicate == null", None),
        (f"predicateType == '{TYPE}'", {}),
        ("predicate.a >\n  9223372036854775807", {"a": 2**63}),
    ],
)
def test_expressions_that_hold(text: str, predicate: Any) -> None:
    assert against(text, predicate) == ()


@pytest.mark.parametrize(
    ("text", "predicate", "why"),
    [
        ("predicate.critical == 0", {"critical": 1}, "is false"),
        ("predicate.critical == 0", {"critical": "0"}, "is false"),
        ("predicate.critical == 0", {"critical": False}, "is false"),
        ("predicate.critical == 0", {}, "cannot be evaluated: NOT_FOUND"),
        ("predicate.critical == 0", [], "cannot be evaluated"),
        ("predicate.critical == 0", None, "cannot be evaluated"),
        ("predicate.critical > 0", {"critical": "many"}, "cannot be evaluated"),
        ("predicate.critical == 0", {"critical": 2**64}, "cannot be evaluated"),
        ("predicate.name.matches('(')", {"name": "a"}, "cannot be evaluated"),
        ("predicate.ok", {"ok": "true"}, "must be true or false, and gives STRING"),
        ("predicate.ok", {"ok": None}, "must be true or false, and gives NULL"),
        ("1 / predicate.n > 0", {"n": 0}, "cannot be evaluated"),
    ],
)
def test_what_is_missing_or_of_another_type_is_unmet(text: str, predicate: Any, why: str) -> None:
    (said,) = against(text, predicate)

    assert said.startswith(why)


def test_the_work_of_an_expression_is_bounded() -> None:
    (said,) = against("predicate.all(x, predicate.all(y, x + y >= 0))", list(range(1000)))

    assert "Iteration budget exceeded" in said


def test_a_predicate_that_is_too_large_is_unmet() -> None:
    (said,) = against("true", "x" * MAX_PREDICATE)

    assert "more than" in said


@pytest.mark.parametrize(
    ("predicate", "predicate_type"),
    [({"name": "good\0bad"}, TYPE), ({"name\0": 1, "name": "good"}, TYPE), ({}, f"{TYPE}\0/v1")],
)
def test_no_text_is_taken_for_its_beginning(predicate: Any, predicate_type: str) -> None:
    text = f"predicate.name == 'good' || predicateType == '{TYPE}'"

    (said,) = against(text, predicate, predicate_type)

    assert "U+0000" in said


def test_values_are_not_told_at_length() -> None:
    (said,) = against("predicate.token == 1", {"token": 10**400})

    assert len(said) < 250


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("predicate.a ==", "line 1, character 15: Syntax error"),
        ("predicate.a == 1 &&\n  other", "line 2, character 3: undeclared reference to 'other'"),
        ("'a' + 1 == 2", "line 1, character 5: found no matching overload"),
        ("1 + 1", "must be true or false, and gives INT"),
        ("predicate.map(x, x)", "must be true or false, and gives LIST"),
        ("(" * 50 + "true" + ")" * 50, "recursion limit"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, said: str) -> None:
    with pytest.raises(PolicyInvalid) as problem:
        compiled(text, PATH)

    assert problem.value.field == PATH
    assert said in problem.value.reason


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    cel._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)

    with pytest.raises(ExtraMissing, match=r"pip install 'retinue\[cel\]'"):
        compiled("true", PATH)


def test_expressions_of_one_text_are_the_same() -> None:
    assert compiled("predicate.a", PATH) == compiled("predicate.a", "elsewhere")
    assert compiled("predicate.a", PATH) != compiled("predicate.b", PATH)


def test_a_long_expression_is_shown_by_its_beginning() -> None:
    assert str(compiled("predicate.a\n  == 1", PATH)) == "cel predicate.a == 1"
    assert len(str(compiled("predicate.a == 1 || " * 50 + "true", PATH))) < 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("predicate.a == 1", []),
        ("predicate.a == 1 || predicateType == 'x'", []),
        ("!has(predicate.a)", []),
        ("1 == 2", ["is false whatever 'vex' says"]),
        ("predicate.a && false", ["is false whatever 'vex' says"]),
        ("predicate.a || true", ["is true whatever 'vex' says"]),
    ],
)
def test_doubts(text: str, expected: list[str]) -> None:
    assert expected == list(compiled(text, PATH).doubts(PaperType("vex", Kind.VEX)))


@QUICK
@given(
    st.sampled_from(
        [
            "predicate.a == predicate.b",
            "predicate.a.b.c",
            "predicate[0] < predicate.a || predicate.all(x, x > 1)",
            "size(predicate.a) + predicate.b > 1",
            "predicate.exists(x, predicate[x] == x)",
            "string(predicate.a).contains(predicate.b)",
            "duration(predicate.a) < duration('1h') ? predicate.b : predicate.c",
        ]
    ),
    JSON,
)
def test_any_document_has_an_answer_in_bounds(text: str, document: Any) -> None:
    assert all(len(said) < 300 for said in against(text, document))
