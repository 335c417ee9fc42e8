"""What a signed predicate says that rules compare.

A predicate that cannot be read makes no claims: a rule that demands one is then not met.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from retinue import strictjson
from retinue.attest.errors import Malformed
from retinue.attest.statement import Statement
from retinue.attest.target import Target
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.papers.facts import Claim, Wanted
from retinue.papers.predicates import REVOCATION, Fields, read_revocation, read_tag, timestamp
from retinue.strictjson import InvalidJson

MAX_PREDICATE = 16 * 1024 * 1024
"""Bytes of a predicate that pointers are followed in."""


def claims_of(statement: Statement, target: Target, wanted: Wanted) -> Mapping[str, Claim]:
    """By name, and by each JSON Pointer that is wanted and leads to a plain value."""
    found = dict(_pointed(statement.predicate, wanted))
    reader = _READERS.get(statement.predicate_type)
    if reader is not None:
        try:
            found.update(reader(statement.predicate, target))
        except Malformed:
            return found  # it does not have its type's shape: nothing is claimed by that
    return found


def _pointed(predicate: bytes, wanted: Wanted) -> Iterator[tuple[str, Claim]]:
    if not wanted.pointers or not predicate:
        return
    try:
        document = strictjson.loads(predicate, max_bytes=MAX_PREDICATE)
    except InvalidJson:
        return
    for pointer in sorted(wanted.pointers):
        for value in lookup(document, pointer):
            if value is None or isinstance(value, str | int | float | bool):
                yield pointer, value
            elif isinstance(value, list) and all(isinstance(item, str) for item in value):
                yield pointer, tuple(value)


def lookup(document: Any, pointer: str) -> Iterator[Any]:
    """The value that a JSON Pointer (RFC 6901) leads to; nothing where it leads nowhere."""
    value = document
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < 10:
            if int(name) >= len(value) or str(int(name)) != name:
                return
            value = value[int(name)]
        else:
            return
    yield value


def _tag(predicate: bytes, target: Target) -> Iterator[tuple[str, Claim]]:
    """Only for the image that it names itself: a statement may have more subjects."""
    said = read_tag(predicate)
    if _is(said.digest, target):
        yield "tag", said.tag
        yield "tag.image", said.image
        yield "tag.time", timestamp(said.time)
        yield "tag.expires", timestamp(said.expires)


def _revocation(predicate: bytes, target: Target) -> Iterator[tuple[str, Claim]]:
    said = read_revocation(Fields.of(predicate, "revocation", REVOCATION))
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


_READERS: Mapping[str, Callable[[bytes, Target], Iterator[tuple[str, Claim]]]] = {
    names.PREDICATE_TAG: _tag,
    names.PREDICATE_REVOCATION: _revocation,
}
