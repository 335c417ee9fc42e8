"""What was established about one paper."""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from msgspec import Struct

from retinue.attest.proof import Format, TrustedTime
from retinue.oci.digest import Digest
from retinue.oci.links import Way
from retinue.papers.kinds import Kind

if TYPE_CHECKING:
    from retinue.attest.statement import Statement


class Verdict(StrEnum):
    """Of one paper that exists; "absent" is a property of a search."""

    VERIFIED = "verified"
    FAILED = "failed"
    UNREADABLE = "unreadable"
    NO_ANCHOR = "no anchor"
    UNSIGNED = "unsigned"


Claim: TypeAlias = str | int | float | bool | tuple[str, ...] | None
"""A value of a predicate that a rule compares. What is not there is not among the claims."""


class Fact(Struct, frozen=True):
    """One signature of one paper about one subject, or why there is none to speak of.

    Clock-free: windows, ages and revocations are applied by `decide`. A paper with several
    signatures (a `.sig` manifest) gives several facts. `claims`: what the policy asked for, by
    name (`builder`, `source`, `ref`, `build_type`, `components`, `purls`, `tag`, `tag.expires`),
    by JSON Pointer into the predicate, or by the name of a demand: what speaks against it, and
    nothing where it is satisfied. The other fields are those of `attest.proof.Proof`.
    """

    paper: Digest
    subject: Digest
    way: Way
    kind: Kind
    format: Format
    verdict: Verdict
    why: str
    predicate_type: str | None = None
    signature: str | None = None
    principal: str | None = None
    anchors: tuple[str, ...] = ()
    key: str | None = None
    times: tuple[TrustedTime, ...] = ()
    logged: bool = False
    reference: str | None = None
    annotations: Mapping[str, str] = {}
    certificate: Mapping[str, str] = {}
    claims: Mapping[str, Claim] = {}
    expires: datetime | None = None
    elsewhere: str | None = None
    """The repository it was found in, where that is not the subject's own."""
    aliases: tuple[Digest, ...] = ()
    """Other digests of the subject's bytes: SHA-256, where it is addressed by another one."""
    not_before: datetime | None = None
    not_after: datetime | None = None


class Demand(Protocol):
    """What a whole predicate must satisfy. `name`: what its claim is found by."""

    @property
    def name(self) -> str: ...

    def against(self, statement: "Statement", predicate: Any) -> tuple[str, ...]:
        """What speaks against a predicate (its JSON, read strictly); nothing: it satisfies this.

        Bounded, and it raises nothing: what cannot be found out speaks against it.
        """
        ...


Covers: TypeAlias = Callable[[Kind, str | None], bool]
"""Whether something is about papers of a kind and a predicate type."""


class Wanted(Struct, frozen=True):
    """What a policy reads of predicates: JSON Pointers (RFC 6901), the claims that typed views of
    provenance and of SBOMs make, and what it demands of the whole of some. To read a predicate
    takes longer than to verify it."""

    pointers: frozenset[str] = frozenset()
    provenance: bool = True
    sboms: bool = True
    demands: tuple[tuple[Covers, Demand], ...] = ()


class Findings(Struct, frozen=True):
    """Everything found about some subjects.

    `blind` names each way that could not be looked at, and each known paper that could not be
    read because bytes were missing or a limit was hit (trust.md 3, "not-looked"). `unreadable`
    papers are facts, not blindness: nobody authorised made them.
    """

    facts: tuple[Fact, ...]
    blind: Mapping[str, str]
