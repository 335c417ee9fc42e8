"""The entry of a paper in a referrers list (distribution-spec 1.1, "Listing Referrers")."""

from typing import Any

from retinue.oci.manifest import Manifest


def referrer_entry(manifest: Manifest) -> dict[str, Any]:
    """The descriptor of a paper, with artifact type and all its annotations; none is left out."""
    entry: dict[str, Any] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.raw),
    }
    if manifest.artifact_type is not None:
        entry["artifactType"] = manifest.artifact_type
    if manifest.annotations:
        entry["annotations"] = dict(manifest.annotations)
    return entry
