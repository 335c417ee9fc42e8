"""The signed list of revocations: what a version says, and how versions follow each other.

Whoever stores papers can leave one out. So authority is a list that revokers sign: each version names
the one before by the hash of what was signed, and clients keep the highest that they have seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from retinue.attest.anchors import Trust
from retinue.attest.errors import Malformed
from retinue.attest.proof import Proof
from retinue.attest.statement import Subject, write_statement
from retinue.attest.target import Target
from retinue.errors import RetinueError
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.links import Way
from retinue.papers.content import Content
from retinue.papers.facts import Fact, Verdict
from retinue.papers.kinds import Kind
from retinue.papers.predicates import (
    REVOCATION,
    Fields,
    dump,
    read_revocation,
    timestamp,
    write_revocation,
)
from retinue.papers.revocations import Revocation, Revocations

MAX_ENTRIES = 20_000
MAX_BYTES = 2_800_000
"""Of a list's statement, so that the bundle around it is still read as a whole."""
_LIST = ("name", "version", "issued", "expires", "predecessor", "entries")


class ListProblem(RetinueError):
    """A revocation list that must not be relied on; `name` says which."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"revocation list {name}: {reason}")
        self.name = name
        self.reason = reason


class ListRolledBack(ListProblem):
    """The newest version there is older than one that was seen before."""


class ListForked(ListProblem):
    """What is there does not continue what was seen before."""


class ListDisowned(ListProblem):
    """It is signed by a key that does not count."""


class ListLost(ListProblem):
    """A list, or a version between, that was there is not there."""


class Seen(Struct, frozen=True):
    """The highest version that a client has seen."""

    version: int
    fingerprint: str


def only(trust: Trust, revokers: Iterable[str]) -> Trust:
    """The trust in those who may sign the list."""
    wanted = set(revokers)
    anchors = tuple(anchor for anchor in trust.anchors if anchor.name in wanted)
    return Trust(anchors, trust.times, trust.roots)


def next_version(
    name: str,
    previous: Revocations | None,
    *,
    add: Sequence[Revocation] = (),
    undo: Sequence[Revocation] = (),
    issued: datetime,
    expires: datetime,
) -> bytes:
    """The statement of the version after `previous`, to be signed.

    `name` is where the list is kept, as policies write it: a list signed for another place does not
    count. Undone is what is equal to an entry. Raises ListProblem for a list that nobody could read.
    """
    if expires <= issued:
        raise ListProblem(name, f"it would expire at {expires}, before it is issued at {issued}")
    before = () if previous is None else previous.entries
    kept = [entry for entry in before if entry not in undo]
    predicate: dict[str, Any] = {
        "name": name,
        "version": 1 if previous is None else previous.version + 1,
        "issued": timestamp(issued),
        "expires": timestamp(expires),
    }
    if previous is not None:
        predicate["predecessor"] = previous.fingerprint
    entries = [*kept, *(entry for entry in add if entry not in kept)]
    predicate["entries"] = [write_revocation(entry) for entry in entries]
    about = Subject(name, {"sha256": digests.encoded(digests.of(name.encode()))}, {})
    statement = write_statement(names.PREDICATE_REVOCATIONS, dump(predicate), [about])
    if len(statement) > MAX_BYTES or len(entries) > MAX_ENTRIES:
        reason = (
            f"{len(entries)} entries of {len(statement)} bytes are too many: revoke keys instead"
        )
        raise ListProblem(name, reason)
    return statement


def verify_list(bundle: Content, name: str, revokers: Trust) -> Revocations:
    """A version of the list of this name that one of the revokers has signed.

    Raises EvidenceError.
    """
    from retinue.attest.verify import verify_bundle

    about = name.encode()
    proof = verify_bundle(bundle, Target(digests.of(about), "text/plain", about), revokers)
    found = read_list(bundle, name)
    return replace(found, signed=_signed(proof, found, digests.of(about)))


def _signed(proof: Proof, found: Revocations, about: Digest) -> Fact:
    """Who signed a list, and when, as rules judge it of any paper."""
    return Fact(
        paper=digests.parse(found.fingerprint),
        subject=about,
        way=Way.REFERRERS,
        kind=Kind.REVOCATION,
        format=proof.format,
        verdict=Verdict.VERIFIED,
        why="it verified",
        predicate_type=names.PREDICATE_REVOCATIONS,
        signature=proof.signature,
        principal=proof.principal,
        anchors=proof.anchors,
        key=proof.key,
        times=proof.times,
        logged=proof.logged,
        not_before=proof.not_before,
        not_after=proof.not_after,
    )


def read_list(bundle: Content, name: str) -> Revocations:
    """What a bundle says, whoever signed it; raises Malformed."""
    from retinue.attest.formats.bundle import read_bundle
    from retinue.attest.statement import read_statement

    envelope = read_bundle(bundle).envelope
    if envelope is None or not isinstance(envelope.payload, bytes):
        raise Malformed("revocation list", "has no statement of a bearable size")
    statement = read_statement(envelope.payload)
    if statement.predicate_type != names.PREDICATE_REVOCATIONS:
        raise Malformed("revocation list", f"is a {statement.predicate_type[:120]!r}")
    fingerprint = str(digests.of(envelope.payload))
    fields = Fields.of(statement.predicate, "revocation list", _LIST)
    if fields.text("name") != name:
        raise Malformed("revocation list", f"is called {fields.text('name')!r}, not {name!r}")
    return Revocations(
        name,
        fields.whole("version"),
        fields.time("issued"),
        fields.time("expires"),
        tuple(_entries(fields.values)),
        fingerprint,
        fields.maybe_text("predecessor"),
    )


def _entries(values: Mapping[str, Any]) -> Iterable[Revocation]:
    entries = values.get("entries")
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        reason = f"entries must be a list of at most {MAX_ENTRIES}"
        raise Malformed("revocation list", reason)
    return [read_revocation(Fields.within(each, "revocation", REVOCATION)) for each in entries]


def between(found: Revocations, seen: Seen | None) -> range:
    """The versions that have to be looked at to know that `found` continues what was seen.

    Raises ListRolledBack, ListForked.
    """
    if seen is None or (found.version, found.fingerprint) == (seen.version, seen.fingerprint):
        return range(0)
    if found.version < seen.version:
        reason = f"version {found.version} is there, but {seen.version} was seen before"
        raise ListRolledBack(found.name, reason)
    if found.version == seen.version:
        raise ListForked(found.name, f"there is another version {found.version} than was seen")
    return range(found.version - 1, seen.version, -1)


def check_chain(found: Revocations, older: Sequence[Revocations], seen: Seen | None) -> None:
    """That each version names the one before, down to the one that was seen; raises ListForked.

    `older` are those of `between`. Their signatures need not be checked: the newest one vouches for
    their hashes.
    """
    if seen is None or found.version == seen.version:
        return
    newer = found
    for version in older:
        _check_follows(newer, version.version, version.fingerprint)
        newer = version
    _check_follows(newer, seen.version, seen.fingerprint)


def _check_follows(newer: Revocations, version: int, fingerprint: str) -> None:
    if newer.version != version + 1 or newer.predecessor != fingerprint:
        reason = f"version {newer.version} does not continue the version {version} that is known"
        raise ListForked(newer.name, reason)
