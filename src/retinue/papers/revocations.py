"""What was revoked: the value that a policy judges by. Lists are read and made in `revoke.py`.

A paper's digest cannot be revoked: the same signature attached again has another one. What can be is
what a signer said of a subject.
"""

from collections.abc import Collection
from datetime import datetime

from msgspec import Struct

from retinue.oci.digest import Digest
from retinue.papers.facts import Fact, Verdict
from retinue.papers.kinds import Kind


class Revocation(Struct, frozen=True):
    """What no longer counts: what `signer` said of `subject`.

    `signer` is a principal as facts name it, or a key's fingerprint (`sha256:<hex>` of its SPKI),
    which is the same for everybody. `subject`, `predicate_type`, `signature` (an id as in facts)
    None: any. `before` None: whenever it was signed.

    With `compromise`, `before` is when the key was lost: what has a trusted time before that still
    counts. Without, `before` voids only what was signed before it. All times of signatures are
    upper bounds (anybody can have an old signature stamped again), so no stamp shows that one was
    made later: only a keyless signer's certificate does, whose key was not there before.
    """

    signer: str
    reason: str
    subject: Digest | None = None
    predicate_type: str | None = None
    signature: str | None = None
    before: datetime | None = None
    compromise: bool = False

    def voids(self, fact: Fact, signed: datetime | None) -> bool:
        """Whether it voids a fact. `signed` is when it was made, by clocks that are believed; None:
        nobody who is believed says so."""
        return (
            self.signer in {fact.principal, fact.key}
            and self.subject in {None, fact.subject, *fact.aliases, fact.claims.get("tag.digest")}
            and self.predicate_type in {None, fact.predicate_type}
            and self.signature in {None, fact.signature}
            and self._in_time(fact, signed)
        )

    def _in_time(self, fact: Fact, signed: datetime | None) -> bool:
        if self.before is None:
            return True
        if self.compromise:
            return signed is None or signed >= self.before
        return not (self._dated(fact) and fact.not_before and fact.not_before >= self.before)

    @staticmethod
    def _dated(fact: Fact) -> bool:
        """Whether the certificate's key was made with it, and signs nothing else."""
        return fact.principal is not None and fact.principal.startswith("keyless:")


class Revocations(Struct, frozen=True):
    """One version of a signed list. `fingerprint`: `sha256:<hex>` of the signed statement.

    `predecessor` is the fingerprint of the version before; None for the first. `signed` is what was
    established of its signature; None: nothing was, and no rule believes it.
    """

    name: str
    version: int
    issued: datetime
    expires: datetime
    entries: tuple[Revocation, ...]
    fingerprint: str
    predecessor: str | None = None
    signed: Fact | None = None

    def voids(self, fact: Fact, signed: datetime | None) -> Revocation | None:
        """The first entry that voids it; None: none does."""
        return next((entry for entry in self.entries if entry.voids(fact, signed)), None)


def entitled(paper: Fact, fact: Fact, revokers: Collection[str], *, own: bool) -> Collection[str]:
    """The anchors by which a revocation paper may speak of a fact; none: it may not.

    By those in `revokers` of anybody's; with `own`, by any signer of what he signed himself, under
    the same anchor: others may certify the same name.
    """
    found = frozenset(paper.anchors).intersection(revokers)
    if found or not own or paper.claims.get("revokes.signer") not in {paper.principal, paper.key}:
        return found
    return frozenset(paper.anchors).intersection(fact.anchors)


def stated(fact: Fact) -> Revocation | None:
    """What a verified paper revokes, if it may; None: it is no revocation.

    A paper's subject is what it revokes signatures of: it cannot revoke any others. That none is
    found proves nothing: whoever lists papers can leave one out.
    """
    signer = fact.claims.get("revokes.signer")
    if fact.kind is not Kind.REVOCATION or fact.verdict is not Verdict.VERIFIED:
        return None
    if not isinstance(signer, str):
        return None
    before = _text(fact, "before")
    return Revocation(
        signer,
        _text(fact, "reason") or "",
        fact.subject,
        _text(fact, "predicate_type"),
        _text(fact, "signature"),
        datetime.fromisoformat(before) if before is not None else None,
        fact.claims.get("revokes.compromise") is True,
    )


def _text(fact: Fact, name: str) -> str | None:
    value = fact.claims.get(f"revokes.{name}")
    return value if isinstance(value, str) else None
