"""What a signed predicate says that rules compare.

A predicate that cannot be read makes no claims: a rule that demands one is then not met.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

from retinue.attest.errors import Malformed
from retinue.attest.statement import Statement
from retinue.attest.target import Target
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.papers.facts import Claim, Demand, Wanted
from retinue.papers.kinds import Kind, kind_of_predicate


def claims_of(statement: Statement, target: Target, wanted: Wanted) -> Mapping[str, Claim]:
    """By name, by each JSON Pointer that is wanted and leads to a plain value, and by each demand."""
    found: dict[str, Claim] = {}
    viewed = partial(_viewed, wanted)
    for reader in (_READERS.get(statement.predicate_type, viewed), partial(_searched, wanted)):
        try:
            found.update(reader(statement, target))
        except Malformed:
            continue  # it does not have the shape of its type: nothing is claimed by that
    return found


def _searched(wanted: Wanted, statement: Statement, _: Target) -> Iterator[tuple[str, Claim]]:
    """What the predicate says as a document, whatever its type."""
    demands = list(_demanded(wanted, statement.predicate_type))
    if not wanted.pointers and not demands:
        return
    from retinue.attest.predicates.document import load

    document = load(statement.predicate)
    yield from _pointed(wanted, document)
    for demand in demands:
        yield demand.name, demand.against(statement, document)


def _demanded(wanted: Wanted, predicate_type: str) -> Iterable[Demand]:
    """Each once, although several rules may make it."""
    kind = kind_of_predicate(predicate_type)
    return {
        demand.name: demand for covers, demand in wanted.demands if covers(kind, predicate_type)
    }.values()


def _pointed(wanted: Wanted, document: Any) -> Iterator[tuple[str, Claim]]:
    from retinue.attest.predicates.pointer import lookup

    for pointer in sorted(wanted.pointers):
        for value in lookup(document, pointer):
            if value is None or isinstance(value, str | int | float | bool):
                yield pointer, value
            elif isinstance(value, list) and all(isinstance(item, str) for item in value):
                yield pointer, tuple(value)


def _viewed(wanted: Wanted, statement: Statement, _: Target) -> Iterator[tuple[str, Claim]]:
    """What the typed views tell."""
    asked = {Kind.PROVENANCE: wanted.provenance, Kind.SBOM: wanted.sboms}
    if not asked.get(kind_of_predicate(statement.predicate_type), False):
        return
    from retinue.attest.predicates.provenance import Provenance
    from retinue.attest.predicates.sbom import Sbom
    from retinue.attest.predicates.table import view

    said = view(statement.predicate_type, statement.predicate)
    if isinstance(said, Provenance):
        yield "builder", said.builder
        yield "build_type", said.build_type
        if said.source is not None:
            yield "source", said.source
        if said.ref is not None:
            yield "ref", said.ref
    elif isinstance(said, Sbom):
        yield "components", said.components
        yield "purls", said.purls


def _tag(statement: Statement, target: Target) -> Iterator[tuple[str, Claim]]:
    """Only for the image that it names itself, and for the place of its tag: a statement may have
    more subjects."""
    from retinue.papers.predicates import instant, read_tag, timestamp
    from retinue.papers.tagplace import place_of

    said = read_tag(statement.predicate)
    if not _is(said.digest, target):
        if target.digest != place_of(said.image, said.tag).manifest.digest:
            return
        yield "tag.digest", said.digest
    yield "tag", said.tag
    yield "tag.image", said.image
    yield "tag.time", instant(said.time)
    yield "tag.expires", timestamp(said.expires)


def _revocation(statement: Statement, target: Target) -> Iterator[tuple[str, Claim]]:
    from retinue.papers.predicates import REVOCATION, Fields, read_revocation, timestamp

    said = read_revocation(Fields.of(statement.predicate, "revocation", REVOCATION))
    if said.subject is not None and not _is(said.subject, target):
        return
    yield "revokes.signer", said.signer
    yield "revokes.reason", said.reason
    yield "revokes.compromise", said.compromise
    if said.predicate_type is not None:
        yield "revokes.predicate_type", said.predicate_type
    if said.signature is not None:
        yield "revokes.signature", said.signature
    if said.before is not None:
        yield "revokes.before", timestamp(said.before)


def _is(digest: Digest, target: Target) -> bool:
    return target.names_it({digests.algorithm(digest): digests.encoded(digest)})


_Reader: TypeAlias = Callable[[Statement, Target], Iterator[tuple[str, Claim]]]
_READERS: Mapping[str, _Reader] = {
    names.PREDICATE_TAG: _tag,
    names.PREDICATE_REVOCATION: _revocation,
}
