"""Receipts: a time stamp (RFC 3161) over the bytes of a signature, by a registry that received it.

A receipt is an artifact with a layer of type `application/timestamp-reply`, attached to the paper
that holds the signature, or to that paper's subject (a `.sig` manifest is replaced by the next
signer's). An annotation tells which signature it is about; that it is about that one, the token
proves. It is an upper bound: the signature existed then.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from retinue.attest.anchors import Trust
from retinue.attest.errors import EvidenceError
from retinue.attest.proof import TrustedTime
from retinue.oci import names
from retinue.oci.manifest import Manifest
from retinue.papers.collected import Collected
from retinue.papers.ways.part import Form

MAX_TOKEN = 64 * 1024

Receipts: TypeAlias = Mapping[str, Sequence[bytes]]
"""Tokens by what they say they are about."""


def receipts_in(collected: Collected) -> Receipts:
    """All receipts that were collected, those that are too large left out.

    They are not counted here: whoever adds some must not push out another. `limits` has bounded them.
    """
    found: dict[str, dict[str, bytes]] = {}
    for paper in collected.papers:
        if not isinstance(paper.manifest, Manifest):
            continue
        about = paper.manifest.annotations.get(names.ANNOTATION_RECEIPT_OF)
        for part in paper.parts:
            blob = part.blob
            if about is None or part.form is not Form.TIMESTAMP or blob is None:
                continue
            token = collected.contents.get(blob.digest)
            if token is not None and len(token) <= MAX_TOKEN:
                found.setdefault(about, {})[blob.digest] = bytes(token)
    return {about: [tokens[key] for key in sorted(tokens)] for about, tokens in found.items()}


def times_of(
    signatures: Iterable[bytes],
    receipts: Receipts,
    trust: Trust,
    window: tuple[datetime | None, datetime | None],
) -> tuple[TrustedTime, ...]:
    """The trusted times that receipts give these signatures.

    A time outside of the `window` in which the signer's certificates were valid is left out: as an
    upper bound, it does not show that he signed inside.
    """
    from retinue.attest.timestamp import verify_timestamp
    from retinue.papers.ways.artifact import name_of

    since, until = window
    found: list[TrustedTime] = []
    for signature in signatures:
        for token in receipts.get(name_of(signature), ()):
            try:
                time = verify_timestamp(token, signature, trust.times, trust.roots)
            except EvidenceError:
                continue  # anybody may attach one; it adds nothing
            if (since is None or since <= time.at) and (until is None or time.at <= until):
                found.append(time)
    return tuple(found)
