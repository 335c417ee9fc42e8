"""Generic image objects out of image manifests and back, for clients that know only one of them.

What is made has digests of its own; nothing is converted behind a client's back.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from retinue.errors import RetinueError
from retinue.oci import names
from retinue.oci.descriptor import Descriptor
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.platform import Platform
from retinue.oci.readers.objects import GenericObject
from retinue.oci.readers.table import read, read_generic
from retinue.oci.resolve import filters_of

IMAGE_VERSION = "2"


class NotExportable(RetinueError):
    """A manifest for which none of the other kind can stand."""

    def __init__(self, digest: Digest, reason: str) -> None:
        super().__init__(f"{digest} cannot be converted: {reason}")
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


def generalise(images: Sequence[tuple[Manifest, Platform | None]]) -> Manifest:
    """One generic manifest of an object for each image manifest, with its platform as filters.

    Their blobs are those of the images. Raises NotExportable for what has no config.
    """
    body = {
        "schemaVersion": 1,
        "mediaType": names.OCI_OBJECT,
        "objects": [_object(image, platform) for image, platform in images],
    }
    return read(_dump(body), names.OCI_OBJECT)


def _object(image: Manifest, platform: Platform | None) -> dict[str, Any]:
    if image.config is None:
        raise NotExportable(image.digest, "it has no config, as images do")
    layers = [blob for blob in image.blobs if blob != image.config]
    parts = [(names.COMPONENT_CONFIG, image.config)]
    parts += [(names.COMPONENT_LAYER, layer) for layer in layers]
    item: dict[str, Any] = {
        "type": names.OBJECT_IMAGE,
        "version": IMAGE_VERSION,
        "components": [
            {"rtype": "blob", "ctype": ctype, "descriptor": _described(blob)}
            for ctype, blob in parts
        ],
    }
    if platform is not None:
        item["filters"] = dict(filters_of(platform))
    if image.annotations:
        item["annotations"] = dict(image.annotations)
    return item


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
