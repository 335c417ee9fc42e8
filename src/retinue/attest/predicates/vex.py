"""OpenVEX: whether a product is affected by a vulnerability.

https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md
"""

from datetime import datetime

from msgspec import Struct

from retinue.attest.errors import Malformed
from retinue.attest.predicates.document import Object

STATUSES = frozenset({"not_affected", "affected", "fixed", "under_investigation"})


class VexStatement(Struct, frozen=True):
    """`products` are identifiers as they stand; empty: the document does not say."""

    vulnerability: str
    status: str
    products: tuple[str, ...]
    justification: str | None


class Vex(Struct, frozen=True):
    """A document, and who answers for it by his own word."""

    author: str
    issued: datetime | None
    statements: tuple[VexStatement, ...]


def read(_: str, predicate: bytes) -> Vex:
    """Raises Malformed."""
    said = Object.of(predicate)
    return Vex(
        said.needed("author"),
        said.time("timestamp"),
        tuple(map(_statement, said.objects("statements"))),
    )


def _statement(said: Object) -> VexStatement:
    status = said.needed("status")
    if status not in STATUSES:
        raise Malformed("predicate", f"{said.where('status')} is {status[:40]!r}")
    return VexStatement(
        _vulnerability(said),
        status,
        tuple(_product(said, item) for item in said.items("products")),
        said.text("justification"),
    )


def _vulnerability(said: Object) -> str:
    """A name, or (since 0.2) an object that has one."""
    if isinstance(said.value.get("vulnerability"), str):
        return said.needed("vulnerability")
    return said.object("vulnerability").needed("name")


def _product(said: Object, item: object) -> str:
    found = item if isinstance(item, str) else Object.at(item, said.where("products")).text("@id")
    return found or ""
