"""Statements as BuildKit embeds them: a manifest listed in the index beside the image it is about.

https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md. Adding one
changes the index, and so its digest; `docker buildx imagetools inspect` shows what is in there.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from retinue.attest.statement import read_statement
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.readers.table import read
from retinue.papers.ways.making import Made, describe, dump, subject_of

_NOWHERE = {"architecture": "unknown", "os": "unknown"}


def entry_of(index: Manifest, image: Digest) -> Digest | None:
    """The manifest that holds the statements about an image in this index."""
    said = [link.source for link in index.links if link.target == image]
    listed = {child.digest for child in index.children}
    return next((paper for paper in said if paper in listed), None)


def attestation_manifest(
    image: Manifest, before: Manifest | None, statements: Sequence[bytes], *, artifact: bool
) -> Made:
    """All statements about an image, those of `before` first, each once.

    Not an `artifact`: in the form of BuildKit up to 0.31, which names no subject. Raises Malformed
    for what is no statement.
    """
    held = [] if before is None else list(json.loads(before.raw).get("layers") or ())
    known = {layer["digest"] for layer in held}
    new = {digests.of(each): each for each in statements if digests.of(each) not in known}
    layers = [*held, *(_layer(statement) for statement in new.values())]
    config = names.EMPTY_JSON if artifact else _config(layers)
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": names.OCI_MANIFEST}
    if artifact:
        document["artifactType"] = names.BUILDKIT_ARTIFACT
    document["config"] = describe(config, names.OCI_EMPTY if artifact else names.OCI_CONFIG)
    document["layers"] = layers
    if artifact:
        document["subject"] = subject_of(image)
    blobs = {digests.of(config): config, **new}
    return Made(read(dump(document), names.OCI_MANIFEST), blobs)


def with_entry(index: Manifest, image: Digest, paper: Manifest) -> Manifest:
    """The index that lists this paper about one of its images, instead of what it listed before.

    Raises Unreadable for what no index can say.
    """
    document: dict[str, Any] = json.loads(index.raw)
    old = entry_of(index, image)
    entries = [entry for entry in document["manifests"] if old is None or entry["digest"] != old]
    document["manifests"] = [*entries, _entry(image, paper)]
    return read(dump(document), index.media_type)


def index_around(image: Manifest, platform: Mapping[str, str]) -> Manifest:
    """An index of a single image, since only an index can list statements."""
    entry = subject_of(image) | {"platform": dict(platform)}
    document = {"schemaVersion": 2, "mediaType": names.OCI_INDEX, "manifests": [entry]}
    return read(dump(document), names.OCI_INDEX)


def _entry(image: Digest, paper: Manifest) -> dict[str, Any]:
    annotations = {
        names.ANNOTATION_BUILDKIT_DIGEST: image,
        names.ANNOTATION_BUILDKIT_TYPE: names.BUILDKIT_ATTESTATION,
    }
    return subject_of(paper) | {"annotations": annotations, "platform": dict(_NOWHERE)}


def _layer(statement: bytes) -> dict[str, Any]:
    stated = read_statement(statement).predicate_type
    annotations = {names.ANNOTATION_IN_TOTO_PREDICATE: stated}
    return describe(statement, names.IN_TOTO, annotations=annotations)


def _config(layers: Sequence[Mapping[str, Any]]) -> bytes:
    diff_ids = [layer["digest"] for layer in layers]
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    return dump({**_NOWHERE, "config": {}, "rootfs": rootfs})
