"""What kinds of paper there are, and which artifact or predicate type is which."""

from collections.abc import Mapping
from enum import StrEnum

from retinue.oci import names


class Kind(StrEnum):
    """What a paper is for. It comes from content (the predicate type), never from annotations."""

    SIGNATURE = "signature"
    SBOM = "sbom"
    PROVENANCE = "provenance"
    VULNERABILITIES = "vulnerabilities"
    VEX = "vex"
    TEST_RESULT = "test-result"
    VERIFICATION_SUMMARY = "verification-summary"
    REVOCATION = "revocation"
    TAG_STATEMENT = "tag-statement"
    RECIPIENT = "recipient"
    POINTER = "pointer"
    RELATION = "relation"
    PROPERTY = "property"
    RECEIPT = "receipt"
    ATTESTATION = "attestation"  # a predicate that is not known here
    OTHER = "other"


PREDICATES: Mapping[str, Kind] = {
    names.PREDICATE_SIGN: Kind.SIGNATURE,
    names.PREDICATE_REVOCATION: Kind.REVOCATION,
    names.PREDICATE_TAG: Kind.TAG_STATEMENT,
    "https://spdx.dev/Document": Kind.SBOM,
    "https://cyclonedx.org/bom": Kind.SBOM,
    "https://syft.dev/bom": Kind.SBOM,
    "https://slsa.dev/provenance": Kind.PROVENANCE,
    "https://in-toto.io/Provenance": Kind.PROVENANCE,
    "https://slsa.dev/verification_summary": Kind.VERIFICATION_SUMMARY,
    "https://cosign.sigstore.dev/attestation/vuln": Kind.VULNERABILITIES,
    "https://in-toto.io/attestation/vulns": Kind.VULNERABILITIES,
    "https://openvex.dev/ns": Kind.VEX,
    "https://in-toto.io/attestation/test-result": Kind.TEST_RESULT,
}
"""By predicate type, its versions (`/v1`, `@v0.2.0`) included; a signature has exactly one type."""

_EXACT = frozenset({names.PREDICATE_SIGN, names.PREDICATE_REVOCATION, names.PREDICATE_TAG})

TYPES: Mapping[str, Kind] = {
    names.SIMPLE_SIGNING: Kind.SIGNATURE,
    names.COSIGN_SIGNATURE_ARTIFACT: Kind.SIGNATURE,
    names.NOTATION_SIGNATURE: Kind.SIGNATURE,
    names.NOTATION_JWS: Kind.SIGNATURE,
    names.NOTATION_COSE: Kind.SIGNATURE,
    names.COSIGN_SBOM_ARTIFACT: Kind.SBOM,
    names.CYCLONEDX_JSON: Kind.SBOM,
    names.CYCLONEDX_XML: Kind.SBOM,
    names.SPDX_JSON: Kind.SBOM,
    names.SPDX_TEXT_JSON: Kind.SBOM,
    names.SPDX_TEXT: Kind.SBOM,
    names.SYFT_JSON: Kind.SBOM,
    names.BUNDLE: Kind.ATTESTATION,
    names.BUNDLE_UNVERSIONED: Kind.ATTESTATION,
    names.DSSE_ENVELOPE: Kind.ATTESTATION,
    names.IN_TOTO: Kind.ATTESTATION,
    names.BUILDKIT_ARTIFACT: Kind.ATTESTATION,
    names.TIMESTAMP_REPLY: Kind.RECEIPT,
    names.RECEIPT: Kind.RECEIPT,
    names.RECIPIENT: Kind.RECIPIENT,
}
"""By the type of an artifact or a layer, as far as that says it: a bundle's content says more."""

SHORT: Mapping[str, str] = {
    "custom": "https://cosign.sigstore.dev/attestation/v1",
    "slsaprovenance": "https://slsa.dev/provenance/v0.2",
    "slsaprovenance02": "https://slsa.dev/provenance/v0.2",
    "slsaprovenance1": "https://slsa.dev/provenance/v1",
    "spdx": "https://spdx.dev/Document",
    "spdxjson": "https://spdx.dev/Document",
    "cyclonedx": "https://cyclonedx.org/bom",
    "link": "https://in-toto.io/Link/v1",
    "vuln": "https://cosign.sigstore.dev/attestation/vuln/v1",
    "openvex": "https://openvex.dev/ns",
    "tag": names.PREDICATE_TAG,
    "revocation": names.PREDICATE_REVOCATION,
}
"""What `--type` may say instead of a predicate type: cosign's names, and ours."""


def kind_of_predicate(uri: str) -> Kind:
    """The kind of an attestation with this predicate type; ATTESTATION for what is not known."""
    for known, kind in PREDICATES.items():
        if uri == known or (known not in _EXACT and uri.startswith((f"{known}/", f"{known}@"))):
            return kind
    return Kind.ATTESTATION


def kind_of_type(media_type: str) -> Kind | None:
    """The kind that the type of an artifact or layer speaks of; None: it says nothing."""
    base = media_type.partition(";")[0].strip().lower()
    if base.startswith("application/vnd.in-toto.") and base.endswith("+dsse"):
        return Kind.ATTESTATION
    return TYPES.get(base)


def predicate_type(name: str) -> str:
    """What a short name stands for; anything else is a predicate type itself."""
    return SHORT.get(name, name)
