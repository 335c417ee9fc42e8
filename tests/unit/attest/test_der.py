"""Strict DER: one encoding, or none."""

from datetime import UTC, datetime

import pytest

from retinue.attest.der import Reader, oid_text, utf8
from retinue.attest.errors import Malformed
from retinue.devstack import encode


def reader(raw: bytes) -> Reader:
    return Reader(raw, "thing")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x02",
        b"\x02\x02\x01",
        b"\x1f\x01\x00",  # a tag of several bytes
        b"\x04\x80\x00\x00",  # an indefinite length
        b"\x04\x81\x01x",  # a length that is not minimal
        b"\x04\x82\x00\x80" + bytes(128),
        b"\x04\x85\x00\x00\x00\x00\x01x",
        b"\x04\x84\xff\xff\xff\xff",
    ],
)
def test_what_is_no_single_encoding_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        reader(raw).any()


@pytest.mark.parametrize("raw", [b"\x02\x00", b"\x02\x02\x00\x01", b"\x02\x02\xff\xff"])
def test_integers_are_minimal(raw: bytes) -> None:
    with pytest.raises(Malformed, match="minimal"):
        reader(raw).integer()


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255, 256, 1 << 160])
def test_integers_come_back(value: int) -> None:
    assert reader(encode.integer(value)).integer() == value


@pytest.mark.parametrize(("raw", "value"), [(b"\x80", -128), (b"\xff\x7f", -129), (b"\xff", -1)])
def test_negative_integers_are_read(raw: bytes, value: int) -> None:
    assert reader(encode.element(0x02, raw)).integer() == value


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 70000])
def test_lengths_come_back(size: int) -> None:
    found = reader(encode.octets(bytes(size)))

    assert (found.octets(), bool(found)) == (bytes(size), False)


@pytest.mark.parametrize("dotted", ["1.2.840.113549.1.7.2", "2.5.29.37", "0.9.2342", "2.999.3"])
def test_object_identifiers_come_back(dotted: str) -> None:
    assert reader(encode.oid(dotted)).oid() == dotted


@pytest.mark.parametrize("raw", [b"", b"\x80\x01", b"\x2a\x80\x01", b"\x2a\x86"])
def test_object_identifiers_are_minimal_and_end(raw: bytes) -> None:
    with pytest.raises(Malformed):
        oid_text(raw, "thing")


def test_times_are_utc_with_a_fraction_if_need_be() -> None:
    raw = b"\x18\x1320260301120000.123Z"

    assert reader(raw).time() == datetime(2026, 3, 1, 12, 0, 0, 123000, UTC)


@pytest.mark.parametrize(
    "text",
    ["20260301120000", "20260301120000+0100", "202603011200Z", "20260301120000.Z",
     "20260301120000.10Z", "20261301120000Z", "20260230120000Z", "20260301126000Z"],
)  # fmt: skip
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(Malformed):
        reader(encode.element(0x18, text.encode())).time()


def test_a_text_is_alone_and_utf8() -> None:
    assert utf8(encode.utf8("né"), "thing") == "né"
    for raw in (encode.utf8("a") + b"\x00", encode.element(0x0C, b"\xff"), encode.octets(b"a")):
        with pytest.raises(Malformed):
            utf8(raw, "thing")


def test_what_is_left_is_refused() -> None:
    found = reader(encode.null() + encode.null())
    found.any()

    with pytest.raises(Malformed, match="after its end"):
        found.end()
