"""From a paper's manifest to what it holds: one reader per kind of manifest."""

from retinue.oci.manifest import Manifest
from retinue.papers.ways.layers import parts_of_layers
from retinue.papers.ways.objects import OBJECTS, parts_of_objects
from retinue.papers.ways.part import Part


def parts_of(manifest: Manifest) -> tuple[Part, ...]:
    """The payloads of a paper, one at least, in the order of the document."""
    if manifest.media_type in OBJECTS:
        return parts_of_objects(manifest)
    return parts_of_layers(manifest)
