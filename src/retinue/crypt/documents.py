"""Image manifests with some layers replaced. All else in them stays; their bytes are made anew."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from retinue import strictjson
from retinue.crypt.errors import NotEncryptable
from retinue.crypt.layer import Ready
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.descriptor import Descriptor
from retinue.oci.digest import Digest, InvalidDigest
from retinue.oci.manifest import Manifest
from retinue.oci.readers.table import read
from retinue.strictjson import InvalidJson

MAX_CONFIG = 8 * 1024 * 1024
_PLAINTEXT = ("data", "urls")
"""What of a descriptor could give away, or fetch, the plaintext."""


def layers_of(manifest: Manifest) -> tuple[Descriptor, ...]:
    """An OCI image's layers, in order; raises NotEncryptable for what is none."""
    if manifest.media_type != names.OCI_MANIFEST:
        reason = f"is of the type {manifest.media_type}; only OCI images have encrypted layers"
        raise NotEncryptable(manifest.digest, reason)
    if manifest.config is None or manifest.config.media_type != names.OCI_CONFIG:
        raise NotEncryptable(manifest.digest, "is no image, and has no diff IDs to check against")
    return manifest.blobs[1:]


def is_encrypted(layer: Descriptor) -> bool:
    return layer.media_type.endswith(names.ENCRYPTED_SUFFIX)


def diff_ids(manifest: Manifest, config: bytes) -> Sequence[Digest]:
    """Of the configuration, one for each layer; raises NotEncryptable."""
    try:
        document = strictjson.loads(config, max_bytes=MAX_CONFIG)
        stated = document["rootfs"]["diff_ids"]
        found = [digests.parse(each) for each in stated]
    except (InvalidJson, InvalidDigest, KeyError, TypeError):
        raise NotEncryptable(manifest.digest, "its config has no diff IDs") from None
    if len(found) != len(layers_of(manifest)):
        raise NotEncryptable(manifest.digest, f"has another number of layers than {len(found)}")
    return found


def replaced(manifest: Manifest, changes: Mapping[int, Ready]) -> Manifest:
    """With other blobs as the layers of these positions."""
    document = _document(manifest)
    for position, ready in changes.items():
        entry = document["layers"][position]
        entry |= {"mediaType": ready.media_type, "digest": ready.digest, "size": ready.size}
        for name in _PLAINTEXT:
            entry.pop(name, None)
        _annotate(entry, ready.annotations)
    return _made(document, names.OCI_MANIFEST)


def annotated(manifest: Manifest, changes: Mapping[int, Mapping[str, str]]) -> Manifest:
    """With more annotations on the layers of these positions."""
    document = _document(manifest)
    for position, annotations in changes.items():
        entry = document["layers"][position]
        entry["annotations"] = {**(entry.get("annotations") or {}), **annotations}
    return _made(document, names.OCI_MANIFEST)


def _annotate(entry: dict[str, Any], added: Mapping[str, str]) -> None:
    """Annotations of an earlier encryption go; those of this one, if any, come."""
    old = entry.pop("annotations", None) or {}
    kept = {n: v for n, v in old.items() if not n.startswith(names.ANNOTATION_ENC_PREFIX)}
    if kept or added:
        entry["annotations"] = kept | dict(added)


def reindexed(index: Manifest, images: Mapping[Digest, Manifest]) -> Manifest:
    """An index of these images instead of those by the keys; entries of no image are left out."""
    document = _document(index)
    entries = []
    for entry in document["manifests"]:
        image = images.get(entry["digest"])
        if image is not None:
            entry.pop("data", None)
            entries.append(entry | {"digest": image.digest, "size": len(image.raw)})
    return _made(document | {"manifests": entries}, index.media_type)


def _document(manifest: Manifest) -> dict[str, Any]:
    document: dict[str, Any] = strictjson.loads(manifest.raw)
    return document


def _made(document: Mapping[str, Any], media_type: str) -> Manifest:
    return read(dump(document), media_type)


def dump(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
