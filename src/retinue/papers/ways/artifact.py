"""Papers without a signature of their own: SBOMs, bare statements, receipts, as referrers."""

from collections.abc import Mapping
from datetime import datetime

from retinue.attest.statement import read_statement
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.manifest import Manifest
from retinue.papers.predicates import timestamp
from retinue.papers.ways.making import Made, describe, paper


def sbom_paper(
    subject: Manifest,
    sbom: bytes,
    media_type: str,
    created: datetime,
    annotations: Mapping[str, str],
) -> Made:
    """The artifact's type is the document's."""
    return _made(subject, sbom, media_type, media_type, {}, _dated(annotations, created))


def statement_paper(
    subject: Manifest, statement: bytes, created: datetime, annotations: Mapping[str, str]
) -> Made:
    """An attestation that nobody signed. Raises Malformed for what is no statement."""
    said = {names.ANNOTATION_IN_TOTO_PREDICATE: read_statement(statement).predicate_type}
    dated = _dated({**annotations, **said}, created)
    return _made(subject, statement, names.IN_TOTO, names.IN_TOTO, said, dated)


def receipt_paper(subject: Manifest, token: bytes, signature: bytes, created: datetime) -> Made:
    """A time stamp over a signature in the paper `subject`, or about that."""
    said = _dated({names.ANNOTATION_RECEIPT_OF: name_of(signature)}, created)
    return _made(subject, token, names.TIMESTAMP_REPLY, names.RECEIPT, {}, said)


def name_of(signature: bytes) -> str:
    """How a receipt names the signature that it is about."""
    return digests.of(signature)


def _dated(annotations: Mapping[str, str], created: datetime) -> Mapping[str, str]:
    return {**annotations, names.ANNOTATION_CREATED: timestamp(created)}


def _made(
    subject: Manifest,
    data: bytes,
    media_type: str,
    artifact_type: str,
    said: Mapping[str, str],
    annotations: Mapping[str, str],
) -> Made:
    layer = describe(data, media_type, annotations=dict(said))
    manifest = paper(subject, [layer], artifact_type, annotations)
    blobs = {digests.of(names.EMPTY_JSON): names.EMPTY_JSON, digests.of(data): data}
    return Made(manifest, blobs)
