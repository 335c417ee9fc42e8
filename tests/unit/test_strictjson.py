"""JSON that no other reader can understand differently."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.strictjson import InvalidJson, fold, loads, shallow

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.from_regex(r"[a-z0-9]{0,8}"), inner),
    max_leaves=30,
)  # fmt: skip


@given(JSON, st.booleans())
def test_reads_what_the_standard_library_writes(value: Any, ascii_only: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    if len(data) < 2 or not _has_variants(value):
        assert value == loads(data)


def _has_variants(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_variants, value))
    if not isinstance(value, dict):
        return False
    return len({fold(k) for k in value}) < len(value) or any(map(_has_variants, value.values()))


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,\\u0dD8fx\n ').map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(InvalidJson):
        value = loads(data)
        assert json.loads(data) == value


@pytest.mark.parametrize(
    ("text", "reason", "offset", "key"),
    [
        ('{"a":1,"a":1}', "occurs twice", None, "a"),
        ('[{"x":{"a":1,"b":2,"a":1}}]', "occurs twice", None, "a"),
        ('{"a":1,"\\u0061":1}', "occurs twice", None, "a"),
        ('{"a":1,"A":1}', "differ only in case", None, "A"),
        ('{"k":1,"\u212a":1}', "differ only in case", None, "\u212a"),
        ('{"\u017f":1,"s":1}', "differ only in case", None, "s"),
        ('{"\u1e9e":1,"\u00df":1}', "differ only in case", None, "\u00df"),
        ("\ufeff{}", "byte order mark", 0, None),
        ('["\\ud800"]', "surrogate", 2, None),
        ('["\\uDFFF"]', "surrogate", 2, None),
        ('["\\ud800\\u0041"]', "surrogate", 2, None),
        ('["\\\\\\ud800"]', "surrogate", 4, None),
        ("[NaN]", "NaN is not JSON", None, None),
        ("-Infinity", "-Infinity is not JSON", None, None),
        ("[1e309]", "beyond", None, None),
        ("[" + "1" * 5000 + "]", "too many digits", None, None),
        ("[1,x]", "Expecting value", 3, None),
        ("", "Expecting value", 0, None),
        ("1 2", "Extra data", 2, None),
    ],
)
def test_refuses(text: str, reason: str, offset: int | None, key: str | None) -> None:
    with pytest.raises(InvalidJson, match=reason) as caught:
        loads(text.encode())
    assert (offset, key) == (caught.value.offset, caught.value.key)


def test_refuses_what_is_not_utf_8_and_says_where() -> None:
    with pytest.raises(InvalidJson, match="not UTF-8") as caught:
        loads(b'["\xff"]')
    assert caught.value.offset == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a":{"b":1},"B":{"A":1}}', {"a": {"b": 1}, "B": {"A": 1}}),
        ('{"ss":1,"\u00df":2}', {"ss": 1, "\u00df": 2}),
        ('["\\ud83d\\ude00"]', ["\U0001f600"]),
        ('["\\uD83D\\uDE00"]', ["\U0001f600"]),
        ('["\\\\ud800"]', ["\\ud800"]),
        ("[1.5,-0,1e3]", [1.5, 0, 1000.0]),
        (" \t\r\n1 ", 1),
    ],
)
def test_accepts(text: str, value: Any) -> None:
    assert value == loads(text.encode())


@pytest.mark.parametrize("pair", ["[]", '{"a":}'])
def test_bounds_the_depth_exactly(pair: str) -> None:
    opening, closing = pair[:-1], pair[-1]
    fits = (opening * 8 + "1" + closing * 8).encode()
    loads(fits, max_depth=8)
    loads(b"[" + fits + b"," + fits + b"]", max_depth=9)
    with pytest.raises(InvalidJson, match="deeper than the 8"):
        loads(b"[" + fits + b"]", max_depth=8)


def test_brackets_in_strings_have_no_depth() -> None:
    value = ["[[[[{{{{", '"[[[[\\', {"]]]]": "[[[["}]
    assert value == loads(json.dumps(value).encode(), max_depth=2)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "{" * 100_000, "]" * 9 + "[" * 99, '["' + '\\"' * 1000, '["' + "[" * 99 + "\\"],
)
def test_unbalanced_nesting_is_refused_before_it_can_exhaust_the_stack(text: str) -> None:
    with pytest.raises(InvalidJson):
        loads(text.encode(), max_depth=8)


def test_bounds_the_size() -> None:
    assert loads(b"[1]", max_bytes=3) == [1]
    with pytest.raises(InvalidJson, match="3 bytes are more than the 2 allowed"):
        loads(b"[1]", max_bytes=2)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Subject", "subject", True),
        ("\u017fubject", "subject", True),
        ("\u212aey", "key", True),
        ("\u0130", "i", False),
        ("stra\u00dfe", "strasse", False),
        ("\u03c2", "\u03a3", True),
    ],
)
def test_fold_merges_what_readers_merge(one: str, other: str, same: bool) -> None:
    assert same == (fold(one) == fold(other))


@given(st.text('[]{}"\\ a'), st.integers(0, 6))
def test_depth_is_found_alike_in_little_and_in_much(text: str, depth: int) -> None:
    data = text.encode()

    assert shallow(data, depth) == shallow(b" " * 5000 + data, depth)
