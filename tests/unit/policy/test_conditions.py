"""`where`: typed comparisons; what is missing, or of another type, is false."""

import pytest

from retinue.papers.facts import Claim
from retinue.policy.conditions import holds
from retinue.policy.model import Condition, Value


@pytest.mark.parametrize(
    ("claim", "op", "value", "expected"),
    [
        (0, "==", 0, True),
        (0, "==", 0.0, True),
        (0, "==", False, False),
        (1, "==", True, False),
        (True, "==", True, True),
        ("0", "==", 0, False),
        (None, "==", None, True),
        (("a", "b"), "==", "a", False),
        (1, "!=", 0, True),
        ("1", "!=", 0, False),
        (True, "!=", 0, False),
        (1, "<", 2, True),
        (2, "<", 2, False),
        (2, "<=", 2, True),
        (True, "<", 2, False),
        ("a", "<", "b", True),
        ("10", "<", 9, False),
        (3, ">", 2.5, True),
        (2, ">=", 2, True),
        (None, ">", 0, False),
        ("a", "in", ("a", "b"), True),
        ("c", "in", ("a", "b"), False),
        (1, "in", (True,), False),
        (("a", "b"), "in", ("a", "b", "c"), True),
        (("a", "d"), "in", ("a", "b", "c"), False),
        ((), "in", ("a",), False),
        ("v1.2", "matches", r"v\d+\.\d+", True),
        ("xv1.2", "matches", r"v\d+\.\d+", False),
        ("v1.2x", "matches", r"v\d+\.\d+", False),
        (1, "matches", r"\d", False),
        (None, "exists", True, True),
        ((), "exists", True, True),
    ],
)
def test_comparisons(claim: Claim, op: str, value: Value, expected: bool) -> None:
    assert holds(Condition("/a", op, value), {"/a": claim}) is expected


@pytest.mark.parametrize("op", ["==", "!=", "<", "<=", ">", ">=", "in", "matches", "exists"])
def test_what_is_missing_is_false(op: str) -> None:
    value: Value = ("x",) if op == "in" else "x"

    assert not holds(Condition("/a", op, value), {"/b": "x"})
