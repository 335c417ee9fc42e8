"""Which view belongs to a type of predicate. Others stay what they are: bytes."""

from collections.abc import Callable
from typing import TypeAlias

from retinue.attest.predicates import (
    provenance,
    sbom,
    summary,
    testresult,
    vex,
    vulnerabilities,
)

View: TypeAlias = (
    provenance.Provenance
    | sbom.Sbom
    | vulnerabilities.Scan
    | vex.Vex
    | testresult.Results
    | summary.Summary
)

_VIEWS: tuple[tuple[str, Callable[[str, bytes], View]], ...] = (
    ("https://slsa.dev/provenance/", provenance.read),
    ("https://cyclonedx.org/bom", sbom.read),
    ("https://spdx.dev/Document", sbom.read),
    ("https://syft.dev/bom", sbom.read),
    ("https://cosign.sigstore.dev/attestation/vuln/", vulnerabilities.read),
    ("https://in-toto.io/attestation/vulns/", vulnerabilities.read),
    ("https://openvex.dev/ns", vex.read),
    ("https://in-toto.io/attestation/test-result/", testresult.read),
    ("https://slsa.dev/verification_summary/", summary.read),
)
"""What types begin with (versions follow), and who reads them."""


def view(predicate_type: str, predicate: bytes) -> View | None:
    """A typed view of a predicate; None for a type that is not known here.

    Views take what they know and check its types; the bytes stay the truth. Raises Malformed.
    """
    for prefix, read in _VIEWS:
        if predicate_type == prefix or predicate_type.startswith(_versioned(prefix)):
            return read(predicate_type, predicate)
    return None


def _versioned(prefix: str) -> tuple[str, ...]:
    return (prefix,) if prefix.endswith("/") else (f"{prefix}/", f"{prefix}@")
