"""Globs: `*` stops at a slash, `**` does not, and nothing runs away."""

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from references import REFERENCES
from retinue.oci.reference import parse as parse_reference
from retinue.policy.globs import BadGlob, parse, parse_image


@pytest.mark.parametrize(
    ("glob", "name", "matches"),
    [
        ("reg.acme/app", "reg.acme/app", True),
        ("reg.acme/app", "reg.acme/apple", False),
        ("reg.acme/app", "xreg.acme/app", False),
        ("reg.acme/*", "reg.acme/app", True),
        ("reg.acme/*", "reg.acme/", True),
        ("reg.acme/*", "reg.acme/team/app", False),
        ("reg.acme/**", "reg.acme/team/app", True),
        ("reg.acme/**", "reg.acme", False),
        ("**", "anything/at:all", True),
        ("*/app", "reg.acme/app", True),
        ("**/app", "reg.acme/team/app", True),
        ("**/a*p", "reg/team/aXXp", True),
        ("**/a*p", "reg/ap/x", False),
    ],
)
def test_what_matches(glob: str, name: str, matches: bool) -> None:
    assert parse(glob).matches(name) is matches


@settings(deadline=None)
@given(st.text("ab/*", min_size=1, max_size=8), st.text("ab/", max_size=12))
def test_it_means_what_the_expression_means(text: str, name: str) -> None:
    if "***" in text:
        return
    tokens = re.split(r"(\*\*|\*)", text)
    expression = "".join({"*": "[^/]*", "**": ".*"}.get(t, re.escape(t)) for t in tokens)

    assert parse(text).matches(name) is (re.fullmatch(expression, name) is not None)


def test_many_stars_take_no_time() -> None:
    assert not parse("a**" * 100 + "b").matches("a" * 5000)


@pytest.mark.parametrize("text", ["", "a***b", "a b", "a\nb", "a" * 513, "a\x00"])
def test_what_is_no_glob(text: str) -> None:
    with pytest.raises(BadGlob):
        parse(text)


@pytest.mark.parametrize(
    "text", ["reg.acme/**", "**", "*/app", "localhost:5000/a/*", "[::1]:5000/a", "reg:*/a"]
)
def test_what_names_images(text: str) -> None:
    assert parse_image(text).text == text


@pytest.mark.parametrize(
    "text", ["app", "reg.acme/app:v1", "reg.acme/app@sha256:0", "reg.acme/App", "reg.acme/a?", "*"]
)
def test_what_can_name_none(text: str) -> None:
    with pytest.raises(BadGlob):
        parse_image(text)


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("index.docker.io/acme/app", "write docker.io/acme/app"),
        ("docker.io/nginx", "write docker.io/library/nginx"),
        ("docker.io/*", "write docker.io/library/*"),
        ("docker.io/ngin*", "write docker.io/library/ngin*"),
        ("index.docker.io/**", "write docker.io/**"),
        ("REG.acme/**", "write reg.acme/**"),
        ("reg.acme:443/prod/**", "write reg.acme/prod/**"),
        ("localhost:80/*", "write localhost/*"),
        ("docker.io:443/library/*", "write docker.io/library/*"),
        ("[0:0::1]:5000/a", "write [::1]:5000/a"),
        ("acme/app", "write docker.io/acme/app"),
        ("acme/**", "write docker.io/acme/**"),
        ("*.acme/-x", "lower case"),
        ("reg.acme/___*", "lower case"),
        ("reg.acme:*0000000/**", "lower case"),
    ],
)
def test_what_no_canonical_name_matches(text: str, instead: str) -> None:
    with pytest.raises(BadGlob) as caught:
        parse_image(text)
    assert instead in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "docker.io**", "docker.io/**", "docker.io/*/*", "docker.io/library/*", "*:443/a", "**/app",
        "reg.acme:44*/**", "reg.acme**", "reg:5000/**", "reg:443/a", "1*/app",
    ],
)  # fmt: skip
def test_what_some_canonical_name_matches(text: str) -> None:
    assert parse_image(text).text == text


@settings(deadline=None)
@given(REFERENCES, st.data())
def test_a_glob_that_matches_a_name_is_never_refused(name: str, data: st.DataObject) -> None:
    image = parse_reference(name).place
    assume("[" not in image)
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(image))] * 2)))
    glob = f"{image[:start]}**{image[end:]}"

    assert parse_image(glob).matches(image)
