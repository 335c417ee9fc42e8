"""What witnesses said of a signature: one that has more says more than one that has less."""

from collections.abc import Mapping
from typing import TypeAlias

from retinue.attest.proof import Proof
from retinue.oci import names
from retinue.papers.content import Content

Seen: TypeAlias = frozenset[str]
"""Names of what there is, to be compared with those that the same function found elsewhere."""

_CLOCK, _LOG = "clock", "log"


def seen_of(proof: Proof) -> Seen:
    """What verified: whose times, and whether a log holds it."""
    times = {f"{time.clock} {time.authority}" for time in proof.times}
    return frozenset(times) | _seen(log=proof.logged)


def seen_in_bundle(bundle: Content) -> Seen:
    """What is there, by whomever; raises Malformed."""
    from retinue.attest.formats.bundle import read_bundle

    found = read_bundle(bundle)
    return _seen(clock=bool(found.timestamps), log=bool(found.entries))


def seen_in_layer(annotations: Mapping[str, str]) -> Seen:
    """The same for cosign's legacy forms."""
    stamp, entry = names.ANNOTATION_TIMESTAMP, names.ANNOTATION_LOG_BUNDLE
    return _seen(clock=bool(annotations.get(stamp)), log=bool(annotations.get(entry)))


def _seen(*, clock: bool = False, log: bool = False) -> Seen:
    return frozenset(name for name, there in ((_CLOCK, clock), (_LOG, log)) if there)
