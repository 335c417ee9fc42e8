"""What people call a paper, by the types that it states. It says nothing about its being true."""

import re
from collections.abc import Iterable

from retinue.oci import names
from retinue.oci.links import Way
from retinue.oci.manifest import Manifest

PAPER = "paper"
_TABLE = (
    ("sbom", re.compile(r"cyclonedx|spdx|syft|sbom")),
    ("signature", re.compile(r"simplesigning|cosign[.\w]*\.sig|notary|\.signature")),
    ("attestation", re.compile(r"in-toto|dsse|attestation|slsa|provenance")),
    # A bundle is a signature or an attestation; only its contents say which.
    ("bundle", re.compile(r"sigstore\.bundle")),
    ("vex", re.compile(r"openvex|\bvex\b")),
    ("recipient", re.compile(r"retinue\.recipient")),
    ("receipt", re.compile(r"retinue\.receipt|timestamp-reply")),
    ("chart", re.compile(r"helm\.chart")),
)
_SAY_NOTHING = frozenset({None, names.OCI_CONFIG, names.UNKNOWN_ARTIFACT})


def kind_of(manifest: Manifest, ways: Iterable[Way] = ()) -> str:
    """The kind of a paper: of its artifact type, else of its layers' types."""
    for text in types_of(manifest):
        for kind, pattern in _TABLE:
            if pattern.search(text):
                return kind
    return "attestation" if Way.INDEX in set(ways) else PAPER


def types_of(manifest: Manifest) -> list[str]:
    """The types that a paper states, the most telling first."""
    own = [] if manifest.artifact_type in _SAY_NOTHING else [manifest.artifact_type]
    layers = [blob.media_type for blob in manifest.blobs if blob != manifest.config]
    return [text for text in (*own, *layers) if text and text != names.OCI_EMPTY]


def part_kind(manifest: Manifest) -> str:
    """What a manifest is that is no paper."""
    if manifest.media_type in {names.OCI_INDEX, names.DOCKER_LIST}:
        return "index"
    if manifest.artifact_type in {None, names.OCI_CONFIG} or _is_image(manifest):
        return "image"
    return "artifact"


def _is_image(manifest: Manifest) -> bool:
    """Docker's images have a configuration of a type of its own."""
    return manifest.media_type == names.DOCKER_MANIFEST
