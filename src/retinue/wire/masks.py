"""Secrets that stand in URLs, before people or logs see these.

What cannot be told from a secret is taken for one: the values of all parameters but a few that are
known to be none, whatever follows a `#`, and who logs in with a name alone beyond databases.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote

MASK = "***"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>]+")
_PARTS = re.compile(
    r"(?P<scheme>[^:]+://)(?:(?P<who>[^?#]*)@)?(?P<place>[^?#]*)(?P<rest>.*)", re.DOTALL
)
_PARAMETER = re.compile(r"(?P<mark>[?&;])(?P<key>[^=&;#]*)(?P<value>=[^&;#]*)?")
_DATABASES = ("postgresql://", "postgres://")
_HARMLESS = frozenset(
    {
        *("host", "hostaddr", "port", "dbname", "user", "application_name", "connect_timeout"),
        *("sslmode", "sslrootcert", "target_session_attrs", "client_encoding"),
        *("channel_binding", "gssencmode", "keepalives"),
    }
)
SHORTEST = 4
"""Characters of a secret that is looked for in other texts; a shorter one is part of any text."""


def masked(text: str) -> str:
    """The text with all that may be secret in its URLs replaced."""
    if "://" not in text:
        return text
    return _URL.sub(lambda found: _masked(found[0], []), text)


def secrets(text: str) -> frozenset[str]:
    """What `masked` replaces in it, as written and as meant."""
    found: list[str] = []
    _URL.sub(lambda url: _masked(url[0], found), text)
    return frozenset(each for each in _forms(found) if len(each) >= SHORTEST)


def _forms(found: list[str]) -> Iterator[str]:
    for each in found:
        yield each
        yield unquote(each)


def _masked(url: str, found: list[str]) -> str:
    parts = _PARTS.fullmatch(url)
    assert parts is not None
    who = "" if parts["who"] is None else f"{_who(parts['scheme'], parts['who'], found)}@"
    return f"{parts['scheme']}{who}{parts['place']}{_rest(parts['rest'], found)}"


def _who(scheme: str, who: str, found: list[str]) -> str:
    name, colon, password = who.partition(":")
    if colon:
        found.append(password)
        return f"{name}:{MASK}"
    if scheme.lower() in _DATABASES:
        return name
    found.append(name)
    return MASK


def _rest(rest: str, found: list[str]) -> str:
    query, mark, fragment = rest.partition("#")
    if mark:
        found.append(fragment)

    def parameter(each: re.Match[str]) -> str:
        key, value = each["key"], each["value"]
        if key in _HARMLESS or not (key or value):
            return each[0]
        found.append(key if value is None else value[1:])
        return each["mark"] + (MASK if value is None else f"{key}={MASK}")

    return _PARAMETER.sub(parameter, query) + (f"#{MASK}" if mark else "")
