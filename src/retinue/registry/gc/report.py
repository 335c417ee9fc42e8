"""What a collection did, or would do."""

from dataclasses import dataclass, field

MOST_ITEMS = 10_000
"""Items that a report names; all are counted."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that went. `kind`: manifest, blob, object or upload; `what`: digest or session.

    `repository` is empty for what belongs to none.
    """

    kind: str
    repository: str
    what: str


@dataclass(slots=True)
class Report:
    """Counts, and the first MOST_ITEMS items in the order in which they go.

    `bytes` is the size of objects. `files` were removed from the trash. `skipped` maps
    repositories in which nothing was looked at to the reason. `busy`: somebody else collects, and
    nothing more was done.
    """

    dry_run: bool = False
    busy: bool = False
    manifests: int = 0
    blobs: int = 0
    objects: int = 0
    bytes: int = 0
    uploads: int = 0
    files: int = 0
    items: list[Item] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, repository: str, what: str) -> None:
        if len(self.items) < MOST_ITEMS:
            self.items.append(Item(kind, repository, what))
