"""CBOR as signed envelopes use it; what two readers could take for different things is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.attest.errors import Malformed
from retinue.attest.formats import cbor
from retinue.attest.formats.cbor import Tagged


@pytest.mark.parametrize(
    ("encoded", "value"),  # RFC 8949, appendix A
    [
        ("17", 23),
        ("1818", 24),
        ("1b000000e8d4a51000", 1000000000000),
        ("3903e7", -1000),
        ("f93c00", 1.0),
        ("fa47c35000", 100000.0),
        ("fb3ff199999999999a", 1.1),
        ("f4", False),
        ("f5", True),
        ("f6", None),
        ("c11a514b67b0", Tagged(1, 1363896240)),
        ("4401020304", b"\1\2\3\4"),
        ("62c3bc", "ü"),
        ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a201020304", {1: 2, 3: 4}),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ],
)
def test_examples_of_the_specification(encoded: str, value: object) -> None:
    assert value == cbor.loads(bytes.fromhex(encoded))


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "18",
        "5f42010243030405ff",  # indefinite
        "9fff",
        "a201020103",  # a key twice
        "a201021801 03",  # and again, written longer
        "a1f501",  # a boolean as a key
        "a14100 01",
        "62ff00",  # no UTF-8
        "0101",  # more follows
        "f8ff",
        "1c",
        "5b7fffffffffffffff",  # longer than the input
        "9b7fffffffffffffff",
        "81" * 20 + "01",  # nested
        "98ff",
    ],
)
def test_what_is_refused(encoded: str) -> None:
    with pytest.raises(Malformed):
        cbor.loads(bytes.fromhex(encoded))


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_malformed(raw: bytes) -> None:
    try:
        cbor.loads(raw)
    except Malformed:
        return


@given(st.integers(0, 2**64 - 1))
def test_heads_are_read_as_they_are_written(number: int) -> None:
    assert number == cbor.loads(cbor.head(0, number))


@given(st.binary(max_size=300), st.text(max_size=300))
def test_strings_are_read_as_they_are_written(data: bytes, text: str) -> None:
    assert [data, text] == cbor.loads(
        cbor.head(4, 2) + cbor.bytestring(data) + cbor.textstring(text)
    )
