"""A registry's store as administration opens it: beside the server that serves it, or without."""

import argparse
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from retinue.cli.problems import Missing
from retinue.cli.serve import load_config
from retinue.registry.catalog.db import Catalog
from retinue.registry.catalog.opening import open_catalog, sqlite_path
from retinue.registry.config import Config
from retinue.registry.storage.blobstore import BlobStore
from retinue.registry.storage.files import FileBlobStore
from retinue.registry.storage.unfinished import require_finished


class Store(Struct, frozen=True):
    config: Config
    catalog: Catalog
    blobs: BlobStore


def now() -> int:
    """Microseconds since 1970, as the catalog keeps times."""
    return time.time_ns() // 1000


@asynccontextmanager
async def store(args: argparse.Namespace) -> AsyncIterator[Store]:
    """The configured store; raises Missing where none is, and what opening the catalog raises."""
    config = load_config(args)
    database = sqlite_path(config.catalog)
    require_finished(config.data)
    if not config.data.is_dir() or (database is not None and not database.exists()):
        raise Missing("registry's store", str(config.data), "name its folder with --data")
    catalog = await open_catalog(config.catalog, durable=config.durable)
    try:
        blobs = FileBlobStore(config.data, durable=config.durable, threads=config.threads)
        yield Store(config, catalog, blobs)
    finally:
        await catalog.close()
