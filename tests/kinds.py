"""Every kind of manifest that a registry meets, with the blobs it needs; for the protocol tests."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

from builders import CONFIG, LAYER, artifact, describe, dump, image, index, pointer
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.readers.table import read

KIND = "application/vnd.example.paper"
PAYLOAD = b"a payload"
IMAGE_BLOBS = (CONFIG, LAYER)
PAPER_BLOBS = (names.EMPTY_JSON, PAYLOAD)


@dataclass(frozen=True, slots=True)
class Sample:
    """`manifests` in the order to push them; `papers`: subject to what its list must say."""

    blobs: Sequence[bytes]
    manifests: Sequence[Manifest]
    papers: Mapping[Digest, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


Make: TypeAlias = Callable[[str], Sample]
"""By the algorithm of every digest in it."""


def manifest(media_type: str, algorithm: str, **document: Any) -> Manifest:
    return read(dump({"mediaType": media_type, **document}), media_type, algorithm)


def about(subject: Manifest, algorithm: str) -> dict[str, Any]:
    return describe(subject.raw, subject.media_type, algorithm)


def paper(subject: Manifest | None, algorithm: str, **more: Any) -> Manifest:
    """An artifact of PAPER_BLOBS, whose parts are all of this algorithm."""
    config = describe(names.EMPTY_JSON, names.OCI_EMPTY, algorithm)
    named = None if subject is None else about(subject, algorithm)
    return artifact(named, payload=PAYLOAD, algorithm=algorithm, **({"config": config} | more))


def listed(found: Manifest, kind: str | None, **annotations: str) -> dict[str, Any]:
    """What a list of papers must say about one."""
    more: dict[str, Any] = {} if kind is None else {"artifactType": kind}
    return pointer(found, **more, **({"annotations": annotations} if annotations else {}))


# ---- images


def plain_image(algorithm: str) -> Sample:
    layers = [Random(number).randbytes(3000) for number in range(3)]
    return Sample([CONFIG, *layers], [image(*layers, algorithm=algorithm)])


def uncompressed_image(algorithm: str) -> Sample:
    twice = [describe(LAYER, kind, algorithm) for kind in (names.OCI_LAYER, names.OCI_LAYER_GZIP)]
    return Sample(IMAGE_BLOBS, [image(algorithm=algorithm, layers=twice)])


def indented_image(algorithm: str) -> Sample:
    """Bytes are kept, whatever they look like."""
    raw = b"\n" + image(algorithm=algorithm).raw.replace(b",", b" ,\r\n\t") + b"\n\n"
    return Sample(IMAGE_BLOBS, [read(raw, names.OCI_MANIFEST, algorithm)])


def large_manifest(algorithm: str) -> Sample:
    notes = {f"org.example.{number}": "x" * 10_000 for number in range(390)}
    return Sample(IMAGE_BLOBS, [image(algorithm=algorithm, annotations=notes)])


def image_without_layers(algorithm: str) -> Sample:
    return Sample([CONFIG], [image(algorithm=algorithm, layers=[])])


def data_field(algorithm: str) -> Sample:
    data = base64.b64encode(LAYER).decode()
    layers = [describe(LAYER, names.OCI_LAYER, algorithm, data=data)]
    return Sample(IMAGE_BLOBS, [image(algorithm=algorithm, layers=layers)])


def foreign_layers(algorithm: str) -> Sample:
    """Their blobs are never pushed."""
    kinds = sorted(names.FOREIGN_LAYERS)
    layers = [
        describe(kind.encode(), kind, algorithm, urls=["https://example.com"]) for kind in kinds
    ]
    bare = [describe(kinds[0].encode(), kinds[0], algorithm)]
    return Sample([CONFIG], [image(algorithm=algorithm, layers=each) for each in (layers, bare)])


def custom_fields(algorithm: str) -> Sample:
    more: dict[str, Any] = {"org.example.field": [1, {"deep": None}], "another": 1.5e300, "": {}}
    layers = [describe(LAYER, names.OCI_LAYER, algorithm, **{"org.example": more})]
    return Sample(IMAGE_BLOBS, [image(algorithm=algorithm, layers=layers, **more)])


def docker(algorithm: str) -> Sample:
    kind = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    config = describe(CONFIG, "application/vnd.docker.container.image.v1+json", algorithm)
    layers = [describe(LAYER, kind, algorithm)]
    single = manifest(
        names.DOCKER_MANIFEST, algorithm, schemaVersion=2, config=config, layers=layers
    )
    platform = {"os": "linux", "architecture": "arm", "variant": "v7", "features": ["sse4"]}
    entries = [about(single, algorithm) | {"platform": platform}]
    many = manifest(names.DOCKER_LIST, algorithm, schemaVersion=2, manifests=entries)
    return Sample(IMAGE_BLOBS, [single, many])


# ---- indexes


def two_images(algorithm: str) -> list[Manifest]:
    return [image(algorithm=algorithm, annotations={"number": each}) for each in "12"]


def plain_index(algorithm: str) -> Sample:
    children = two_images(algorithm)
    entries = [
        about(child, algorithm) | {"platform": {"os": "linux", "architecture": each}}
        for child, each in zip(children, ("amd64", "arm64"), strict=True)
    ]
    return Sample(IMAGE_BLOBS, [*children, index(*entries, algorithm=algorithm)])


def nested_index(algorithm: str) -> Sample:
    children = two_images(algorithm)
    inner = index(*children, algorithm=algorithm)
    outer = index(inner, children[0], algorithm=algorithm)
    return Sample(IMAGE_BLOBS, [*children, inner, outer, index(outer, algorithm=algorithm)])


def empty_index(algorithm: str) -> Sample:
    return Sample([], [index(algorithm=algorithm)])


def buildkit_index(algorithm: str) -> Sample:
    """An image, and what BuildKit says about it by annotations; also its cache: layers."""
    child = image(algorithm=algorithm)
    attestation = paper(None, algorithm)
    stated = {
        names.ANNOTATION_BUILDKIT_TYPE: names.BUILDKIT_ATTESTATION,
        names.ANNOTATION_BUILDKIT_DIGEST: child.digest,
    }
    entry = about(attestation, algorithm) | {"annotations": stated}
    cache = index(describe(LAYER, names.OCI_LAYER_GZIP, algorithm), algorithm=algorithm)
    blobs = (*IMAGE_BLOBS, *PAPER_BLOBS)
    whole = index(about(child, algorithm), entry, algorithm=algorithm)
    return Sample(blobs, [child, attestation, whole, cache])


# ---- papers


def plain_artifact(algorithm: str) -> Sample:
    return Sample(PAPER_BLOBS, [paper(None, algorithm)])


def artifact_index(algorithm: str) -> Sample:
    children = [paper(None, algorithm, annotations={"number": each}) for each in "12"]
    whole = index(*children, algorithm=algorithm, artifactType=KIND)
    return Sample(PAPER_BLOBS, [*children, whole])


def artifact_without_layers(algorithm: str) -> Sample:
    return Sample(PAPER_BLOBS, [paper(None, algorithm, layers=[])])


def with_subject(algorithm: str) -> Sample:
    subject = image(algorithm=algorithm)
    first = paper(subject, algorithm, annotations={"number": "1"})
    second = paper(subject, algorithm, artifactType="application/vnd.example.other")
    third = paper(first, algorithm)
    lists = {
        subject.digest: [
            listed(first, KIND, number="1"),
            listed(second, "application/vnd.example.other"),
        ],
        first.digest: [listed(third, KIND)],
    }
    blobs = (*IMAGE_BLOBS, *PAPER_BLOBS)
    return Sample(blobs, [subject, first, second, third], lists)


def index_with_subject(algorithm: str) -> Sample:
    child, subject = two_images(algorithm)
    found = index(child, algorithm=algorithm, subject=about(subject, algorithm))
    return Sample(IMAGE_BLOBS, [child, subject, found], {subject.digest: [listed(found, None)]})


def missing_subject(algorithm: str) -> Sample:
    subject = image(b"never pushed", algorithm=algorithm)
    found = paper(subject, algorithm)
    return Sample(PAPER_BLOBS, [found], {subject.digest: [listed(found, KIND)]})


def of_older_drafts(algorithm: str) -> Sample:
    """The artifact manifests of OCI, in all their shapes, and that of ORAS."""
    subject = image(algorithm=algorithm)
    named, blob = about(subject, algorithm), describe(PAYLOAD, "text/plain", algorithm)
    common: dict[str, Any] = {"artifactType": KIND, "blobs": [blob]}
    config = describe(CONFIG, "text/plain", algorithm)
    made = [
        manifest(names.OCI_ARTIFACT, algorithm, subject=named, **common),
        manifest(names.OCI_ARTIFACT_RC1, algorithm, subject=named, **common),
        manifest(names.OCI_ARTIFACT, algorithm, schemaVersion=3, subjectManifest=named, **common),
        manifest(names.OCI_ARTIFACT, algorithm, config=config, manifests=[named], **common),
        manifest(names.ORAS_ARTIFACT, algorithm, subject=named, **common),
    ]
    lists = {subject.digest: [listed(each, KIND) for each in made]}
    return Sample((*IMAGE_BLOBS, *PAPER_BLOBS), [subject, *made], lists)


# ---- generic objects


def _relation(subject: Manifest, other: Manifest, algorithm: str) -> dict[str, Any]:
    components = [
        {"rtype": "reference", "descriptor": about(subject, algorithm)},
        {"rtype": "reference", "descriptor": about(other, algorithm)},
        {"rtype": "blob", "descriptor": describe(PAYLOAD, "text/plain", algorithm)},
    ]
    relation = {"type": names.OBJECT_RELATION, "version": "1", "relation": KIND}
    return {"schemaVersion": 1, "objects": [relation | {"components": components}]}


def generic_object(algorithm: str) -> Sample:
    subject, other = two_images(algorithm)
    found = manifest(names.OCI_OBJECT, algorithm, **_relation(subject, other, algorithm))
    lists = {subject.digest: [listed(found, KIND)]}
    return Sample((*IMAGE_BLOBS, PAYLOAD), [subject, other, found], lists)


def generic_token(algorithm: str) -> Sample:
    """The same as a compact JWS."""
    subject, other = two_images(algorithm)
    header = {"alg": "ES256", "typ": names.OCI_OBJECT_JWT.removeprefix("application/")}
    body = {"mediaType": names.OCI_OBJECT_JWT, **_relation(subject, other, algorithm)}
    parts = (dump(header), dump(body), b"a signature")
    raw = b".".join(base64.urlsafe_b64encode(each).rstrip(b"=") for each in parts)
    found = read(raw, names.OCI_OBJECT_JWT, algorithm)
    lists = {subject.digest: [listed(found, KIND)]}
    return Sample((*IMAGE_BLOBS, PAYLOAD), [subject, other, found], lists)


KINDS: Mapping[str, Make] = {
    make.__name__: make
    for make in (
        *(plain_image, uncompressed_image, indented_image, large_manifest, image_without_layers),
        *(data_field, foreign_layers, custom_fields, docker),
        *(plain_index, nested_index, empty_index, buildkit_index),
        *(plain_artifact, artifact_index, artifact_without_layers),
        *(with_subject, index_with_subject, missing_subject, of_older_drafts),
        *(generic_object, generic_token),
    )
}
