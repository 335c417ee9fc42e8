"""Results of tests.

https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
"""

from msgspec import Struct

from retinue.attest.errors import Malformed
from retinue.attest.predicates.document import Object

RESULTS = frozenset({"PASSED", "WARNED", "FAILED"})


class Results(Struct, frozen=True):
    """`result` is PASSED, WARNED or FAILED; the rest are names of tests."""

    result: str
    url: str | None
    passed: tuple[str, ...]
    warned: tuple[str, ...]
    failed: tuple[str, ...]


def read(_: str, predicate: bytes) -> Results:
    """Raises Malformed."""
    said = Object.of(predicate)
    result = said.needed("result")
    if result not in RESULTS:
        raise Malformed(
            "predicate", f"/result is {result[:40]!r}; want one of PASSED, WARNED, FAILED"
        )
    return Results(
        result,
        said.text("url"),
        said.texts("passedTests"),
        said.texts("warnedTests"),
        said.texts("failedTests"),
    )
