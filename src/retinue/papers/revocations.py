"""What was revoked: the value that a policy judges by. Lists are read and made in `revoke.py`.

A paper's digest cannot be revoked: the same signature attached again has another one. What can be is
what a signer said of a subject.
"""

from collections.abc import Collection, Iterable
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

    def voids(self, fact: Fact) -> bool:
        return (
            self.signer in {fact.principal, fact.key}
            and self.subject in {None, fact.subject, *fact.aliases}
            and self.predicate_type in {None, fact.predicate_type}
            and self.signature in {None, fact.signature}
            and self._in_time(fact)
        )

    def _in_time(self, fact: Fact) -> bool:
        if self.before is None:
            return True
        if self.compromise:
            return not any(time.at < self.before for time in fact.times)
        return not (self._dated(fact) and fact.not_before and fact.not_before >= self.before)

    @staticmethod
    def _dated(fact: Fact) -> bool:
        """Whether the certificate's key was made with it, and signs nothing else."""
        return fact.principal is not None and fact.principal.startswith("keyless:")


class Revocations(Struct, frozen=True):
    """One version of a signed list. `fingerprint`: `sha256:<hex>` of the signed statement.

    `predecessor` is the fingerprint of the version before; None for the first.
    """

    name: str
    version: int
    issued: datetime
    expires: datetime
    entries: tuple[Revocation, ...]
    fingerprint: str
    predecessor: str | None = None

    def voids(self, fact: Fact) -> Revocation | None:
        """The first entry that voids it; None: none does."""
        return first_voiding(self.entries, fact)


def first_voiding(entries: Iterable[Revocation], fact: Fact) -> Revocation | None:
    """The first of these that voids the fact."""
    return next((entry for entry in entries if entry.voids(fact)), None)


def stated(
    facts: Iterable[Fact], revokers: Collection[str], *, own: bool
) -> tuple[Revocation, ...]:
    """The revocations that papers among these facts state with effect.

    By an anchor in `revokers` of anybody; with `own`, by any signer of what he signed himself.
    That none is found proves nothing: whoever lists papers can leave one out.
    """
    found = (_stated(fact, revokers, own=own) for fact in facts)
    return tuple(entry for entry in found if entry is not None)


def _stated(fact: Fact, revokers: Collection[str], *, own: bool) -> Revocation | None:
    """A paper's subject is what it revokes signatures of: it cannot revoke any others."""
    if fact.kind is not Kind.REVOCATION or fact.verdict is not Verdict.VERIFIED:
        return None
    signer = fact.claims.get("revokes.signer")
    entitled = any(anchor in revokers for anchor in fact.anchors)
    if not isinstance(signer, str) or not (
        entitled or (own and signer in {fact.principal, fact.key})
    ):
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
