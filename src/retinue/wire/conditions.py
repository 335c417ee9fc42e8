"""Conditions of a request on what it selects (RFC 9110 section 13), for content without a date.

A digest is a strong validator, and nothing here has a modification date: of the conditions those
with entity tags are left, and a date matches nothing (13.1.3, 13.1.4) or not (13.1.5).
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from retinue.errors import RetinueError

MAX_LIST = 16 * 1024
"""Characters of a list of entity tags that are read; a longer one is malformed."""

_ITEM = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"[ \t]*(?:,[ \t,]*|$)')


class MalformedCondition(RetinueError):
    """If-Match or If-None-Match is no list of entity tags, and no `*`."""

    def __init__(self, value: str) -> None:
        super().__init__(f"{value[:80]!r} is no list of entity tags")
        self.value = value


class PreconditionFailed(RetinueError):
    """If-Match names something else than what is here. `etag` is that of what is."""

    def __init__(self, etag: str) -> None:
        super().__init__(f"If-Match does not hold: what is here is {etag}")
        self.etag = etag


class Tag(NamedTuple):
    """An entity tag (RFC 9110 8.8.3)."""

    weak: bool
    opaque: str


def entity_tags(lines: Sequence[str]) -> tuple[Tag, ...] | None:
    """The tags of a header, over all its lines; None for `*`. Raises MalformedCondition."""
    value = ",".join(lines).strip(" \t,")
    if value == "*":
        return None
    if not value or len(value) > MAX_LIST:
        raise MalformedCondition(value)
    found: list[Tag] = []
    position = 0
    while position < len(value):
        tag = _ITEM.match(value, position)
        if tag is None:
            raise MalformedCondition(value)
        found.append(Tag(tag[1] is not None, tag[2]))
        position = tag.end()
    return tuple(found)


def strong(tags: Iterable[Tag]) -> frozenset[str]:
    """What these may be equal to where a weak tag equals nothing (If-Match, If-Range)."""
    return frozenset(tag.opaque for tag in tags if not tag.weak)


def weak(tags: Iterable[Tag]) -> frozenset[str]:
    """What these may be equal to where weakness does not count (If-None-Match)."""
    return frozenset(tag.opaque for tag in tags)


def require_match(lines: Sequence[str], opaque: str) -> None:
    """If-Match on what exists (13.1.1); raises PreconditionFailed, MalformedCondition."""
    tags = entity_tags(lines)
    if tags is not None and opaque not in strong(tags):
        raise PreconditionFailed(f'"{opaque}"')


def none_matches(lines: Sequence[str], opaque: str) -> bool:
    """Whether If-None-Match on what exists holds (13.1.2): if not, a reader has it already.

    What cannot be read excludes nothing: the answer is then the whole content.
    """
    try:
        tags = entity_tags(lines)
    except MalformedCondition:
        return True
    return tags is not None and opaque not in weak(tags)


def same(lines: Sequence[str], opaque: str) -> bool:
    """Whether If-Range says that the client has a part of this (13.1.5): one strong tag."""
    return len(lines) == 1 and lines[0].strip() == f'"{opaque}"'
