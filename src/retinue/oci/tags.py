"""Tags that state links: the referrers fallback of distribution-spec 1.1, and cosign's tags.

Such a tag is named after the digest that its papers are about: `sha256-<hex>` names an index of
papers, `sha256-<hex>.sig`, `.att` and `.sbom` are papers themselves.
"""

import re

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import ALGORITHMS, Digest
from retinue.oci.links import Link, Rel, Way
from retinue.oci.manifest import Manifest

_SHAPE = re.compile(r"(sha256|sha512)-([0-9a-f]{64})(?:\.(sig|att|sbom))?")
_MAX_ENCODED = 64


class ImpliedTag(Struct, frozen=True):
    """A tag that tools made from a digest. `suffix` is None for a fallback index.

    The names of sha512 digests are cut to 64 characters, so they do not say which digest they
    stand for: `subject` is None there.
    """

    algorithm: str
    prefix: str
    suffix: str | None

    @property
    def subject(self) -> Digest | None:
        if len(self.prefix) != ALGORITHMS[self.algorithm]:
            return None
        return digests.parse(f"{self.algorithm}:{self.prefix}")

    def names(self, digest: Digest) -> bool:
        """Whether a tool could have made this tag from `digest`."""
        return digest.startswith(f"{self.algorithm}:{self.prefix}")


def implied(tag: str) -> ImpliedTag | None:
    """What the tag implies by its name; None for an ordinary tag. Implied ones are no roots."""
    match = _SHAPE.fullmatch(tag)
    return ImpliedTag(match[1], match[2], match[3]) if match else None


def fallback_tag(subject: Digest) -> str:
    """Where papers of `subject` are listed without the API (distribution-spec 1.1)."""
    return f"{digests.algorithm(subject)}-{digests.encoded(subject)[:_MAX_ENCODED]}"


def cosign_tag(subject: Digest, suffix: str) -> str | None:
    """`sha256-<hex>.sig` and the like; None for sha512, whose name would be too long for a tag."""
    if digests.algorithm(subject) != "sha256":
        return None
    return f"sha256-{digests.encoded(subject)}.{suffix}"


def tag_links(tag: str, manifest: Manifest) -> tuple[Link, ...]:
    """The links between papers and a subject that this tag on this manifest states.

    An entry of a fallback index counts only if the paper agrees (`agrees`): such an index is
    rewritten by whoever attaches, and adds nothing that a child's `subject` has not said.
    """
    name = implied(tag)
    if name is None or name.subject is None:
        return ()
    return stated_about(name.subject, tag, manifest)


def stated_about(subject: Digest, tag: str, manifest: Manifest) -> tuple[Link, ...]:
    """The same for a caller who knows the subject that it made the tag's name from."""
    name = implied(tag)
    if name is None or not name.names(subject):
        return ()
    if name.suffix is not None:
        size = len(manifest.raw)
        return (Link(manifest.digest, subject, Rel.SUBJECT, tag, Way.COSIGN, size),)
    if manifest.media_type != names.OCI_INDEX:
        return ()
    papers = dict.fromkeys(child.digest for child in manifest.children)
    return tuple(Link(paper, subject, Rel.SUBJECT, tag, Way.FALLBACK) for paper in papers)


def agrees(link: Link, paper: Manifest) -> bool:
    """Whether the paper itself says what `link` says of it."""
    return any(
        own.rel is Rel.SUBJECT and (own.source, own.target) == (link.source, link.target)
        for own in paper.links
    )
