"""How much work is done for the papers of one image."""

from msgspec import Struct

MIB = 1024 * 1024


class Limits(Struct, frozen=True):
    """Bounds of the work, not of the listing: every paper is named, also one that is not read.

    `papers` is the number of payloads read (a `.sig` manifest holds one for each signature),
    `statement` the bytes of one, `total` of all, `seconds` for reading them. What a limit cuts
    off is "not looked at", never "absent".
    """

    papers: int = 1000
    statement: int = 128 * MIB
    total: int = 512 * MIB
    seconds: float = 20.0
