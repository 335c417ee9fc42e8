"""How fsck is to look."""

from msgspec import Struct

from retinue.registry.upkeep.findings import LINKS, Kind


class Checks(Struct, frozen=True):
    """`repair` what is safe; `rebuild_links` repairs what is derived from bytes, and nothing else.

    `hash_files` reads every file; without, their presence and size are checked, while rows are
    always hashed, and so is what is quarantined. `sparse`: children of indexes may be missing.
    `now`, `grace` and `trash_delay` in microseconds: younger leftovers belong to pushes under way.
    """

    now: int
    grace: int
    trash_delay: int
    repair: bool = False
    rebuild_links: bool = False
    hash_files: bool = False
    sparse: bool = False

    def repairs(self, kind: Kind) -> bool:
        return self.repair or (self.rebuild_links and kind in LINKS)
