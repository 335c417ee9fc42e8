"""Names that the formats fix: media types, annotations, headers. Nowhere else are they literals."""

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
OCI_ARTIFACT_RC1 = "application/vnd.oci.artifact.manifest.v1-rc1+json"
ORAS_ARTIFACT = "application/vnd.cncf.oras.artifact.manifest.v1+json"
OCI_OBJECT = "application/vnd.oci.object.manifest.v1+json"
OCI_OBJECT_JWT = "application/vnd.oci.object.manifest.v1+jwt"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
FOREIGN_LAYERS = frozenset(
    {
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    }
)
"""Layers that a registry need not hold: they come from their `urls`."""
MANIFEST_TYPES = frozenset(
    {
        OCI_MANIFEST,
        OCI_INDEX,
        OCI_ARTIFACT,
        OCI_ARTIFACT_RC1,
        ORAS_ARTIFACT,
        OCI_OBJECT,
        OCI_OBJECT_JWT,
        DOCKER_MANIFEST,
        DOCKER_LIST,
        DOCKER_SCHEMA1,
        DOCKER_SCHEMA1_SIGNED,
    }
)
"""What is a manifest when another one lists it; everything else listed there is a blob."""
UNKNOWN_ARTIFACT = "application/vnd.unknown.artifact.v1"
"""The type of an artifact whose maker named none, as `oras` writes it."""
JSON = "application/json"
OCTET_STREAM = "application/octet-stream"

EMPTY_JSON = b"{}"
"""The content of a descriptor of type OCI_EMPTY (image-spec manifest.md)."""

ANNOTATION_CREATED = "org.opencontainers.image.created"
ANNOTATION_TITLE = "org.opencontainers.image.title"
ANNOTATION_REF_NAME = "org.opencontainers.image.ref.name"

ANNOTATION_BUILDKIT_TYPE = "vnd.docker.reference.type"
ANNOTATION_BUILDKIT_DIGEST = "vnd.docker.reference.digest"
BUILDKIT_ATTESTATION = "attestation-manifest"
ANNOTATION_RELATION = "org.oci.relation"

OBJECT_POINTER = "org.oci.pointer"
OBJECT_RELATION = "org.oci.relation"
OBJECT_PROPERTY = "org.oci.property"
OBJECT_IMAGE = "org.oci.image"
COMPONENT_CONFIG = "org.oci.config"
COMPONENT_LAYER = "org.oci.layer"
FILTER_OS = "org.oci.os"
FILTER_ARCHITECTURE = "org.oci.architecture"
FILTER_VARIANT = "org.oci.variant"

HEADER_DIGEST = "docker-content-digest"
HEADER_SUBJECT = "oci-subject"
HEADER_TAG = "oci-tag"
HEADER_FILTERS = "oci-filters-applied"
HEADER_CHUNK_MIN = "oci-chunk-min-length"
HEADER_NAMESPACE = "oci-namespace"
HEADER_API_VERSION = "docker-distribution-api-version"
HEADER_UPLOAD_UUID = "docker-upload-uuid"
