"""Pages of lists: `?n=&last=`, and `Link: <...>; rel="next"` (RFC 8288)."""

import re
from collections.abc import Iterable
from urllib.parse import urlencode

from msgspec import Struct

from retinue.errors import RetinueError

MAX_HEADER = 16 * 1024
"""Characters of a Link header that are read."""
MAX_LAST = 1024
"""Characters that `last` may have; longer than any tag or repository name."""

_LINK = re.compile(r"<([^<>]*)>((?:[^,\"<]|\"(?:[^\"\\]|\\.)*\")*)")
_REL = re.compile(r";[ \t]*rel[ \t]*=[ \t]*(?:\"([^\"]*)\"|([^\s;,]+))", re.IGNORECASE)


class InvalidPage(RetinueError):
    """`n` is no number of entries, or `last` is longer than any name."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__(f"query parameter {name}={value[:80]!r} cannot be read")
        self.name = name
        self.value = value


class Page(Struct, frozen=True):
    """At most `n` entries after `last` (exclusive; None: from the start)."""

    n: int
    last: str | None


def parse_page(n: str | None, last: str | None, *, default: int, maximum: int) -> Page:
    """A page as asked for, `n` clamped to `maximum`; raises InvalidPage. `n=0` is legal."""
    if last is not None and len(last) > MAX_LAST:
        raise InvalidPage("last", last)
    if n is None:
        return Page(default, last)
    if not (n.isascii() and n.isdigit() and len(n) <= 18):
        raise InvalidPage("n", n)
    return Page(min(int(n), maximum), last)


def next_link(path: str, **params: str | int) -> str:
    """The value of a `Link` header that points at the next page."""
    return f'<{path}?{urlencode(params)}>; rel="next"'


def parse_next(headers: Iterable[str]) -> str | None:
    """The target of the first link with `rel=next`: a URL, usually relative."""
    for header in headers:
        for match in _LINK.finditer(header[:MAX_HEADER]):
            rel = _REL.search(match[2])
            if rel and "next" in (rel[1] or rel[2] or "").lower().split():
                return match[1]
    return None
