"""Indexes: OCI (image-spec image-index.md, 1.0 and 1.1) and Docker's manifest list."""

from collections.abc import Iterable, Mapping
from typing import Any

from retinue.oci import names
from retinue.oci.descriptor import Descriptor
from retinue.oci.digest import Digest
from retinue.oci.readers import fields
from retinue.oci.readers.fields import Malformed
from retinue.oci.readers.parts import Parts


def read_index(root: Mapping[str, Any]) -> Parts:
    """A document that some reader could take for an image is refused (CVE-2021-41190).

    Entries of other than manifest types are blobs: BuildKit's cache is an index of layers.
    """
    for name in ("config", "layers", "fsLayers"):
        if root.get(name) is not None:
            raise Malformed(name, "has no place in an index")
    entries = fields.descriptors(root, "manifests")
    children = tuple(e for e in entries if e.media_type in names.MANIFEST_TYPES)
    return Parts(
        artifact_type=fields.text(root, "artifactType"),
        annotations=fields.annotations(root),
        blobs=tuple(e for e in entries if e.media_type not in names.MANIFEST_TYPES),
        children=children,
        subject=fields.one_descriptor(root, "subject"),
        mentions=tuple(_attestations(children)),
    )


def _attestations(entries: Iterable[Descriptor]) -> Iterable[tuple[Digest, Digest]]:
    """BuildKit's attestation entries: annotations name the image that such an entry is about."""
    for i, entry in enumerate(entries):
        stated = entry.annotations
        if stated.get(names.ANNOTATION_BUILDKIT_TYPE) != names.BUILDKIT_ATTESTATION:
            continue
        where = f"manifests[{i}].annotations.{names.ANNOTATION_BUILDKIT_DIGEST}"
        yield (
            entry.digest,
            fields.digest_field(stated.get(names.ANNOTATION_BUILDKIT_DIGEST), where),
        )
