"""A Notary Project signature as a referrer, as notation 1.3.2 writes it: its type is the config's."""

from datetime import datetime

from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.manifest import Manifest
from retinue.oci.readers.table import read
from retinue.papers.predicates import timestamp
from retinue.papers.ways.making import Made, describe, dump, subject_of


def notation_paper(subject: Manifest, envelope: bytes, media_type: str, created: datetime) -> Made:
    """An envelope (JWS or COSE). Raises EvidenceError for what is none."""
    from retinue.attest.notation import thumbprints

    empty = names.EMPTY_JSON
    document = {
        "schemaVersion": 2,
        "mediaType": names.OCI_MANIFEST,
        "config": describe(empty, names.NOTATION_SIGNATURE),
        "layers": [describe(envelope, media_type)],
        "subject": subject_of(subject),
        "annotations": {
            **thumbprints(envelope, media_type),
            names.ANNOTATION_CREATED: timestamp(created),
        },
    }
    blobs = {digests.of(empty): empty, digests.of(envelope): envelope}
    return Made(read(dump(document), names.OCI_MANIFEST), blobs)
