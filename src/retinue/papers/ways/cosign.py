"""The manifests at cosign's tags, `sha256-<hex>.sig`, `.att` and `.sbom`: a layer for each paper.

Written as cosign 2.6.5 does: an image whose configuration says nothing but the layers' digests.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.manifest import Manifest
from retinue.oci.readers.table import read
from retinue.papers.ways.making import Made, describe, dump

_NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time: such an image has no date."""

Layer = Mapping[str, Any]
"""A layer's descriptor, as it stands in a manifest."""


def layers_of(manifest: Manifest | None) -> Sequence[Layer]:
    """The layers as they stand there; none where there is no manifest yet."""
    if manifest is None:
        return ()
    found: Sequence[Layer] = json.loads(manifest.raw).get("layers") or ()
    return found


def signature_layer(payload: bytes, annotations: Mapping[str, str]) -> Layer:
    """A signature; its annotations hold the signature itself."""
    return describe(payload, names.SIMPLE_SIGNING, annotations=dict(annotations))


def attestation_layer(
    envelope: bytes, predicate_type: str, annotations: Mapping[str, str]
) -> Layer:
    """An envelope. Its annotation for a signature is there, and empty."""
    said = {
        names.ANNOTATION_SIGNATURE: "",
        names.ANNOTATION_PREDICATE_TYPE: predicate_type,
        **annotations,
    }
    return describe(envelope, names.DSSE_ENVELOPE, annotations=said)


def sbom_layer(sbom: bytes, media_type: str) -> Layer:
    return describe(sbom, media_type)


def tag_paper(before: Manifest | None, layers: Sequence[Layer], new: Sequence[bytes]) -> Made:
    """The successor of `before` with these layers; `new` are the blobs that may not be there yet.

    What else `before` says stays. Raises Unreadable for what no manifest can say.
    """
    config = _config(layers)
    document: dict[str, Any] = (
        {"schemaVersion": 2, "mediaType": names.OCI_MANIFEST}
        if before is None
        else json.loads(before.raw)
    )
    media_type = names.OCI_MANIFEST if before is None else before.media_type
    stated = before.config.media_type if before is not None and before.config else names.OCI_CONFIG
    document["config"] = describe(config, stated)
    document["layers"] = list(layers)
    blobs = {digests.of(data): data for data in (config, *new)}
    return Made(read(dump(document), media_type), blobs)


def _config(layers: Sequence[Layer]) -> bytes:
    return dump(
        {
            "architecture": "",
            "created": _NEVER,
            "history": [{"created": _NEVER} for _ in layers],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
            "config": {},
        }
    )
