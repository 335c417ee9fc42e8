from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.attest.predicates.pointer import InvalidPointer, lookup, parse

DOCUMENT = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
    "null": None,
    "0": {"00": "x"},
}


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [  # RFC 6901, section 5
        ("", DOCUMENT),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
        ("/null", None),
        ("/0/00", "x"),
    ],
)
def test_where_a_pointer_leads(pointer: str, expected: Any) -> None:
    assert [expected] == list(lookup(DOCUMENT, pointer))


@pytest.mark.parametrize(
    "pointer",
    ["/bar", "/foo/2", "/foo/-", "/foo/00", "/foo/01", "/foo/-1", "/foo/1e0", "/foo/\u0660",
     "/foo/0/0", "/null/x", "/foo/" + "9" * 30],
)  # fmt: skip
def test_where_a_pointer_leads_nowhere(pointer: str) -> None:
    assert list(lookup(DOCUMENT, pointer)) == []


@pytest.mark.parametrize(
    ("pointer", "said"),
    [
        ("foo", "must be empty, or start with '/'"),
        ("/a~", "has a '~'"),
        ("/a~2", "has a '~'"),
        ("/~~1", "has a '~'"),
        ("/" + "a" * 1024, "longer than 1024"),
    ],
)
def test_what_is_no_pointer_is_refused(pointer: str, said: str) -> None:
    with pytest.raises(InvalidPointer, match=said):
        parse(pointer)


@given(st.lists(st.text(max_size=8), max_size=8))
def test_every_way_has_a_pointer(names: list[str]) -> None:
    pointer = "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)
    document: Any = "there"
    for name in reversed(names):
        document = {name: document}
    assert (tuple(names), ["there"]) == (parse(pointer), list(lookup(document, pointer)))
