"""An explicit export of generic image objects to image manifests, for clients that know no others.

The export has digests of its own; nothing is converted behind a client's back.
"""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

from retinue.errors import RetinueError
from retinue.oci import names
from retinue.oci.descriptor import Descriptor
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.readers.objects import GenericObject
from retinue.oci.readers.table import read, read_generic

IMAGE_VERSION = "2"


class NotExportable(RetinueError):
    """A generic manifest that no image manifest can stand for."""

    def __init__(self, digest: Digest, reason: str) -> None:
        super().__init__(f"{digest} cannot be exported as an image: {reason}")
        self.digest = digest
        self.reason = reason


def export(manifest: Manifest) -> tuple[Manifest, ...]:
    """Image manifests of the `org.oci.image` objects; with more than one, an index comes last.

    Their blobs are those of `manifest`. Raises NotExportable.
    """
    objects = [
        item
        for item in read_generic(manifest)
        if (item.type, item.version) == (names.OBJECT_IMAGE, IMAGE_VERSION)
    ]
    if not objects:
        raise NotExportable(manifest.digest, "it holds no image object of version 2")
    images = [_image(manifest, item) for item in objects]
    if len(images) == 1:
        return (images[0],)
    pairs = zip(objects, images, strict=True)
    entries = [_entry(image, p) for item, image in pairs for p in _platforms(item)]
    body = {"schemaVersion": 2, "mediaType": names.OCI_INDEX, "manifests": entries}
    return (*images, read(_dump(body), names.OCI_INDEX))


def _image(manifest: Manifest, item: GenericObject) -> Manifest:
    blobs = [(c.ctype, c.descriptor) for c in item.components if c.rtype == "blob"]
    configs = [d for ctype, d in blobs if d and ctype == names.COMPONENT_CONFIG]
    layers = [d for ctype, d in blobs if d and ctype == names.COMPONENT_LAYER]
    if len(configs) != 1:
        raise NotExportable(manifest.digest, f"an image has one config, not {len(configs)}")
    body = {
        "schemaVersion": 2,
        "mediaType": names.OCI_MANIFEST,
        "config": _described(configs[0]),
        "layers": [_described(layer) for layer in layers],
        "annotations": {key: values[0] for key, values in item.annotations.items()},
    }
    return read(_dump(body), names.OCI_MANIFEST)


def _platforms(item: GenericObject) -> Iterator[dict[str, str]]:
    """A filter with several values stands for as many entries; none, for an entry without."""
    keys = {
        "os": names.FILTER_OS,
        "architecture": names.FILTER_ARCHITECTURE,
        "variant": names.FILTER_VARIANT,
    }
    stated = {key: item.filters[name] for key, name in keys.items() if name in item.filters}
    if "os" not in stated or "architecture" not in stated:
        yield {}
        return
    for values in product(*stated.values()):
        yield dict(zip(stated, values, strict=True))


def _entry(image: Manifest, platform: dict[str, str]) -> dict[str, Any]:
    size = len(image.raw)
    entry = {"mediaType": image.media_type, "digest": image.digest, "size": size}
    return entry | ({"platform": platform} if platform else {})


def _described(item: Descriptor) -> dict[str, Any]:
    return {"mediaType": item.media_type, "digest": item.digest, "size": item.size}


def _dump(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
