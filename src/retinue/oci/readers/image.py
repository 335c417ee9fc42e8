"""Image manifests: OCI (image-spec manifest.md, 1.0 and 1.1) and Docker's schema 2."""

from collections.abc import Mapping
from typing import Any

from retinue.oci.readers import fields
from retinue.oci.readers.fields import Malformed
from retinue.oci.readers.parts import Parts


def read_image(root: Mapping[str, Any]) -> Parts:
    """A document that some reader could take for an index is refused (CVE-2021-41190)."""
    for name in ("manifests", "fsLayers"):
        if root.get(name) is not None:
            raise Malformed(name, "has no place in an image manifest")
    config = fields.one_descriptor(root, "config")
    if config is None:
        raise Malformed("config", "is required in an image manifest")
    return Parts(
        artifact_type=fields.text(root, "artifactType") or config.media_type,
        annotations=fields.annotations(root),
        blobs=(config, *fields.descriptors(root, "layers")),
        subject=fields.one_descriptor(root, "subject"),
        config=config,
    )
