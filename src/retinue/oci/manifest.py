"""A manifest is its raw bytes; everything else here is a view over them, read in one pass."""

from collections.abc import Mapping

from msgspec import Struct

from retinue.errors import RetinueError
from retinue.oci.descriptor import Descriptor
from retinue.oci.digest import Digest
from retinue.oci.links import Link


class Manifest(Struct, frozen=True):
    """Bytes under a digest, and what was read from them; never re-encoded.

    `artifact_type` is what a referrers entry shows (the manifest's own, else an image manifest's
    `config.mediaType`, else None). `annotations` are the root ones, values as strings, as a
    referrers entry shows them (`org.oci.relation` added where a generic relation needs it).
    `links` are all that the manifest states, with `stated_by == digest`; those of BuildKit's
    entries in an index are between others, so their `source` is not this manifest. `blobs` and `children` are the descriptors behind
    the BLOB and REFERENCE links, in document order; `subject` is the one that a field of that name
    (or `subjectManifest`) states, None when there is none: relations, pointers and the oldest
    artifacts have SUBJECT links without it. `oci/readers/table.py` makes these from bytes.
    """

    raw: bytes
    media_type: str
    digest: Digest
    artifact_type: str | None
    annotations: Mapping[str, str]
    links: tuple[Link, ...]
    blobs: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    config: Descriptor | None = None


class Unreadable(RetinueError):
    """Bytes that should be a manifest and cannot be read as one. A value inside batches."""

    def __init__(self, digest: Digest, field_name: str, reason: str) -> None:
        super().__init__(f"manifest {digest}: {field_name}: {reason}")
        self.digest = digest
        self.field_name = field_name
        self.reason = reason
