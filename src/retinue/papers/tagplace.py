"""Where the statements on a tag are kept, besides with the images that they name.

A tag that was moved back names an image whose own statement says that it is right; the newer one is
with another image, which nothing there leads to. So a statement is attached to a small manifest, too,
that is the same for everybody who knows the image's name and the tag: whoever asks for the tag looks
there. It says nothing itself. A tag of its own keeps it, with its papers, in the repository.
"""

import re

from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.readers.table import read
from retinue.papers.ways.making import Made, describe, dump

_KEEPING = re.compile(r"statements-[0-9a-f]{40}")


def place_of(image: str, tag: str) -> Made:
    """The manifest that statements on this tag of HOST/REPOSITORY are attached to."""
    empty = describe(names.EMPTY_JSON, names.OCI_EMPTY)
    document = {
        "schemaVersion": 2,
        "mediaType": names.OCI_MANIFEST,
        "artifactType": names.TAG_STATEMENTS,
        "config": empty,
        "layers": [empty],
        "annotations": {names.ANNOTATION_STATED_IMAGE: image, names.ANNOTATION_STATED_TAG: tag},
    }
    manifest = read(dump(document), names.OCI_MANIFEST)
    return Made(manifest, {digests.of(names.EMPTY_JSON): names.EMPTY_JSON})


def keeping_tag(place: Digest) -> str:
    """The tag by which a repository keeps such a manifest."""
    return f"statements-{digests.encoded(place)[:40]}"


def keeps_place(tag: str) -> bool:
    """Whether a tag looks like one that keeps such a manifest, and names no image."""
    return _KEEPING.fullmatch(tag) is not None
