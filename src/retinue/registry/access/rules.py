"""Who may do what to which repositories: rules that only ever add."""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from retinue.errors import RetinueError
from retinue.registry.access.principal import Principal

EVERYBODY = "anonymous"
"""In a rule: everybody, with or without credentials."""
USERS = "users"
"""In a rule: everybody who has logged in."""
DEFAULT = ("users write *",)
MAX_REMEMBERED = 4096


class Action(StrEnum):
    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"


RIGHTS = {
    "read": frozenset({Action.PULL}),
    "write": frozenset({Action.PULL, Action.PUSH, Action.DELETE}),
}

_GLOB = re.compile(r"[a-z0-9._/*?-]+")
_USER = re.compile(r"[^\s,:;]+")


class BadRule(RetinueError):
    """A rule that cannot be read; nothing is guessed where permissions are concerned."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(f"rule {rule!r}: {reason}; expected 'USER[,USER] read|write GLOB'")
        self.rule = rule
        self.reason = reason


class Rule(Struct, frozen=True):
    """`*` in `glob` stands for any characters, slashes included; `?` for one."""

    users: frozenset[str]
    actions: frozenset[Action]
    glob: str


def parse_rule(text: str) -> Rule:
    """Raises BadRule."""
    words = text.split()
    if len(words) != 3:
        raise BadRule(text, f"it has {len(words)} words")
    who, right, glob = words
    if right not in RIGHTS:
        raise BadRule(text, f"{right!r} is neither read nor write")
    if not _GLOB.fullmatch(glob):
        raise BadRule(text, f"{glob!r} is no pattern of repository names")
    users = who.split(",")
    if not all(_USER.fullmatch(user) for user in users):
        raise BadRule(text, f"{who!r} is no list of users")
    return Rule(frozenset(users), RIGHTS[right], glob)


def as_like(glob: str) -> str:
    r"""The glob as a pattern of SQL's LIKE with `\` as its escape."""
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


_END = "\x7f"
"""Comes after all that names are made of."""


def ranges(globs: Iterable[str]) -> list[tuple[str, str]]:
    """Where names can be that match one of these: after the first text, up to the second.

    In order, and apart from each other.
    """
    found: list[tuple[str, str]] = []
    for first, until in sorted(map(_range, globs)):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(until, found[-1][1])
        else:
            found.append((first, until))
    return found


def _range(glob: str) -> tuple[str, str]:
    begins = re.split(r"[*?]", glob, maxsplit=1)[0]
    before = f"{begins[:-1]}{chr(ord(begins[-1]) - 1)}{_END}" if begins else ""
    return before, glob if begins == glob else begins + _END


def _as_regex(globs: Iterable[str]) -> "re.Pattern[str]":
    parts = (
        "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in glob)
        for glob in globs
    )
    return re.compile("|".join(f"(?:{part})" for part in parts) or r"(?!)", re.DOTALL)


class Rules:
    """The rules in force, answering at the price of a look-up."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._patterns: dict[tuple[str, bool, Action], re.Pattern[str]] = {}
        self._known: dict[tuple[str, bool, Action, str], bool] = {}

    def globs(self, principal: Principal, action: Action) -> tuple[str, ...]:
        """The patterns of the repositories to which `principal` may do this."""
        return tuple(
            rule.glob
            for rule in self._rules
            if action in rule.actions and _concerns(rule, principal)
        )

    def allow(self, principal: Principal, action: Action, name: str) -> bool:
        key = (principal.name, principal.anonymous, action, name)
        known = self._known.get(key)
        if known is None:
            known = self._decide(principal, action, name)
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[key] = known
        return known

    def _decide(self, principal: Principal, action: Action, name: str) -> bool:
        key = (principal.name, principal.anonymous, action)
        pattern = self._patterns.get(key)
        if pattern is None:
            pattern = _as_regex(self.globs(principal, action))
            if len(self._patterns) >= MAX_REMEMBERED:
                self._patterns.clear()
            self._patterns[key] = pattern
        return pattern.fullmatch(name) is not None


def _concerns(rule: Rule, principal: Principal) -> bool:
    if EVERYBODY in rule.users:
        return True
    if principal.anonymous:
        return False
    return USERS in rule.users or principal.name in rule.users
