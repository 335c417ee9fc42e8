"""Artifact manifests from before OCI 1.1.

One OCI media type stands for three shapes, told apart by the field that names what they are about:
`subject` (image-spec 1.1.0-rc1 and rc2), `subjectManifest` (phase 1, 2021) and `manifests`
(prototype 2, 2021). ORAS had a media type of its own.
"""

from collections.abc import Mapping
from typing import Any

from retinue.oci.readers import fields
from retinue.oci.readers.fields import Malformed
from retinue.oci.readers.parts import Parts

_SHAPES = ("subject", "subjectManifest", "manifests")


def read_oci_artifact(root: Mapping[str, Any]) -> Parts:
    stated = [name for name in _SHAPES if root.get(name) is not None]
    if len(stated) > 1:
        raise Malformed(stated[1], f"contradicts {stated[0]!r}: each belongs to another format")
    version = root.get("schemaVersion")
    if version is not None and type(version) is not int:
        raise Malformed("schemaVersion", "must be an integer")
    kind = _kind(root, required=stated == ["subjectManifest"])
    config = fields.one_descriptor(root, "config")
    blobs = fields.descriptors(root, "blobs")
    return Parts(
        artifact_type=kind,
        annotations=fields.annotations(root),
        blobs=blobs if config is None else (config, *blobs),
        subject=fields.one_descriptor(root, stated[0]) if stated in _SINGLE else None,
        config=config,
        about=fields.descriptors(root, "manifests"),
    )


_SINGLE = (["subject"], ["subjectManifest"])


def read_oras_artifact(root: Mapping[str, Any]) -> Parts:
    for name in ("subjectManifest", "manifests", "config", "layers"):
        if root.get(name) is not None:
            raise Malformed(name, "has no place in an ORAS artifact manifest")
    return Parts(
        artifact_type=_kind(root, required=True),
        annotations=fields.annotations(root),
        blobs=fields.descriptors(root, "blobs"),
        subject=fields.one_descriptor(root, "subject"),
    )


def _kind(root: Mapping[str, Any], *, required: bool) -> str | None:
    kind = fields.text(root, "artifactType")
    if required and kind is None:
        raise Malformed("artifactType", "is required")
    return kind
