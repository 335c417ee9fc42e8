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
ANNOTATION_VERSION = "org.opencontainers.image.version"

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
HEADER_ATTACHED = "retinue-attached"
"""Of a list of papers here: those that name their `subject`, or those that only a `tag` attaches."""
HEADER_TAG = "oci-tag"
HEADER_FILTERS = "oci-filters-applied"
HEADER_CHUNK_MIN = "oci-chunk-min-length"
HEADER_NAMESPACE = "oci-namespace"
HEADER_API_VERSION = "docker-distribution-api-version"
HEADER_UPLOAD_UUID = "docker-upload-uuid"

# ---- Papers: what their layers hold, and how they are marked

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
"""A Sigstore bundle; older ones are `application/vnd.dev.sigstore.bundle+json;version=0.N`."""
BUNDLE_UNVERSIONED = "application/vnd.dev.sigstore.bundle+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE_ENVELOPE = "application/vnd.dsse.envelope.v1+json"
IN_TOTO = "application/vnd.in-toto+json"
"""A bare statement (BuildKit), and the payload type of an envelope around one."""
TIMESTAMP_REPLY = "application/timestamp-reply"
COSIGN_SIGNATURE_ARTIFACT = "application/vnd.dev.cosign.artifact.sig.v1+json"
COSIGN_SBOM_ARTIFACT = "application/vnd.dev.cosign.artifact.sbom.v1+json"
BUILDKIT_ARTIFACT = "application/vnd.docker.attestation.manifest.v1+json"
RECEIPT = "application/vnd.retinue.receipt.v1"
TAG_STATEMENTS = "application/vnd.retinue.tag-statements.v1+json"
REVOCATION_LIST = "application/vnd.retinue.revocations.v1+json"

CYCLONEDX_JSON = "application/vnd.cyclonedx+json"
CYCLONEDX_XML = "application/vnd.cyclonedx+xml"
SPDX_JSON = "application/spdx+json"
SPDX_TEXT_JSON = "text/spdx+json"
SPDX_TEXT = "text/spdx"
SYFT_JSON = "application/vnd.syft+json"

ANNOTATION_SIGNATURE = "dev.cosignproject.cosign/signature"
ANNOTATION_CERTIFICATE = "dev.sigstore.cosign/certificate"
ANNOTATION_CHAIN = "dev.sigstore.cosign/chain"
ANNOTATION_LOG_BUNDLE = "dev.sigstore.cosign/bundle"
ANNOTATION_TIMESTAMP = "dev.sigstore.cosign/rfc3161timestamp"
ANNOTATION_PREDICATE_TYPE = "predicateType"
ANNOTATION_BUNDLE_CONTENT = "dev.sigstore.bundle.content"
ANNOTATION_BUNDLE_PREDICATE = "dev.sigstore.bundle.predicateType"
ANNOTATION_IN_TOTO_PREDICATE = "in-toto.io/predicate-type"
ANNOTATION_STATED_IMAGE = "dev.retinue.tag.image"
ANNOTATION_STATED_TAG = "dev.retinue.tag.name"
ANNOTATION_RECEIPT_OF = "dev.retinue.receipt.signature"
"""On a receipt: `sha256:<hex>` of the bytes of the signature that it is about."""

PREDICATE_SIGN = "https://sigstore.dev/cosign/sign/v1"
PREDICATE_REVOCATION = "https://retinue.dev/revocation/v1"
PREDICATE_REVOCATIONS = "https://retinue.dev/revocations/v1"
PREDICATE_TAG = "https://retinue.dev/tag/v1"

NOTATION_SIGNATURE = "application/vnd.cncf.notary.signature"
NOTATION_PAYLOAD = "application/vnd.cncf.notary.payload.v1+json"
NOTATION_JWS = "application/jose+json"
NOTATION_COSE = "application/cose"
NOTATION_PREFIX = "io.cncf.notary."
"""Of annotations and headers that the Notary Project keeps for itself."""
ANNOTATION_THUMBPRINTS = "io.cncf.notary.x509chain.thumbprint#S256"

DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ENCRYPTED_SUFFIX = "+encrypted"
ANNOTATION_ENC_PREFIX = "org.opencontainers.image.enc."
ANNOTATION_ENC_JWE = "org.opencontainers.image.enc.keys.jwe"
ANNOTATION_ENC_PUBOPTS = "org.opencontainers.image.enc.pubopts"
RECIPIENT = "application/vnd.retinue.recipient.v1+json"
"""An artifact that holds an encrypted image's layer keys, wrapped for more recipients."""
