"""`where`: comparisons of values in a predicate. What is missing, or of another type, is false."""

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from retinue.papers.facts import Claim
from retinue.policy import expressions
from retinue.policy.fields import Table, listed
from retinue.policy.model import Condition, Value

_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)+")
MAX_POINTER = 512
MAX_LIST = 1000


def load(table: Table) -> Condition:
    """One entry of `where`; raises PolicyInvalid."""
    path, op = table.text("path"), table.text("op")
    if len(path) > MAX_POINTER or not _POINTER.fullmatch(path):
        raise table.wrong("path", "is no JSON Pointer (RFC 6901), like /scanner/result/critical")
    if op not in _OPERATORS:
        raise table.wrong("op", f"{op[:40]!r} is none of: {', '.join(_OPERATORS)}")
    condition = Condition(path, op, _value(table, op))
    table.done()
    return condition


def _value(table: Table, op: str) -> Value:
    if op == "exists":
        if table.flag("value", default=True) is not True:
            reason = "cannot be false: what is missing, or cannot be read, satisfies nothing"
            raise table.wrong("value", reason)
        return True
    value = table.take("value")
    where = table.at("value")
    if op == "in":
        items = tuple(item for _, item in listed(value, where))
        if not items or len(items) > MAX_LIST or not all(map(_is_scalar, items)):
            raise table.wrong("value", f"must be a list of 1 to {MAX_LIST} texts or numbers")
        return items
    if not _is_scalar(value):
        raise table.wrong("value", "must be a text, a number, or true or false")
    if op == "matches":
        if not isinstance(value, str):
            raise table.wrong("value", "must be an expression")
        return expressions.check(value, where)
    if op in _ORDERS and (isinstance(value, bool) or value is None):
        raise table.wrong("value", f"{op} compares numbers, or texts")
    made: Value = value
    return made


def _is_scalar(value: object) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    return value is None or isinstance(value, str | int)


def holds(condition: Condition, claims: Mapping[str, Claim]) -> bool:
    """Whether a predicate's values (by JSON Pointer) satisfy a condition."""
    if condition.path not in claims:
        return False
    return _OPERATORS[condition.op](claims[condition.path], condition.value)


def _alike(claim: object, value: object) -> bool:
    """Comparable: two numbers (true and false are none), or of one type."""
    if _is_number(claim) and _is_number(value):
        return True
    return type(claim) is type(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(claim: Any, value: Any) -> bool:
    return _alike(claim, value) and bool(claim == value)


def _differs(claim: Any, value: Any) -> bool:
    return _alike(claim, value) and bool(claim != value)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def test(claim: Any, value: Any) -> bool:
        orderable = _is_number(claim) or isinstance(claim, str)
        return orderable and _alike(claim, value) and compare(claim, value)

    return test


def _among(claim: Any, values: Any) -> bool:
    """A list is among the values when it is not empty and each of its texts is."""
    if isinstance(claim, tuple):
        return bool(claim) and all(_among(each, values) for each in claim)
    return any(_equal(claim, value) for value in values)


def _matches(claim: Any, expression: Any) -> bool:
    return isinstance(claim, str) and expressions.matches(expression, claim)


_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": _ordered(lambda claim, value: claim < value),
    "<=": _ordered(lambda claim, value: claim <= value),
    ">": _ordered(lambda claim, value: claim > value),
    ">=": _ordered(lambda claim, value: claim >= value),
}

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": _differs,
    **_ORDERS,
    "in": _among,
    "matches": _matches,
    "exists": lambda *_: True,
}
