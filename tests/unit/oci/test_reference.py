"""What a user types to name content."""

import socket
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from references import REFERENCES, SPELLINGS
from retinue.oci import digest as digests
from retinue.oci import hosts
from retinue.oci.reference import (
    DockerArchive,
    InvalidReference,
    Layout,
    Location,
    OciArchive,
    Reference,
    parse,
    parse_location,
    valid_name,
    valid_tag,
)

D = digests.of(b"")


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag", "digest"),
    [
        ("busybox", "docker.io", "library/busybox", None, None),
        ("busybox:1.36", "docker.io", "library/busybox", "1.36", None),
        ("docker.io/busybox", "docker.io", "library/busybox", None, None),
        ("index.docker.io/busybox", "docker.io", "library/busybox", None, None),
        ("user/app", "docker.io", "user/app", None, None),
        ("localhost/app", "localhost", "app", None, None),
        ("localhost:5000/a/b:t", "localhost:5000", "a/b", "t", None),
        ("localhost:5000", "docker.io", "library/localhost", "5000", None),
        ("ghcr.io/o/r", "ghcr.io", "o/r", None, None),
        ("[::1]:5000/app", "[::1]:5000", "app", None, None),
        (f"h.io/a@{D}", "h.io", "a", None, D),
        (f"h.io/a:t@{D}", "h.io", "a", "t", D),
        ("123/app", "docker.io", "123/app", None, None),
    ],
)
def test_parse(
    text: str, host: str, repository: str, tag: str | None, digest: digests.Digest
) -> None:
    reference = parse(text)
    assert Reference(host, repository, tag, digest) == reference
    assert reference == parse(str(reference)) == parse_location(text)


@pytest.mark.parametrize(
    ("text", "place"), [(text, place) for place, texts in SPELLINGS.items() for text in texts]
)
def test_one_place_has_one_spelling(text: str, place: str) -> None:
    assert parse(text).place == place
    assert parse(f"{text}:v1") == parse(f"{place}:v1")


@given(
    st.one_of(
        REFERENCES,
        st.from_regex(r"[A-Za-z0-9.\[\]:-]{1,12}/[a-z]{1,3}", fullmatch=True),
        st.text(max_size=20).map("{}/app".format),
    )
)
def test_what_is_canonical_is_read_again_as_the_same(text: str) -> None:
    try:
        reference = parse(text)
    except InvalidReference:
        return
    assert parse(reference.place) == replace(reference, tag=None, digest=None)
    assert parse(str(reference)) == reference


@pytest.mark.parametrize(
    "text",
    [
        "1.2.3.4.5/app", "256.0.0.1/app", "0x:5/app", "a.09/app", "[::1%25lo]/app", "[::g]/app",
        "[]/app", "stra\u00dfe.example/app", "a\u200db.example/app", "reg.acme\uff1a443/app",
        "reg..acme/app", "reg.acme../app", "./app", "[::1/app", "::1]/app", "reg.acme:/app",
    ],
)  # fmt: skip
def test_refuses_hosts(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a valid repository name"),
        ("Busybox", "must be lower case"),
        ("a//b", "not a valid repository name"),
        ("a..b", "not a valid"),
        ("a/b:", "not a valid tag"),
        ("a/b:t:u", "not a valid tag"),
        ("a/b:" + "t" * 129, "not a valid tag"),
        ("a@sha256:abc", "needs 64"),
        ("a@", "not of the form"),
        ("h.io:0/a", "host"),
        ("h.io:65536/a", "host"),
        ("h.io:x/a", "host"),
        ("-h.io/a", "host"),
        ("h" * 300 + ".io/a", "host"),
        ("h.io/" + "a" * 256, "256 characters"),
        ("h.io/a\n", "not a valid"),
    ],
)
def test_refuses(text: str, reason: str) -> None:
    with pytest.raises(InvalidReference, match=reason) as caught:
        parse(text)
    assert text == caught.value.text


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("oci:dir", Layout("dir")),
        ("oci:/a/b.c:v1", Layout("/a/b.c", "v1")),
        (f"oci:d@{D}", Layout("d", None, D)),
        (f"oci:d:t@{D}", Layout("d", "t", D)),
        ("oci:/a:b/c", Layout("/a:b/c")),
        ("oci:a@b", Layout("a@b")),
        ("oci-archive:a/x.tar:t", OciArchive("a/x.tar", "t")),
        ("docker-archive:x.tar", DockerArchive("x.tar")),
        ("oci:5000/app", Reference("oci:5000", "app")),
        ("ocu:1", Reference("docker.io", "library/ocu", "1")),
    ],
)
def test_stores_on_disk(text: str, location: Location) -> None:
    assert location == parse_location(text)
    if not isinstance(location, Reference):
        assert text == str(location)


@pytest.mark.parametrize("text", ["oci:", "oci::t", "oci:d:", "oci:d:a b", "oci:a\0b"])
def test_refuses_stores_without_path_or_with_a_bad_tag(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse_location(text)


def test_the_digest_decides_then_the_tag_then_latest() -> None:
    assert [parse(t).target for t in (f"a:t@{D}", "a:t", "a")] == [D, "t", "latest"]


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("a", True),
        ("a/b/c", True),
        ("a.b/c_d/e__f/g-h/i---j", True),
        ("0/1", True),
        ("a" * 255, True),
        ("a" * 256, False),
        ("", False),
        ("/a", False),
        ("a/", False),
        ("a//b", False),
        ("A", False),
        ("a___b", False),
        ("a..b", False),
        ("a._b", False),
        ("-a", False),
        ("a-", False),
        ("a\n", False),
        ("é", False),
        ("a/../b", False),
    ],
)
def test_names(name: str, valid: bool) -> None:
    assert valid == valid_name(name)


@pytest.mark.parametrize(
    ("tag", "valid"),
    [("t", True), ("_", True), ("A.b-c_1", True), ("t" * 128, True), ("t" * 129, False)]
    + [(bad, False) for bad in ("", ".t", "-t", "a:b", "a/b", "a b", "a\n", "é")],
)
def test_tags(tag: str, valid: bool) -> None:
    assert valid == valid_tag(tag)


@given(st.text(max_size=60) | st.text(alphabet="ab.:/@_-[]1", max_size=40))
def test_any_text_is_parsed_or_refused_and_what_is_parsed_round_trips(text: str) -> None:
    with suppress(InvalidReference):
        location = parse_location(text)
        assert location == parse_location(str(location))


def test_a_long_name_with_many_separators_is_refused_quickly() -> None:
    assert not valid_name("a-" * 127)
    assert not valid_name("a" + "--a" * 84 + "!")


@given(
    st.from_regex(
        r"(0x[0-9a-f]{0,9}|0?[0-9]{1,11})(\.(0x[0-9a-f]{0,4}|0?[0-9]{1,4})){0,4}", fullmatch=True
    )
)
def test_addresses_are_read_as_resolvers_read_them(text: str) -> None:
    try:
        wanted = socket.inet_ntoa(socket.inet_aton(text))
    except OSError:
        wanted = None
    try:
        assert hosts.canonical(f"{text}:5") == f"{wanted}:5"
    except hosts.BadHost:
        assert wanted is None or "0x." in f"{text}."
