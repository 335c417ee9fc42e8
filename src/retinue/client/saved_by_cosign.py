"""Folders that `cosign save` wrote: one image, and its papers beside it.

A word in each entry of `index.json` says what it is; there are no tags. Bundles are among the blobs and
not listed at all (cosign 2.6 and 3.1).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel, Way
from retinue.oci.tags import cosign_tag

KIND = "kind"
IMAGES = frozenset({"dev.cosignproject.cosign/image", "dev.cosignproject.cosign/imageIndex"})
PAPERS: Mapping[str, str] = {
    "dev.cosignproject.cosign/sigs": "sig",
    "dev.cosignproject.cosign/atts": "att",
}
MAX_MANIFEST = 1024 * 1024
"""Bytes of a blob that may be the manifest of a bundle; cosign's have less than two thousand."""


class Entry(Protocol):
    @property
    def digest(self) -> Digest: ...
    @property
    def document(self) -> Mapping[str, Any]: ...


def kind(entry: Entry) -> str | None:
    """cosign's word for it."""
    found = (entry.document.get("annotations") or {}).get(KIND)
    return found if isinstance(found, str) else None


def is_paper(entry: Entry) -> bool:
    return kind(entry) in PAPERS


def saved(entries: Iterable[Entry]) -> bool:
    """Whether cosign wrote this."""
    return any(kind(entry) in IMAGES for entry in entries)


def links(entries: Iterable[Entry]) -> Iterator[Link]:
    """The papers of the one image, as if each were at its tag; of several images, nobody can tell
    whose they are."""
    listed = list(entries)
    images = {entry.digest for entry in listed if kind(entry) in IMAGES}
    if len(images) == 1:
        (image,) = images
        for entry in listed:
            tag = cosign_tag(image, PAPERS.get(kind(entry) or "", ""))
            if tag is not None and is_paper(entry):
                yield Link(entry.digest, image, Rel.SUBJECT, tag, Way.COSIGN)


def may_be_bundle(raw: bytes) -> bool:
    """Whether a blob looks like a manifest about something; whoever reads it finds out."""
    return b'"subject"' in raw and names.OCI_MANIFEST.encode() in raw
