"""Documents of papers: descriptors and manifests in the order in which Go's tools write them."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.readers.table import read


class Made(Struct, frozen=True):
    """A manifest, and the blobs that have to be there before it."""

    manifest: Manifest
    blobs: Mapping[Digest, bytes] = {}


def describe(data: bytes, media_type: str, /, **more: Any) -> dict[str, Any]:
    """A descriptor; `more` are its further members (`annotations`, `artifactType`, …)."""
    known: dict[str, Any] = {
        "mediaType": media_type,
        "size": len(data),
        "digest": digests.of(data),
    }
    return known | {name: value for name, value in more.items() if value}


def embedded(data: bytes) -> str:
    """The member `data` of a descriptor (image-spec descriptor.md, "Embedded Content")."""
    return base64.b64encode(data).decode()


def subject_of(manifest: Manifest) -> dict[str, Any]:
    """What a paper says it is about."""
    return {
        "mediaType": manifest.media_type,
        "size": len(manifest.raw),
        "digest": manifest.digest,
    }


def paper(
    subject: Manifest,
    layers: Sequence[Mapping[str, Any]],
    artifact_type: str,
    annotations: Mapping[str, str],
    *,
    clean: bool = False,
) -> Manifest:
    """A referrer as cosign 3 writes it. With `clean` the config has an `artifactType`: by that field
    `cosign clean` knows what it may delete. Raises Unreadable for what no manifest can say.
    """
    config = describe(names.EMPTY_JSON, names.OCI_EMPTY)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": names.OCI_MANIFEST,
        "config": config | ({"artifactType": artifact_type} if clean else {}),
        "layers": list(layers),
    }
    if annotations:
        document["annotations"] = dict(annotations)
    document |= {"subject": subject_of(subject), "artifactType": artifact_type}
    return read(dump(document), names.OCI_MANIFEST)


def dump(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
