"""What was established about one paper."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from retinue.attest.proof import Format, TrustedTime
from retinue.oci.digest import Digest
from retinue.oci.links import Way
from retinue.papers.kinds import Kind


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
    name (`builder`, `source`, `ref`, `build_type`, `components`, `purls`, `tag`, `tag.expires`)
    or by JSON Pointer into the predicate. The other fields are those of `attest.proof.Proof`.
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


class Wanted(Struct, frozen=True):
    """What a policy reads of predicates: JSON Pointers (RFC 6901), and the claims that typed views of
    provenance and of SBOMs make. To read a predicate takes longer than to verify it."""

    pointers: frozenset[str] = frozenset()
    provenance: bool = True
    sboms: bool = True


class Findings(Struct, frozen=True):
    """Everything found about some subjects.

    `blind` names each way that could not be looked at, and each known paper that could not be
    read because bytes were missing or a limit was hit (trust.md 3, "not-looked"). `unreadable`
    papers are facts, not blindness: nobody authorised made them.
    """

    facts: tuple[Fact, ...]
    blind: Mapping[str, str]
