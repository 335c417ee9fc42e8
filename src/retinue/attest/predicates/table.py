"""Which view belongs to a type of predicate. Others stay what they are: bytes."""

from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from retinue.attest.predicates.provenance import Provenance
    from retinue.attest.predicates.sbom import Sbom
    from retinue.attest.predicates.summary import Summary
    from retinue.attest.predicates.testresult import Tested
    from retinue.attest.predicates.vex import Vex
    from retinue.attest.predicates.vulnerabilities import Scan

View: TypeAlias = "Provenance | Sbom | Scan | Vex | Tested | Summary"

_VIEWS: tuple[tuple[str, str], ...] = (
    ("https://slsa.dev/provenance/", "provenance"),
    ("https://cyclonedx.org/bom", "sbom"),
    ("https://spdx.dev/Document", "sbom"),
    ("https://syft.dev/bom", "sbom"),
    ("https://cosign.sigstore.dev/attestation/vuln/", "vulnerabilities"),
    ("https://in-toto.io/attestation/vulns/", "vulnerabilities"),
    ("https://openvex.dev/ns", "vex"),
    ("https://in-toto.io/attestation/test-result/", "testresult"),
    ("https://slsa.dev/verification_summary/", "summary"),
)
"""What types begin with (versions follow), and the module here that reads them."""


def view(predicate_type: str, predicate: bytes) -> "View | None":
    """A typed view of a predicate; None for a type that is not known here.

    Views take what they know and check its types; the bytes stay the truth. Raises Malformed.
    """
    for prefix, module in _VIEWS:
        if predicate_type == prefix or predicate_type.startswith(_separated(prefix)):
            home = import_module(f"retinue.attest.predicates.{module}")
            read = cast("Callable[[str, bytes], View]", home.read)
            return read(predicate_type, predicate)
    return None


def _separated(prefix: str) -> tuple[str, ...]:
    return (prefix,) if prefix.endswith("/") else (f"{prefix}/", f"{prefix}@")
