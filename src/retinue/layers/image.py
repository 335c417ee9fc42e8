"""The documents of images and artifacts that are made here (image-spec config.md, manifest.md)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from retinue.layers.tar import Layer
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.descriptor import Descriptor
from retinue.oci.manifest import Manifest
from retinue.oci.platform import Platform
from retinue.oci.readers.table import read

EMPTY = Descriptor(
    names.OCI_EMPTY, digests.of(names.EMPTY_JSON), len(names.EMPTY_JSON), data=names.EMPTY_JSON
)


def config_of(layers: Sequence[Layer], platform: Platform, entrypoint: Sequence[str] = ()) -> bytes:
    """An image's configuration. It holds no time, so that the same layers give the same image."""
    document: dict[str, Any] = {"architecture": platform.architecture, "os": platform.os}
    if platform.variant is not None:
        document["variant"] = platform.variant
    document["config"] = {"Entrypoint": list(entrypoint)} if entrypoint else {}
    document["rootfs"] = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    return _encode(document)


def image_of(
    config: bytes, layers: Sequence[Layer], annotations: Mapping[str, str] | None = None
) -> Manifest:
    """An image manifest of gzipped layers."""
    described = Descriptor(names.OCI_CONFIG, digests.of(config), len(config))
    parts = [Descriptor(names.OCI_LAYER_GZIP, layer.digest, layer.size) for layer in layers]
    return manifest_of(described, parts, annotations=annotations)


def manifest_of(
    config: Descriptor,
    layers: Sequence[Descriptor],
    *,
    artifact_type: str | None = None,
    subject: Descriptor | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """An image manifest; with `artifact_type` an artifact, with `subject` a paper about that.

    Raises Unreadable where a value is one that no manifest can have.
    """
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": names.OCI_MANIFEST}
    if artifact_type is not None:
        document["artifactType"] = artifact_type
    document["config"] = _described(config)
    document["layers"] = [_described(layer) for layer in layers]
    if subject is not None:
        document["subject"] = _described(subject)
    if annotations:
        document["annotations"] = dict(annotations)
    return read(_encode(document), names.OCI_MANIFEST)


def _described(item: Descriptor) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "mediaType": item.media_type,
        "digest": item.digest,
        "size": item.size,
    }
    if item.data == names.EMPTY_JSON:
        entry["data"] = "e30="
    if item.annotations:
        entry["annotations"] = dict(item.annotations)
    return entry


def _encode(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
