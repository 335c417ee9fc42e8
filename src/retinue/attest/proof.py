"""What verification of one signature established. Clock-free: it says when, never whether still."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from retinue.attest.statement import Statement


class Format(StrEnum):
    """How a signature, or unsigned content, is written down."""

    BUNDLE = "bundle"  # a Sigstore bundle with a DSSE envelope
    MESSAGE = "message"  # a Sigstore bundle with a signature over the manifest's bytes
    LEGACY = "legacy"  # cosign's simple signing, or its bare DSSE envelope, at a tag
    OCI11 = "oci11"  # simple signing in a referrer
    NOTATION = "notation"
    JWS = "jws"  # a generic object that is a JSON Web Signature
    UNSIGNED = "unsigned"


class Clock(StrEnum):
    """Whose word a time is."""

    TLOG = "tlog"  # an integrated time under a signed entry timestamp
    RFC3161 = "rfc3161"


class TrustedTime(Struct, frozen=True):
    """The signature existed at this instant. `authority`: the anchor, or the root's log or TSA."""

    at: datetime
    clock: Clock
    authority: str


class Proof(Struct, frozen=True):
    """A signature that verified.

    `signature` identifies it (`signature_id`): the verified SPKI and the exact signed bytes, so that
    the same bundle in three manifests, or a malleated `s`, is one signature. `principal` is who
    counts as one signer: `key:<anchor>`, `keyless:<issuer> <san>`, `x509:<subject>`.
    `anchors` are all anchors that this signer matches; `key` is the fingerprint of the key, or of
    the leaf certificate's. `times` are all trusted times found; `logged`: a
    log that we trust has it (an inclusion proof; in bundles 0.1 and legacy forms its signed promise). `claims` are the signed ones outside of any predicate: annotations,
    and for keyless signers the certificate's (`certificate.<extension>`). `expires` is a
    signed expiry (notation). `not_before`/`not_after` bound when a whole certificate chain is valid
    (notation): without a trusted time that counts, now must lie between them; a trusted time that
    is here does already.
    """

    format: Format
    signature: str
    principal: str
    anchors: tuple[str, ...]
    key: str
    times: tuple[TrustedTime, ...]
    logged: bool
    statement: Statement | None
    annotations: Mapping[str, str]
    reference: str | None
    certificate: Mapping[str, str]
    expires: datetime | None
    not_before: datetime | None = None
    not_after: datetime | None = None


def signature_id(fingerprint: str, signed: bytes) -> str:
    """The hex SHA-256 of two hashes, of the verified SPKI and of the exact signed bytes.

    `fingerprint` is the key's (`sha256:<hex>`), `signed` the SHA-256 of the signed bytes: two fields
    of fixed length, so that no other key and bytes give the same one.
    """
    return hashlib.sha256(bytes.fromhex(fingerprint.removeprefix("sha256:")) + signed).hexdigest()
