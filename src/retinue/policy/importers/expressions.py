"""Go's regular expressions, which find a match anywhere, as ours, which match everything."""

import re

_ANYTHING = "(?s:.*)"
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")
_ESCAPED = re.compile(r"\\([\\.+*?()|\[\]{}^$/-])")


def whole(expression: str) -> str:
    """The same condition as a full match. What Go leaves open is open visibly."""
    if _has_alternatives(expression) or expression.endswith("\\$"):
        return f"{_ANYTHING}(?:{expression}){_ANYTHING}"
    start = expression.startswith("^")
    end = expression.endswith("$")
    body = expression[1 if start else 0 : len(expression) - (1 if end else 0)]
    return f"{'' if start else _ANYTHING}{body}{'' if end else _ANYTHING}"


def _has_alternatives(expression: str) -> bool:
    """Alternatives bind weaker than anchors; flags at the start reach further than a group."""
    return "|" in expression or expression.startswith(("(?", "^(?"))


def literal(expression: str) -> str | None:
    """The one text that an anchored expression without operators matches, else None."""
    if not (expression.startswith("^") and expression.endswith("$")):
        return None
    body = expression[1:-1]
    plain = _ESCAPED.sub("", body)
    if _META.search(plain):
        return None
    return _ESCAPED.sub(r"\1", body)
