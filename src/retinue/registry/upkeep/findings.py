"""What fsck finds."""

from dataclasses import dataclass, field
from enum import StrEnum

MOST_FINDINGS = 10_000
"""Findings that a report names; all are counted."""


class Kind(StrEnum):
    """What is wrong."""

    CATALOG = "damaged catalog"
    MALFORMED = "malformed row"
    NO_REPOSITORY = "rows of no repository"
    MISSING_BYTES = "missing bytes"
    DAMAGED_BYTES = "damaged bytes"
    WRONG_LOCATION = "wrong location"
    WRONG_SIZE = "wrong size"
    WRONG_OBJECT = "wrong object"
    WRONG_TIME = "wrong time"
    SURPLUS_BYTES = "surplus bytes"
    QUARANTINED = "quarantined"
    UNREADABLE = "unreadable manifest"
    WRONG_LINKS = "wrong links"
    WRONG_TYPE = "wrong artifact type"
    WRONG_MEDIA_TYPE = "wrong media type"
    MISSING_PART = "missing part"
    STRAY_LINKS = "stray links"
    WRONG_PAPERS = "wrong list of papers"
    DANGLING_TAG = "dangling tag"
    LIVE_TRASH = "trash in use"
    LOST_UPLOAD = "lost upload"
    STRAY_FILE = "stray file"
    STRAY_UPLOAD = "stray upload"


LINKS = frozenset(
    {
        Kind.WRONG_LINKS,
        Kind.WRONG_TYPE,
        Kind.WRONG_MEDIA_TYPE,
        Kind.STRAY_LINKS,
        Kind.WRONG_PAPERS,
    }
)
"""What is derived from bytes, and made anew from them."""

HARMLESS = frozenset({Kind.STRAY_FILE, Kind.STRAY_UPLOAD})
"""Leftovers of an interrupted push: space, and nothing else."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`digest` is what is affected: a digest, a tag, a file or an upload session.

    `repository` is empty for what belongs to none. `repaired`: it is right now, or (for damaged
    bytes) is served no longer, so that the next push replaces it.
    """

    kind: Kind
    repository: str
    digest: str
    what: str
    repaired: bool


@dataclass(slots=True)
class FsckReport:
    """What was looked at, and what was found; `counts` covers findings that are not named."""

    objects: int = 0
    manifests: int = 0
    tags: int = 0
    files: int = 0
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)
    counts: dict[Kind, int] = field(default_factory=dict)
    unrepaired: int = 0

    def add(self, finding: Finding) -> None:
        self.counts[finding.kind] = self.counts.get(finding.kind, 0) + 1
        self.unrepaired += not finding.repaired
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)

    @property
    def clean(self) -> bool:
        return not self.counts
