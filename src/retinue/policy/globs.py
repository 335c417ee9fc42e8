"""Globs: `*` is anything without a slash, `**` is anything; everything else is itself.

Matching takes time linear in the text for each star: no pattern can run away.
"""

import re

from msgspec import Struct

_STARS = re.compile(r"\*+")
MAX = 512


class BadGlob(ValueError):
    """The text is no glob; says why. Loading turns it into PolicyInvalid."""


class Glob(Struct, frozen=True):
    """A checked pattern; `parse` makes one."""

    text: str

    def matches(self, name: str) -> bool:
        """Whether all of `name` matches."""
        if self.text == "**":
            return True
        literals = _STARS.split(self.text)
        places = {len(literals[0])} if name.startswith(literals[0]) else set()
        for star, literal in zip(_STARS.findall(self.text), literals[1:], strict=True):
            places = _advance(name, places, literal, slashes=star == "**")
        return len(name) in places

    @property
    def literal(self) -> bool:
        return "*" not in self.text


def _advance(name: str, places: set[int], literal: str, *, slashes: bool) -> set[int]:
    """Where a star from one of `places` and then `literal` can end."""
    reached: set[int] = set()
    open_until = -1
    for start in range(len(name) + 1):
        if start in places:
            open_until = len(name) if slashes else _segment_end(name, start)
        if start <= open_until and name.startswith(literal, start):
            reached.add(start + len(literal))
    return reached


def _segment_end(name: str, start: int) -> int:
    slash = name.find("/", start)
    return len(name) if slash < 0 else slash


def parse(text: str) -> Glob:
    """A glob; raises BadGlob."""
    if not text or len(text) > MAX:
        raise BadGlob(f"a glob has 1 to {MAX} characters")
    if "***" in text:
        raise BadGlob("`***` means nothing; `*` stops at a slash, `**` does not")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise BadGlob("a glob has no white space")
    return Glob(text)


_IMAGES = re.compile(r"(?:\[[0-9a-f:.]+\]|[A-Za-z0-9.\-_*]+)(?::[0-9*]+)?(?:/[a-z0-9._*\-]+)*")


def parse_image(text: str) -> Glob:
    """A glob over HOST/REPOSITORY; raises BadGlob for one that can match no image."""
    glob = parse(text)
    if "@" in text:
        raise BadGlob("names HOST/REPOSITORY without a digest")
    if ":" in text[text.rfind("/") + 1 :] and "/" in text:
        raise BadGlob("names HOST/REPOSITORY without a tag")
    if not _IMAGES.fullmatch(text) or not ("**" in text or "/" in text):
        raise BadGlob("is no HOST/REPOSITORY with `*` and `**` in it, like reg.example/team/**")
    return glob
