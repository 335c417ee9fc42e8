"""Globs: `*` is anything without a slash, `**` is anything; everything else is itself.

Matching takes time linear in the text for each star: no pattern can run away.
"""

import re
from collections.abc import Iterator
from itertools import product

from msgspec import Struct

from retinue.oci.hosts import HUB
from retinue.oci.reference import InvalidReference
from retinue.oci.reference import parse as parse_reference

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


_IMAGES = re.compile(r"[A-Za-z0-9._\-*:\[\]/]+")
_ADDRESSES = re.compile(r"(?=[*.:]*[0-9])[0-9.:]*\*[0-9.:*]*(?:/|$)")
"""Parts of IPv4 addresses: too many ways to fill them."""
_FIRST_STAR = re.compile(r"(\*+)")
_ONE = ("a", "", "1")
_ANY = (*_ONE, "a/a", "/a", "/a/a", "1/a")
_FIRST = ("a.a", "localhost", "a:1")
"""What stars are filled with to see whether any image can match: each kind of host is among it."""


def parse_image(text: str) -> Glob:
    """A glob over HOST/REPOSITORY; raises BadGlob for one that can match no image."""
    glob = parse(text)
    if "@" in text:
        raise BadGlob("names HOST/REPOSITORY without a digest")
    if ":" in text[text.rfind("/") + 1 :] and "/" in text:
        raise BadGlob("names HOST/REPOSITORY without a tag")
    if not _IMAGES.fullmatch(text) or not ("**" in text or "/" in text):
        raise BadGlob("is no HOST/REPOSITORY with `*` and `**` in it, like reg.example/team/**")
    if not _ADDRESSES.match(text) and not any(map(_is_place, _filled(text))):
        raise BadGlob(f"can match no image{_instead(text)}")
    return glob


def parse_place(text: str) -> str:
    """HOST/REPOSITORY in the spelling that all that compares uses; raises BadGlob."""
    if not _is_place(text):
        raise BadGlob(f"is no HOST/REPOSITORY{_instead(text)}")
    return text


def parse_prefix(text: str) -> str:
    """How names of images may begin; raises BadGlob where none does."""
    if "*" in text or not any(map(_is_place, _filled(f"{text}**"))):
        raise BadGlob(f"{text[:160]!r} begins no image's name{_instead(text)}")
    return text


_RULE = ", since names are lower case, and hosts in their usual form"


def _filled(text: str) -> Iterator[str]:
    """Names that match, many enough that one of them is an image's name if any name is."""
    head, star, rest = (*_FIRST_STAR.split(text, 1), "", "")[:3]
    starts = {"": ("",), "*": (*_FIRST, *_ONE), "**": (*_FIRST, *_ANY, "a.a/a")}[star]
    for start, one, several in product(starts, _ONE, _ANY):
        filled = rest.replace("**", several).replace("*", one)
        yield f"{head}{start}{filled}"


def _is_place(name: str) -> bool:
    try:
        found = parse_reference(name)
    except InvalidReference:
        return False
    return found.place == name


def _instead(text: str) -> str:
    """How its author may have meant it."""
    head, _, rest = text.partition("/")
    try:
        if "*" not in text:
            return f": write {parse_reference(text).place}"
        head = parse_reference(f"{head}/a/a").place.removesuffix("/a/a")
    except InvalidReference:
        return _RULE
    between = "library/" if head == HUB and "/" not in rest and "**" not in rest else ""
    meant = f"{head}/{between}{rest}"
    return f": write {meant}" if any(map(_is_place, _filled(meant))) else _RULE
