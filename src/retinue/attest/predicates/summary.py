"""Verification summaries (VSA): what somebody found who looked at an artifact's attestations.

https://slsa.dev/spec/v1.0/verification_summary
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from retinue.attest.errors import Malformed
from retinue.attest.predicates.document import Object

PREFIX = "https://slsa.dev/verification_summary/"
RESULTS = frozenset({"PASSED", "FAILED"})


class Summary(Struct, frozen=True):
    """`levels` are as they stand, for instance SLSA_BUILD_LEVEL_3."""

    verifier: str
    at: datetime | None
    resource: str
    policy: str | None
    policy_digests: Mapping[str, str]
    passed: bool
    levels: tuple[str, ...]


def read(predicate_type: str, predicate: bytes) -> Summary:
    """Raises Malformed. Version 0.2 has other names for two fields."""
    said = Object.of(predicate)
    old = predicate_type.removeprefix(PREFIX).startswith("v0.")
    result = said.needed("verification_result" if old else "verificationResult")
    if result not in RESULTS:
        raise Malformed("predicate", f"the result is {result[:40]!r}; want PASSED or FAILED")
    level = said.text("policy_level") if old else None
    policy = said.object("policy")
    return Summary(
        said.object("verifier").needed("id"),
        said.time("time_verified" if old else "timeVerified"),
        said.needed("resource_uri" if old else "resourceUri"),
        policy.text("uri"),
        policy.map_of_texts("digest"),
        result == "PASSED",
        (level,) if level else said.texts("verifiedLevels"),
    )
