"""Small manifests as raw bytes, for everybody's tests. What varies is an argument."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.readers.table import read

CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
LAYER = b"a layer"
EMPTY: Mapping[str, Any] = {
    "mediaType": names.OCI_EMPTY,
    "digest": digests.of(names.EMPTY_JSON),
    "size": len(names.EMPTY_JSON),
}
"""The descriptor of the empty JSON object; its blob must be there like any other."""


def dump(document: Any) -> bytes:
    """JSON as most tools write it."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def describe(
    data: bytes, /, media_type: str, algorithm: str = "sha256", **more: Any
) -> dict[str, Any]:
    """The descriptor of some bytes."""
    digest = digests.of(data, algorithm)
    return {"mediaType": media_type, "digest": digest, "size": len(data), **more}


def pointer(manifest: Manifest, **more: Any) -> dict[str, Any]:
    """The descriptor of a manifest, as an index lists it or a paper's subject names it."""
    size = len(manifest.raw)
    return {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": size,
        **more,
    }


def image(
    *layers: bytes,
    config: bytes = CONFIG,
    media_type: str = names.OCI_MANIFEST,
    algorithm: str = "sha256",
    **more: Any,
) -> Manifest:
    """An image of these layers (one, if none are given); its blobs are `config` and the layers."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": describe(config, names.OCI_CONFIG, algorithm),
        "layers": [describe(data, names.OCI_LAYER, algorithm) for data in layers or (LAYER,)],
        **more,
    }
    return read(dump(document), media_type, algorithm)


def index(
    *children: Manifest | Mapping[str, Any],
    media_type: str = names.OCI_INDEX,
    algorithm: str = "sha256",
    **more: Any,
) -> Manifest:
    """An index of manifests, or of ready descriptors."""
    entries = [pointer(c) if isinstance(c, Manifest) else c for c in children]
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries, **more}
    return read(dump(document), media_type, algorithm)


def artifact(
    subject: Manifest | Mapping[str, Any] | None = None,
    *,
    kind: str = "application/vnd.example.paper",
    payload: bytes | None = None,
    annotations: Mapping[str, str] | None = None,
    algorithm: str = "sha256",
    **more: Any,
) -> Manifest:
    """A paper about `subject` (or about nothing); its blobs are `{}` and the payload, if any."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": names.OCI_MANIFEST,
        "artifactType": kind,
        "config": dict(EMPTY),
        "layers": [dict(EMPTY) if payload is None else describe(payload, "text/plain", algorithm)],
    }
    if subject is not None:
        document["subject"] = pointer(subject) if isinstance(subject, Manifest) else subject
    if annotations is not None:
        document["annotations"] = annotations
    return read(dump(document | more), names.OCI_MANIFEST, algorithm)


def with_papers(subject: Manifest, count: int) -> Sequence[Manifest]:
    """`count` different papers about one subject; each needs only the blob `{}`."""
    return [artifact(subject, annotations={"number": str(number)}) for number in range(count)]


def blobs_of(*layers: bytes, config: bytes = CONFIG) -> Mapping[Digest, bytes]:
    """What must be pushed before `image(*layers)` and before any paper: digest to bytes."""
    contents = (config, names.EMPTY_JSON, *(layers or (LAYER,)))
    return {digests.of(data): data for data in contents}
