"""Who points at whom, and the two sentences that everything follows from.

> A parent keeps its parts. A subject keeps its papers, and its papers' papers.
"""

from enum import StrEnum

from msgspec import Struct

from retinue.oci.digest import Digest


class Rel(StrEnum):
    """What a link means: its target is a leaf blob, a child manifest, or what a paper is about."""

    BLOB = "blob"
    REFERENCE = "reference"
    SUBJECT = "subject"


class Way(StrEnum):
    """By which convention a paper is attached to its subject."""

    REFERRERS = "referrers"
    FALLBACK = "fallback"
    COSIGN = "cosign"
    INDEX = "index"
    ELSEWHERE = "elsewhere"


class Link(Struct, frozen=True):
    """An edge. `source` points at `target`; for SUBJECT, `source` is the paper.

    `stated_by` is the witness: the digest of the manifest, or the tag, that states the edge. A
    fallback index, a BuildKit entry and a cosign tag state links between *other* manifests; these
    go when their witness goes. `size` is what the descriptor claims, in bytes (0 when unstated).
    """

    source: Digest
    target: Digest
    rel: Rel
    stated_by: Digest | str
    way: Way = Way.REFERRERS
    size: int = 0


def keeps(link: Link) -> tuple[Digest, Digest]:
    """The two sentences as one edge (keeper, kept)."""
    if link.rel is Rel.SUBJECT:
        return link.target, link.source
    return link.source, link.target
