"""How long things are kept, as the catalog counts: in microseconds."""

from msgspec import Struct

from retinue.registry.config import Config

SECOND = 1_000_000


class Times(Struct, frozen=True):
    """`now`, and what is added to it. Microseconds since 1970, and microseconds."""

    now: int
    grace: int
    paper_grace: int
    trash_delay: int
    upload_expires: int

    @property
    def due(self) -> int:
        """When content that nothing keeps is looked at."""
        return self.now + self.grace

    @property
    def paper_due(self) -> int:
        """When a paper that lost its subject is looked at."""
        return self.now + self.paper_grace


def times(config: Config, now: int) -> Times:
    return Times(
        now,
        int(config.grace * SECOND),
        int(config.paper_grace * SECOND),
        int(config.trash_delay * SECOND),
        int(config.upload_expires * SECOND),
    )
