"""Scans for vulnerabilities: cosign's record around a scanner's own result, and in-toto's.

https://github.com/sigstore/cosign/blob/main/specs/COSIGN_VULN_ATTESTATION_SPEC.md,
https://github.com/in-toto/attestation/blob/main/spec/predicates/vuln.md
"""

from datetime import datetime

from msgspec import Struct

from retinue.attest.predicates.document import Object

IN_TOTO = "https://in-toto.io/attestation/vulns/"


class Scan(Struct, frozen=True):
    """Who looked, with what knowledge, and when. `findings` is None for cosign's: its result has
    the scanner's own shape, which JSON Pointers reach.
    """

    scanner: str
    version: str | None
    database: str | None
    started: datetime | None
    finished: datetime | None
    findings: tuple[str, ...] | None


def read(predicate_type: str, predicate: bytes) -> Scan:
    """Raises Malformed."""
    said = Object.of(predicate)
    scanner, metadata = said.object("scanner"), said.object("metadata")
    listed = predicate_type.startswith(IN_TOTO)
    return Scan(
        scanner.needed("uri"),
        scanner.text("version"),
        scanner.object("db").text("version"),
        metadata.time("scanStartedOn"),
        metadata.time("scanFinishedOn"),
        tuple(one.needed("id") for one in scanner.objects("result")) if listed else None,
    )
