"""A Sigstore bundle as a referrer, exactly as cosign 3.1.3 writes it."""

from collections.abc import Mapping
from datetime import datetime

from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.manifest import Manifest
from retinue.papers.predicates import timestamp
from retinue.papers.ways.making import Made, describe, embedded, paper

MAX_INLINE = 64 * 1024
"""Bytes of a bundle that is also put into its manifest, so that readers save a request."""


def bundle_paper(
    subject: Manifest,
    bundle: bytes,
    predicate_type: str | None,
    created: datetime,
    annotations: Mapping[str, str],
    *,
    inline: bool = False,
) -> Made:
    """`predicate_type` is that of the bundle's statement; None: it signs the manifest's bytes."""
    said = {names.ANNOTATION_BUNDLE_CONTENT: "message-signature"}
    if predicate_type is not None:
        said = {
            names.ANNOTATION_BUNDLE_CONTENT: "dsse-envelope",
            names.ANNOTATION_BUNDLE_PREDICATE: predicate_type,
        }
    said[names.ANNOTATION_CREATED] = timestamp(created)
    data = embedded(bundle) if inline and len(bundle) <= MAX_INLINE else None
    layer = describe(bundle, names.BUNDLE, data=data)
    made = paper(subject, [layer], names.BUNDLE, {**annotations, **said}, clean=True)
    blobs = {digests.of(names.EMPTY_JSON): names.EMPTY_JSON, digests.of(bundle): bundle}
    return Made(made, blobs)
