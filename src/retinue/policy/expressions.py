"""Regular expressions that cannot run away: google-re2, always against the whole text."""

from functools import lru_cache
from typing import Any

from retinue.policy.errors import PolicyInvalid

MAX = 1000
"""Characters of an expression."""


@lru_cache(maxsize=256)
def compiled(expression: str) -> Any:
    """An re2 pattern; raises `re2.error` for one that re2 does not take."""
    import re2  # type: ignore[import-untyped]

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return re2.compile(expression, options=options)


def check(expression: str, path: str) -> str:
    """The expression, if re2 takes it; raises PolicyInvalid: look-around and references to groups
    need time that nobody can bound."""
    import re2

    if len(expression) > MAX:
        raise PolicyInvalid(path, f"has more than {MAX} characters")
    try:
        compiled(expression)
    except re2.error as problem:
        text = problem.args[0] if problem.args else problem
        said = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        raise PolicyInvalid(path, f"is no expression that re2 takes: {said[:200]}") from None
    return expression


def matches(expression: str, text: str) -> bool:
    """Whether all of the text matches an expression that `check` has passed."""
    return compiled(expression).fullmatch(text) is not None
