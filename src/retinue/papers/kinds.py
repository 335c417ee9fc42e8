"""What kinds of paper there are, and which artifact or predicate type is which."""

from enum import StrEnum


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
    ATTESTATION = "attestation"  # a predicate that is not known here
    OTHER = "other"
