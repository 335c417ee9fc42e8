"""What an attestation must be as a whole: `schema` and `cel`, beside `where` and the typed views."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from msgspec import Struct

from retinue.policy.anchors import Files
from retinue.policy.decision import Operation
from retinue.policy.fields import Table
from retinue.policy.model import Demand, PaperType

if TYPE_CHECKING:
    from retinue.attest.statement import Statement

Compile: TypeAlias = Callable[[str, str], Demand]
"""Makes an expression in CEL usable, given it and its path in the policy; raises PolicyInvalid."""

WAITED_FOR = frozenset({Operation.PULL, Operation.ADMISSION})
"""Operations in which a deadline runs: rules about them must not have expressions."""

CEL = "cel"
MAX_LENGTH = 4096
"""Characters of an expression."""


class Unevaluated(Struct, frozen=True):
    """An expression in a program that evaluates none: no predicate satisfies it."""

    text: str
    field: ClassVar[str] = CEL
    name: ClassVar[str] = CEL

    def __str__(self) -> str:
        return shown(self.text)

    def against(self, statement: "Statement", predicate: Any) -> tuple[str, ...]:  # noqa: ARG002
        return ("is not evaluated here",)

    def doubts(self, about: PaperType) -> Iterator[str]:  # noqa: ARG002
        yield from ()


def shown(text: str) -> str:
    """An expression in a line of the trace."""
    line = " ".join(text.split())
    return f"{CEL} {line if len(line) <= 80 else f'{line[:79]}…'}"


def load(table: Table, files: Files, cel: Compile | None) -> Iterator[Demand]:
    """What `schema` and `cel` of a `[[rule.attestation]]` ask for; raises PolicyInvalid."""
    if table.has("schema"):
        from retinue.policy import schemas  # few policies have one

        yield schemas.load(table, files)
    if table.has(CEL):
        text = table.text(CEL)
        if len(text) > MAX_LENGTH:
            raise table.wrong(CEL, f"has more than {MAX_LENGTH} characters")
        yield Unevaluated(text) if cel is None else cel(text, table.at(CEL))
