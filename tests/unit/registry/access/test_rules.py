from itertools import pairwise

import pytest

from retinue.registry.access.principal import ANONYMOUS, Principal
from retinue.registry.access.rules import Action, BadRule, Rules, as_like, parse_rule, ranges

ALICE = Principal("alice")
BOB = Principal("bob")


def rules(*texts: str) -> Rules:
    return Rules([parse_rule(text) for text in texts])


@pytest.mark.parametrize(
    ("text", "who", "action", "name", "allowed"),
    [
        ("alice read team/*", ALICE, Action.PULL, "team/app", True),
        ("alice read team/*", ALICE, Action.PULL, "team/a/b", True),
        ("alice read team/*", ALICE, Action.PULL, "team", False),
        ("alice read team/*", ALICE, Action.PULL, "other/team/app", False),
        ("alice read team/*", ALICE, Action.PUSH, "team/app", False),
        ("alice read team/*", BOB, Action.PULL, "team/app", False),
        ("alice write team/*", ALICE, Action.PULL, "team/app", True),
        ("alice write team/*", ALICE, Action.PUSH, "team/app", True),
        ("alice write team/*", ALICE, Action.DELETE, "team/app", True),
        ("alice,bob read *", BOB, Action.PULL, "anything", True),
        ("users read *", BOB, Action.PULL, "anything", True),
        ("users read *", ANONYMOUS, Action.PULL, "anything", False),
        ("anonymous read pub/*", ANONYMOUS, Action.PULL, "pub/a", True),
        ("anonymous read pub/*", ALICE, Action.PULL, "pub/a", True),
        ("alice read a.b", ALICE, Action.PULL, "axb", False),
        ("alice read a?b", ALICE, Action.PULL, "axb", True),
        ("alice read a", ALICE, Action.PULL, "a\n", False),
    ],
)
def test_a_rule_allows_what_it_says_and_no_more(
    text: str, who: Principal, action: Action, name: str, allowed: bool
) -> None:
    assert allowed == rules(text).allow(who, action, name)


def test_rules_only_add() -> None:
    both = rules("alice read a/*", "alice write a/b")
    assert both.allow(ALICE, Action.PUSH, "a/b")
    assert not both.allow(ALICE, Action.PUSH, "a/c")


def test_without_rules_nothing_is_allowed() -> None:
    assert not rules().allow(ALICE, Action.PULL, "a")


def test_a_user_who_is_called_anonymous_by_his_name_alone_gains_nothing() -> None:
    named = Principal("anonymous", anonymous=True)
    assert not rules("alice read *").allow(named, Action.PULL, "a")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "alice read",
        "alice own *",
        "alice read A*",
        "al:ice read *",
        "a b c d",
        ", read *",
    ],
)
def test_a_rule_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadRule):
        parse_rule(text)


@pytest.mark.parametrize(
    ("glob", "like"), [("*", "%"), ("a_b/*", "a\\_b/%"), ("a?", "a_"), ("a.b", "a.b")]
)
def test_patterns_for_the_database(glob: str, like: str) -> None:
    assert like == as_like(glob)


def test_answers_are_remembered_within_bounds() -> None:
    some = rules("alice read a*")
    for number in range(10_000):
        assert some.allow(ALICE, Action.PULL, f"a{number}")
    assert len(some._known) <= 4096


@pytest.mark.parametrize(
    ("globs", "inside", "outside"),
    [
        (["team/*"], ["team/", "team/a", "team/zz/z"], ["team", "team-a/b", "teams", "tea", "z"]),
        (["team*"], ["team", "team/a", "teams"], ["tea", "tean"]),
        (["a/b"], ["a/b"], ["a/bc", "a/a", "a"]),
        (["*"], ["a", "zz/9"], []),
        (["*-x", "b/*"], ["a", "b/c", "z"], []),
        (["a/?", "c/*"], ["a/b", "c/x"], ["b", "b/c", "d"]),
        ([], [], ["a"]),
    ],
)
def test_ranges_hold_all_that_matches(
    globs: list[str], inside: list[str], outside: list[str]
) -> None:
    found = ranges(globs)
    assert found == sorted(found)
    assert all(one[1] < other[0] for one, other in pairwise(found))

    def within(name: str) -> bool:
        return any(after < name <= until for after, until in found)

    assert [name for name in inside if not within(name)] == []
    assert [name for name in outside if within(name)] == []
