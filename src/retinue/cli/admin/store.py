"""A registry's store as administration opens it: beside the server that serves it, or without."""

import argparse
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from retinue.cli.problems import Missing
from retinue.cli.serve import load_config
from retinue.registry.catalog import meta
from retinue.registry.catalog.db import Catalog
from retinue.registry.catalog.opening import (
    look_at_catalog,
    open_as_it_is,
    open_catalog,
    sqlite_path,
)
from retinue.registry.config import Config
from retinue.registry.storage.blobstore import BlobStore
from retinue.registry.storage.files import FileBlobStore
from retinue.registry.storage.unfinished import require_finished
from retinue.registry.upkeep.identity import establish


class Store(Struct, frozen=True):
    config: Config
    catalog: Catalog
    blobs: BlobStore


def now() -> int:
    """Microseconds since 1970, as the catalog keeps times."""
    return time.time_ns() // 1000


@asynccontextmanager
async def store(
    args: argparse.Namespace, *, writes: bool = False, holds: bool = False
) -> AsyncIterator[Store]:
    """The configured store. Raises Missing where none is, ForeignStore where the folder is not that
    of the catalog, and what opening the catalog raises.

    `writes`: data from before there were identities gets one first, or is refused. Without,
    everything is left as it is: no schema is migrated, no folder is made; but `holds` may be put
    on deletion, where the file system lets anybody delete.
    """
    config = load_config(args)
    database = sqlite_path(config.catalog)
    require_finished(config.data)
    if not config.data.is_dir() or (database is not None and not database.exists()):
        raise Missing("registry's store", str(config.data), "name its folder with --data")
    catalog = await _catalog(config, writes=writes, holds=holds)
    try:
        if writes:
            identity = await establish(catalog, config.data, os.urandom)
        else:
            identity = await meta.identity(catalog) or ""
        blobs = FileBlobStore(
            config.data,
            identity=identity,
            durable=config.durable,
            threads=config.threads,
            looking=not writes,
        )
        yield Store(config, catalog, blobs)
    finally:
        await catalog.close()


async def _catalog(config: Config, *, writes: bool, holds: bool) -> Catalog:
    if writes:
        return await open_catalog(config.catalog, durable=config.durable)
    if holds:
        return await open_as_it_is(config.catalog)
    return await look_at_catalog(config.catalog)
