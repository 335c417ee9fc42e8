"""Which signatures of an image have no receipt yet, and what a receipt of each is attached to. Pure."""

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from retinue.attest.errors import Malformed
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.papers.collected import Collected, Paper
from retinue.papers.proving import signatures_in
from retinue.papers.receipts import receipts_in
from retinue.papers.ways.artifact import name_of
from retinue.papers.ways.part import SIGNED


class Signatures(Struct, frozen=True):
    """`stamped` have a receipt; of the others, by what they are called, their bytes and what a
    receipt is attached to: their paper, or the image where a tag holds it (the next signer replaces
    that manifest).
    """

    stamped: frozenset[str]
    unstamped: Mapping[str, tuple[Manifest, bytes]]


def signatures_of(
    collected: Collected, subject: Digest, good: Callable[[bytes, bytes], bool]
) -> Signatures:
    """All signatures about the subject, by whomever. `good(token, signature)` says which receipts
    count: anybody may attach some.
    """
    receipts = receipts_in(collected)
    stamped: set[str] = set()
    unstamped: dict[str, tuple[Manifest, bytes]] = {}
    for paper in collected.about(subject):
        place = _place(paper, collected)
        for signature in _signatures(paper, collected):
            name = name_of(signature)
            if any(good(token, signature) for token in receipts.get(name, ())):
                stamped.add(name)
            elif place is not None:
                unstamped.setdefault(name, (place, signature))
    return Signatures(frozenset(stamped), unstamped)


def _place(paper: Paper, collected: Collected) -> Manifest | None:
    if not isinstance(paper.manifest, Manifest):
        return None
    is_referrer = paper.manifest.subject is not None
    return paper.manifest if is_referrer else collected.subjects[paper.subject]


def _signatures(paper: Paper, collected: Collected) -> Iterator[bytes]:
    """Those that can be read; what cannot is no signature to be stamped."""
    for part in paper.parts:
        content = collected.contents.get(part.blob.digest) if part.blob is not None else None
        if part.form not in SIGNED or content is None:
            continue
        try:
            yield from signatures_in(part.form, part.blob, content)
        except Malformed:
            continue  # whoever verifies it has told why
