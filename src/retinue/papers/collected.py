"""All papers of some subjects, with their bytes: what facts are derived from."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from retinue.oci.digest import Digest
from retinue.oci.links import Way
from retinue.oci.manifest import Manifest, Unreadable
from retinue.papers.content import Content
from retinue.papers.ways.part import Part


class Paper(Struct, frozen=True):
    """A paper about one subject; one that is about two is listed twice.

    `manifest` is None when it could not be read, which `blind` explains. `parts` are its payloads.
    `elsewhere` is the repository where it was found, if that is not the subject's own.
    """

    digest: Digest
    subject: Digest
    way: Way
    manifest: Manifest | Unreadable | None
    parts: tuple[Part, ...] = ()
    elsewhere: str | None = None


class Collected(Struct, frozen=True):
    """`subjects` are what was asked about, and papers that have papers themselves.

    `contents` are the payloads that could be read. `blind` names each way that could not be looked
    at, and each paper and payload that is known to be there and could not be read.
    """

    subjects: Mapping[Digest, Manifest]
    papers: tuple[Paper, ...]
    contents: Mapping[Digest, Content]
    blind: Mapping[str, str]

    def about(self, subject: Digest) -> Iterator[Paper]:
        return (paper for paper in self.papers if paper.subject == subject)
