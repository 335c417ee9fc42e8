"""`cel`: an expression (https://cel.dev) over a statement that must be true.

The variables are `predicate` and `predicateType`. Nothing in it knows the time or anything else of
the world. The library bounds it: 10,000 iterations in all, 32 levels, expressions of RE2. It
still takes seconds where an author or a signer means it to, and nothing can stop it: therefore no
expression is evaluated where somebody waits for the answer.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from retinue.policy.demands import CEL, shown
from retinue.policy.errors import ExtraMissing, PolicyInvalid
from retinue.policy.model import PaperType

if TYPE_CHECKING:
    from retinue.attest.statement import Statement

MAX_PREDICATE = 4 * 1024 * 1024
"""Bytes of a predicate that expressions look into."""
MAX_TEXT = 200
_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")


class Program:
    """Compiled and checked; two of one text are the same."""

    field = CEL

    def __init__(self, text: str, expression: Any) -> None:
        self.text = text
        self.name = f"{CEL} {sha256(text.encode()).hexdigest()[:16]}"
        self._expression = expression

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return shown(self.text)

    def against(self, statement: "Statement", predicate: Any) -> tuple[str, ...]:
        if len(statement.predicate) > MAX_PREDICATE:
            return (f"is not evaluated: the predicate has more than {MAX_PREDICATE} bytes",)
        if b"\\u0000" in statement.predicate or "\0" in statement.predicate_type:
            return ("is not evaluated: a text has the character U+0000, where the library ends",)
        data = {"predicate": predicate, "predicateType": statement.predicate_type}
        kind, value = self._evaluated(data)
        if kind == "BOOL":
            return () if value is True else ("is false",)
        if kind == "ERROR":
            return (f"cannot be evaluated: {_line(str(value))}",)
        return (f"must be true or false, and gives {kind[:MAX_TEXT]}",)

    def _evaluated(self, data: Mapping[str, Any]) -> tuple[str, object]:
        """The name of the result's type, and the result; of an error its text."""
        try:
            result = self._expression.eval(data=data)
            return result.type().name(), result.value()
        except (RuntimeError, ValueError, LookupError) as problem:  # as the library has its errors
            return "ERROR", problem

    def doubts(self, about: PaperType) -> Iterator[str]:
        """What comes out without any values is no question of values."""
        kind, value = self._evaluated({})
        if kind == "BOOL":
            yield f"is {'true' if value else 'false'} whatever {about.name!r} says"


def compiled(text: str, path: str) -> Program:
    """An expression that can only be true or false, as far as types tell; raises PolicyInvalid."""
    try:
        expression = _environment().compile(text)
    except ImportError:
        raise ExtraMissing(path, "cel-expr-python", CEL) from None
    except (RuntimeError, ValueError, LookupError) as problem:
        raise PolicyInvalid(path, f"is no expression in CEL: {_where(str(problem))}") from None
    kind = expression.return_type().name()
    if kind not in {"BOOL", "DYN"}:
        reason = f"must be true or false, and gives {kind[:MAX_TEXT]}"
        raise PolicyInvalid(path, reason)
    return Program(text, expression)


def _where(problem: str) -> str:
    """What the library says, in a line, and where in the expression."""
    place = _PLACE.search(problem)
    if place is None:
        return _line(problem)
    return f"line {place[1]}, character {place[2]}: {_line(place[3])}"


def _line(text: str) -> str:
    return " ".join(text.split())[:MAX_TEXT]


@lru_cache(maxsize=1)
def _environment() -> Any:
    from cel_expr_python import cel  # type: ignore[import-untyped]

    return cel.NewEnv(variables={"predicate": cel.Type.DYN, "predicateType": cel.Type.STRING})
