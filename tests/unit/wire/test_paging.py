import pytest

from retinue.wire.paging import InvalidPage, Page, next_link, parse_next, parse_page


@pytest.mark.parametrize(
    ("n", "last", "expected"),
    [
        (None, None, Page(100, None)),
        ("0", "a", Page(0, "a")),
        ("7", None, Page(7, None)),
        ("999999", None, Page(1000, None)),
    ],
)
def test_pages(n: str | None, last: str | None, expected: Page) -> None:
    assert expected == parse_page(n, last, default=100, maximum=1000)


@pytest.mark.parametrize(
    ("n", "last"),
    [("-1", None), ("x", None), ("", None), ("²", None), ("9" * 99, None), ("1", "x" * 2000)],
)
def test_pages_that_cannot_be_read(n: str, last: str | None) -> None:
    with pytest.raises(InvalidPage):
        parse_page(n, last, default=100, maximum=1000)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (['</v2/x/tags/list?n=1&last=a>; rel="next"'], "/v2/x/tags/list?n=1&last=a"),
        (["<u>; rel=next"], "u"),
        (['<a>; rel="prev", <b>; title="x, y"; rel="last next"'], "b"),
        (['<a>; rel="prev"', "<b>;rel=next"], "b"),
        (["<a>"], None),
        ([], None),
        (["<a; rel=next"], None),
    ],
)
def test_next_links(headers: list[str], expected: str | None) -> None:
    assert expected == parse_next(headers)


def test_a_link_reads_back() -> None:
    assert parse_next([next_link("/v2/x", n=2, last="a+b")]) == "/v2/x?n=2&last=a%2Bb"
