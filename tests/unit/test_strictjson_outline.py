"""Objects of which some members are left as they stand."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.strictjson import InvalidJson, loads, outline

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
OBJECTS = st.dictionaries(st.sampled_from(["p", "q", "ü", 'a"b', "\\"]), VALUES, max_size=5)
INDENTS = st.sampled_from([None, 0, 3])


@given(document=OBJECTS, indent=INDENTS, plain=st.booleans())
def test_it_reads_what_the_whole_reader_reads(
    document: dict[str, Any], indent: int | None, plain: bool
) -> None:
    raw = json.dumps(document, indent=indent, ensure_ascii=plain).encode()
    found = outline(b" \n" + raw + b"\t", {"p"})
    whole = loads(raw)
    assert whole.keys() == found.keys()
    for key, value in whole.items():
        assert value == (json.loads(found[key]) if key == "p" else found[key])


def test_what_is_opaque_stands_as_it_is() -> None:
    found = outline(b'{"a": 1, "p" : {"x" : 1, "x":2.50} , "p2":{}}', {"p"})
    assert found == {"a": 1, "p": b'{"x" : 1, "x":2.50}', "p2": {}}


@pytest.mark.parametrize("raw", [b"{}", b" { } ", b'{"\\u0070":5}'])
def test_empty_objects_and_escaped_keys(raw: bytes) -> None:
    assert {key: value for key, value in outline(raw, {"p"}).items() if value != b"5"} == {}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "is not an object"),
        (b"[1]", "is not an object"),
        (b'"p"', "is not an object"),
        (b"{", "expecting a key"),
        (b"{,}", "expecting a key"),
        (b'{"a":1,}', "expecting a key"),
        (b'{"a" 1}', "expecting a colon"),
        (b'{"\\u0061" 1}', "expecting a colon"),
        (b'{"a":1 "b":2}', "expecting a comma"),
        (b'{"a":1', "expecting a comma"),
        (b'{"a":}', "Expecting value"),
        (b'{"a', "Unterminated string"),
        (b'{"a\n":1}', "Invalid control character"),
        (b'{"a":1}x', "extra data"),
        (b"{}}", "extra data"),
        (b'{"a":1,"a":2}', "occurs twice"),
        (b'{"p":1,"\\u0070":2}', "occurs twice"),
        (b'{"a":1,"A":2}', "differ only in case"),
        (b'{"a":{"b":1,"B":2}}', "differ only in case"),
        (b'{"a":[{"b":1,"b":2}]}', "occurs twice"),
        (b'{"p":NaN}', "NaN is not JSON"),
        (b'{"p":1e999}', "beyond what readers can hold"),
        (b'{"p":{"a":\'b\'}}', "Expecting value"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"p":"\\ud800"}', "surrogate"),
        (b'{"p":"\xff"}', "not UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"p":' + b"[" * 70 + b"]" * 70 + b"}", "nested deeper"),
        (b'{"p":' + b"1" * 5000 + b"}", "too many digits"),
    ],
)
def test_what_is_refused(raw: bytes, said: str) -> None:
    with pytest.raises(InvalidJson, match=said):
        outline(raw, {"p"})
