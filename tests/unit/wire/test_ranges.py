import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.wire import ranges
from retinue.wire.ranges import MalformedRange, Unsatisfiable


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        ("bytes=500-1499", 4000, (500, 1500)),
        ("bytes=500-", 4000, (500, 4000)),
        ("bytes=-500", 4000, (3500, 4000)),
        ("bytes=-5000", 4000, (0, 4000)),
        ("bytes=2000-5000", 4000, (2000, 4000)),
        ("bytes=0-0", 1, (0, 1)),
        ("Bytes = 1-2", 10, (1, 3)),
        ("bytes=0-1,4-5", 10, None),
        ("items=0-1", 10, None),
        ("bytes=-", 10, None),
        ("bytes", 10, None),
        ("bytes=a-b", 10, None),
        ("bytes=0-" + "9" * 40, 10, None),
    ],
)
def test_ranges_that_select_bytes_or_are_ignored(
    header: str, size: int, expected: tuple[int, int] | None
) -> None:
    assert expected == ranges.parse_range(header, size)


@pytest.mark.parametrize(
    ("header", "size"),
    [("bytes=500-0", 4000), ("bytes=5000-10000", 4000), ("bytes=-0", 10), ("bytes=0-", 0)],
)
def test_ranges_that_select_nothing(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        ranges.parse_range(header, size)


@given(st.text(max_size=40), st.integers(0, 10**6))
def test_no_range_leaves_the_content(text: str, size: int) -> None:
    try:
        found = ranges.parse_range("bytes=" + text, size)
    except Unsatisfiable:
        return
    assert found is None or 0 <= found[0] < found[1] <= size


@pytest.mark.parametrize(
    ("header", "expected"),
    [("0-9", (0, 10)), ("bytes 5-9/*", (5, 10)), ("bytes 5-9/100", (5, 10)), (" 7-7 ", (7, 8))],
)
def test_content_ranges_of_chunks(header: str, expected: tuple[int, int]) -> None:
    assert expected == ranges.parse_content_range(header)


@pytest.mark.parametrize("header", ["", "9-0", "a-b", "-5", "5-", "1-2-3", "bytes */5"])
def test_malformed_content_ranges(header: str) -> None:
    with pytest.raises(MalformedRange):
        ranges.parse_content_range(header)


def test_chunks_and_content_ranges_read_back() -> None:
    assert ranges.parse_content_range(ranges.chunk_range(10, 20)) == (10, 20)
    assert ranges.parse_served(ranges.content_range(10, 20, 30)) == (10, 20, 30)
    assert ranges.unsatisfied(30) == "bytes */30"


@pytest.mark.parametrize("header", ["bytes 9-0/10", "bytes 0-10/10", "bytes */10", "0-1/2"])
def test_malformed_served_ranges(header: str) -> None:
    with pytest.raises(MalformedRange):
        ranges.parse_served(header)


@pytest.mark.parametrize("received", [0, 2, 1000])
def test_upload_ranges_read_back(received: int) -> None:
    assert received == ranges.parse_upload_range(ranges.upload_range(received))


@pytest.mark.parametrize("header", ["", "5-9", "0-", "none"])
def test_malformed_upload_ranges(header: str) -> None:
    with pytest.raises(MalformedRange):
        ranges.parse_upload_range(header)
