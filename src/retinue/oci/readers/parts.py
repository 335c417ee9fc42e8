"""What a reader of one format finds in a document; the table turns it into a Manifest."""

from collections.abc import Mapping

from msgspec import Struct

from retinue.oci.descriptor import Descriptor
from retinue.oci.digest import Digest


class Parts(Struct, frozen=True):
    """The parts of one document, in document order.

    `subject` is the one field that names what the document is about; `about` are further things
    that it is about (generic relations, the first artifact prototype). `mentions` are pairs
    (paper, subject) that the document states of others.
    """

    artifact_type: str | None
    annotations: Mapping[str, str]
    blobs: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    config: Descriptor | None = None
    about: tuple[Descriptor, ...] = ()
    mentions: tuple[tuple[Digest, Digest], ...] = ()
