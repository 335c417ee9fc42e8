"""Whether witnesses said something of a signature: what has a time says more than what has none."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

from retinue.attest.proof import Proof
from retinue.oci import names
from retinue.papers.content import Content


class Witness(StrEnum):
    CLOCK = "clock"
    LOG = "log"


Seen: TypeAlias = frozenset[Witness]


def seen_of(proof: Proof) -> Seen:
    """What verified."""
    return _seen(bool(proof.times), proof.logged)


def seen_in_bundle(bundle: Content) -> Seen:
    """What is there, by whomever; raises Malformed."""
    from retinue.attest.formats.bundle import read_bundle

    found = read_bundle(bundle)
    return _seen(bool(found.timestamps), bool(found.entries))


def seen_in_layer(annotations: Mapping[str, str]) -> Seen:
    """The same for cosign's legacy forms."""
    stamp = annotations.get(names.ANNOTATION_TIMESTAMP)
    return _seen(bool(stamp), bool(annotations.get(names.ANNOTATION_LOG_BUNDLE)))


def _seen(clock: object, log: object) -> Seen:
    said = ((Witness.CLOCK, clock), (Witness.LOG, log))
    return frozenset(witness for witness, there in said if there)
