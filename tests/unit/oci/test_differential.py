"""No other reader sees another subject: what Go's encoding/json sees in the same bytes.

The expectations were made once by `tests/vectors/oci/differential.go`.
"""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from retinue.oci.descriptor import Descriptor
from retinue.oci.manifest import Unreadable
from retinue.oci.readers.table import read
from retinue.strictjson import fold

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "oci" / "differential.json").read_bytes()
)
DOCUMENTS = {document["name"]: document for document in VECTORS["documents"]}
ACCEPTED = {
    "plain image",
    "image with subject",
    "image with annotations and artifact type",
    "index with children and subject",
    "null subject, layers and annotations",
    "null manifests",
    "whitespace everywhere",
    "escaped key",
    "escaped slash in media type",
    "surrogate pair",
    "escaped backslash before u",
    "NUL in a string",
    "DEL in a string",
    "size minus zero",
    "size 2^63-1",
    "hex escape in upper case",
    "nested 60 deep",
    "data that fits",
}


def show(item: Descriptor | None) -> str:
    return f"{item.media_type} {item.digest} {item.size}" if item else ""


@pytest.mark.parametrize("name", sorted(ACCEPTED))
def test_what_is_accepted_means_the_same_to_go(name: str) -> None:
    document: dict[str, Any] = DOCUMENTS[name]
    manifest = read(base64.b64decode(document["base64"]), document["type"])
    layers = manifest.blobs[1:] if manifest.config else manifest.blobs
    seen = document["seen"]
    assert seen["mediaType"] == manifest.media_type
    assert seen["subject"] == show(manifest.subject)
    assert seen["config"] == show(manifest.config)
    assert seen["layers"] + seen["manifests"] == [show(d) for d in (*layers, *manifest.children)]
    assert seen["annotations"] == manifest.annotations


@pytest.mark.parametrize("name", sorted(DOCUMENTS.keys() - ACCEPTED))
def test_everything_else_is_refused(name: str) -> None:
    document = DOCUMENTS[name]
    with pytest.raises(Unreadable):
        read(base64.b64decode(document["base64"]), document["type"])


def test_keys_that_go_takes_for_the_same_field_fold_alike() -> None:
    apart = [group for group in VECTORS["folds"] if len({fold(rune) for rune in group}) != 1]
    assert apart == []
