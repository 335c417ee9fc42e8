"""Images in memory, and those who may read them."""

import gzip
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

import builders
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.manifest import Manifest
from retinue.oci.memory import MemoryStore
from retinue.oci.readers.table import read

ALICE = rsa.generate_private_key(65537, 2048)
BOB = ec.generate_private_key(ec.SECP256R1())
CAROL = ec.generate_private_key(ec.SECP521R1())
MALLORY = ec.generate_private_key(ec.SECP256R1())

PLAIN = b"a tar of files\n" * 100


def put_image(
    store: MemoryStore,
    layers: Sequence[tuple[bytes, str]] = ((PLAIN, names.OCI_LAYER_GZIP), (b"x", names.OCI_LAYER)),
    *,
    diff_ids: Sequence[str] | None = None,
    **more: Any,
) -> Manifest:
    """An image of these unpacked layers, each stored as its media type says."""
    stored = [_packed(plain, media_type) for plain, media_type in layers]
    unpacked = [f"sha256:{hashlib.sha256(plain).hexdigest()}" for plain, _ in layers]
    rootfs = {"type": "layers", "diff_ids": unpacked if diff_ids is None else diff_ids}
    config = builders.dump({"architecture": "amd64", "os": "linux", "rootfs": rootfs})
    document = {
        "schemaVersion": 2,
        "mediaType": names.OCI_MANIFEST,
        "config": builders.describe(config, names.OCI_CONFIG),
        "layers": [
            builders.describe(blob, media_type)
            for blob, (_, media_type) in zip(stored, layers, strict=True)
        ],
        **more,
    }
    for blob in (config, *stored):
        store.blobs[digests.of(blob)] = blob
    manifest = read(builders.dump(document), names.OCI_MANIFEST)
    store.content[manifest.digest] = manifest
    return manifest


def _packed(plain: bytes, media_type: str) -> bytes:
    if media_type.endswith("+gzip"):
        half = len(plain) // 2  # two members, as some tools write them
        return gzip.compress(plain[:half], mtime=0) + gzip.compress(plain[half:], mtime=0)
    if media_type.endswith("+zstd"):
        from backports import zstd

        return bytes(zstd.compress(plain[:7]) + zstd.compress(plain[7:]))
    return plain


def edited(store: MemoryStore, manifest: Manifest, change: Any) -> Manifest:
    """The manifest as `change(document)` leaves it, stored."""
    document = json.loads(manifest.raw)
    change(document)
    result = read(builders.dump(document), manifest.media_type)
    store.content[result.digest] = result
    return result
