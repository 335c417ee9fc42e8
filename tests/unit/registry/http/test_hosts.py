"""Whom a request asks: said once, in a form that can be read, and under a name of ours."""

from pathlib import Path
from typing import Any

import pytest

import rsgi
from retinue.registry.config import Config
from retinue.registry.http import hosts
from retinue.registry.http.hosts import MAX_SEEN, Hosts, UnknownHost
from retinue.wire.authority import MalformedHost

NAME = "registry.example"
HASHES = Path("users")


def asked(*said: str, target: str | None = None, version: str = "1.1") -> rsgi.Scope:
    """A request with these Host lines; `target`: the authority of its target."""
    fields = rsgi.Fields([("host", each) for each in said])
    return rsgi.Scope(headers=fields, authority=target, http_version=version)


def answers(known: Hosts, scope: rsgi.Scope) -> bool:
    try:
        known.require(scope, scope.headers)
    except UnknownHost:
        return False
    return True


@pytest.mark.parametrize(
    "scope",
    [
        asked(),
        asked("a", "b"),
        asked("a", "a"),
        asked(""),
        asked("a b"),
        asked("a\tb"),
        asked("me@a"),
        asked("me:secret@a"),
        asked("a/b"),
        asked("a:port"),
        asked("a:99999"),
        asked("a:1:2"),
        asked("::1"),
        asked("[::1"),
        asked("[1.2.3.4]"),
        asked("[::g]:1"),
        asked("http://a"),
        asked("a,b@c"),
        asked("\xe9"),
        asked("a" * 256),
        asked("a", target="b"),
        asked("a", target="a:80"),
        asked(target="a"),
        asked("a", "b", version="1"),
        asked("a", target="b", version="2"),
        asked(target="me@a", version="2"),
    ],
)
def test_a_request_that_names_no_host_or_two_is_malformed(scope: rsgi.Scope) -> None:
    known = Hosts(None)
    with pytest.raises(MalformedHost):
        known.require(scope, scope.headers)
    assert not known.seen(scope, scope.headers)


@pytest.mark.parametrize(
    "scope",
    [
        asked(NAME),
        asked(f"{NAME}:5000"),
        asked(f"{NAME}:"),
        asked("REGISTRY.example."),
        asked(NAME, target=NAME.upper()),
        asked(target=f"{NAME}:1", version="2"),
        asked(NAME, target=NAME, version="2"),
        asked(NAME, version="1"),
    ],
)
def test_one_that_names_ours_is_answered_and_its_spelling_remembered(scope: rsgi.Scope) -> None:
    known = Hosts([NAME])
    assert not known.seen(scope, scope.headers)
    assert answers(known, scope)
    plain = scope.authority is None or not scope.headers.get_all("host")
    assert known.seen(scope, scope.headers) == plain


def test_what_is_remembered_has_a_bound() -> None:
    known = Hosts(None)
    for number in range(2 * MAX_SEEN):
        assert answers(known, asked(f"a{number}"))
    assert len(known._seen) <= MAX_SEEN


def test_a_good_name_does_not_excuse_a_second_one() -> None:
    known = Hosts(None)
    assert answers(known, asked("a"))
    for scope in (asked("a", "a"), asked("a", target="b"), asked("a", target="a")):
        assert not known.seen(scope, scope.headers)


LOOPBACK = ("localhost", "localhost:1", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000", "a.localhost")
OTHERS = ("evil.example", "10.0.0.1", "0.0.0.0:5000", "[fe80::1]", "localhost.evil.example")


@pytest.mark.parametrize(
    ("options", "known", "unknown"),
    [
        ({}, LOOPBACK, OTHERS),
        ({"rules": ("anonymous read *",)}, LOOPBACK, OTHERS),
        ({"external_url": f"https://{NAME}:8/x"}, (*LOOPBACK, NAME, f"{NAME}:9"), OTHERS),
        ({"hosts": (NAME, "::2")}, (*LOOPBACK, NAME, "[::2]:5000", "[0:0::2]"), OTHERS),
        ({"hosts": ("*",)}, (*LOOPBACK, *OTHERS), ()),
        ({"listen": "127.0.0.2:1"}, (*LOOPBACK, "127.0.0.2:1"), OTHERS),
        ({"htpasswd": HASHES}, (*LOOPBACK, *OTHERS), ()),
        ({"listen": "0.0.0.0:1"}, (*LOOPBACK, *OTHERS), ()),
        ({"listen": "0.0.0.0:1", "open": True}, (*LOOPBACK, *OTHERS), ()),
        ({"listen": "10.0.0.2:1", "hosts": (NAME,)}, (*LOOPBACK, NAME, "10.0.0.2:1"), OTHERS),
        ({"htpasswd": HASHES, "hosts": (NAME,)}, (*LOOPBACK, NAME), OTHERS),
    ],
)
def test_which_names_are_known(
    options: dict[str, Any], known: tuple[str, ...], unknown: tuple[str, ...]
) -> None:
    found = hosts.of(Config(data=Path("unused"), **options))
    assert [name for name in known if not answers(found, asked(name))] == []
    assert [name for name in unknown if answers(found, asked(name))] == []


def test_a_request_without_a_host_is_for_a_registry_with_any_name_only() -> None:
    assert answers(Hosts(None), asked(version="1"))
    assert not answers(Hosts([NAME]), asked(version="1"))


def test_the_error_says_what_to_do() -> None:
    assert "--hosts evil.example" in str(UnknownHost("evil.example"))
