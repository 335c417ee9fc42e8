"""What every use case is given: the stores, and the settings that they share."""

from collections.abc import Callable

from msgspec import Struct, field

from retinue.registry.access.gate import Gate
from retinue.registry.catalog.db import Catalog
from retinue.registry.config import Config
from retinue.registry.content.cache import ByteCache
from retinue.registry.content.pulls import Pulls
from retinue.registry.metrics import Metrics
from retinue.registry.storage.blobstore import BlobStore


class Services(Struct, frozen=True):
    """`clock` gives microseconds since 1970. `secret` signs upload ids and is the same in every
    process of this data. `boot` names this boot of the machine: a digest that was recorded
    before it cannot be trusted."""

    catalog: Catalog
    blobs: BlobStore
    config: Config
    clock: Callable[[], int]
    secret: bytes
    access: Gate
    cache: ByteCache
    boot: str
    pulls: Pulls = field(default_factory=Pulls)
    metrics: Metrics = field(default_factory=Metrics)
