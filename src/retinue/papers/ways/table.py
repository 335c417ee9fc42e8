"""From a paper's manifest to what it holds: one reader per kind of manifest."""

from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.papers.ways.layers import form_of, layers, parts_of_layers
from retinue.papers.ways.objects import OBJECTS, parts_of_objects, says_of_others
from retinue.papers.ways.part import Form, Part


def parts_of(manifest: Manifest, subject: Digest) -> tuple[Part, ...]:
    """The payloads of a paper about a subject, one at least, in the order of the document."""
    if manifest.media_type in OBJECTS:
        return parts_of_objects(manifest, subject)
    return parts_of_layers(manifest)


def nothing_but_papers(manifest: Manifest) -> bool:
    """Whether every layer is of a type that papers have: then it can be no image in disguise.

    Its subject, its tag, its config and what it calls itself say nothing about that (trust.md 9).
    """
    if manifest.media_type in OBJECTS:
        return says_of_others(manifest)
    if manifest.children:
        return False
    held = [layer.media_type for layer in layers(manifest)]
    return bool(held) and all(
        media_type == names.OCI_EMPTY or form_of(media_type) is not Form.OPAQUE
        for media_type in held
    )
