"""What is asked of a policy, and what it answers."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from retinue.oci.digest import Digest
from retinue.oci.platform import Platform


class Operation(StrEnum):
    """What is about to happen to an image."""

    PULL = "pull"
    PROMOTE = "promote"
    REPLICATE = "replicate"
    ADMISSION = "admission"
    CLI = "cli"


class Request(Struct, frozen=True):
    """`image` is HOST/REPOSITORY as rules match it. `tag` is None for a pull by digest.

    `parents`: indexes that list the judged digest and are present, nearest first per chain, with
    their depth (1 = lists it directly); `children`: what the judged index lists, with platforms.
    """

    image: str
    digest: Digest
    operation: Operation
    tag: str | None = None
    platform: Platform | None = None
    parents: Mapping[Digest, int] = {}
    children: Mapping[Digest, Platform | None] = {}
    aliases: tuple[Digest, ...] = ()
    """Other digests of the judged bytes: SHA-256, where they are addressed by another one."""


class Outcome(StrEnum):
    """Of one check. `UNDECIDED`: unmet, and not all evidence could be looked at."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"
    NOT_APPLICABLE = "not applicable"
    IGNORED = "ignored"


class Reason(Struct, frozen=True):
    """One line of the trace: a rule's section, or a paper within it (`paper` set), and why.

    `enforced` is False for rules that only warn or audit: they are traced and refuse nothing.
    """

    rule: str
    check: str
    outcome: Outcome
    why: str
    paper: Digest | None = None
    enforced: bool = True


class Decision(Struct, frozen=True):
    """Allowed or refused, with a reason for every rule and every paper.

    `undecided`: refused because something could not be looked at (an exit code of its own).
    `valid_until`: the earliest instant at which time alone may change the answer.
    `epoch` is the policy's (digest of file, roots, list version).
    """

    allowed: bool
    undecided: bool
    digest: Digest
    epoch: str
    list_version: int | None
    valid_until: datetime | None
    reasons: tuple[Reason, ...]
