"""Folder and catalog of one registry know each other from its first start on (storage rule 18)."""

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from retinue.errors import RetinueError
from retinue.files import Root, make_folders
from retinue.registry.catalog import meta, snapshot
from retinue.registry.catalog.db import Catalog
from retinue.registry.catalog.look import look
from retinue.registry.catalog.opening import open_catalog, sqlite_path
from retinue.registry.storage import identity, places
from retinue.registry.storage.blobstore import StorageFailed
from retinue.registry.storage.identity import ForeignStore

SAMPLE = 1000
"""Files that are looked for. Names of files are random, so one that is there is proof enough."""
_MOUNTED = "lost+found"


class FolderTaken(RetinueError):
    """The data folder holds something else than a registry."""

    def __init__(self, data: Path, names: Sequence[str]) -> None:
        some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        super().__init__(
            f"{data} is not empty and holds no registry ({some}): name a new or empty folder"
        )
        self.data = data
        self.names = tuple(names)


class BlobsMissing(StorageFailed):
    """The data folder has none of the files that the catalog names."""

    def __init__(self, data: Path, locations: Sequence[str]) -> None:
        super().__init__(
            f"use {data}",
            f"it has none of the files that the catalog names ({locations[0][:160]}, …): "
            "mount the folder of the blobs there, or name it with --data",
        )
        self.data = data
        self.locations = tuple(locations)


class CatalogMissing(RetinueError):
    """The data folder holds blobs of a registry, and the catalog knows none of them."""

    def __init__(self, data: Path) -> None:
        super().__init__(
            f"{data} holds blobs, and the catalog names none of them: name the --database that "
            "belongs to them, or another folder with --data; a backup is restored to a new folder"
        )
        self.data = data


def require_vacant(data: Path, others: Iterable[Path]) -> None:
    """The folder is a registry's, or has nothing in it but `others`: files that were named by
    name, and that may be here too. Raises FolderTaken, OSError."""
    try:
        found = {one.name for one in data.iterdir()}
    except FileNotFoundError:
        return
    home = data.resolve()
    named = {one.name for one in others if one.parent.resolve() == home}
    if identity.FILE in found or {places.BLOBS, places.UPLOADS} <= found:
        return
    strange = sorted(name for name in found - {_MOUNTED} if not _belongs(name, named))
    if strange:
        raise FolderTaken(data, strange)


def _belongs(name: str, named: Iterable[str]) -> bool:
    """A file that was named, or one that SQLite and its locks keep beside a database."""
    return any(name == one or name.startswith((f"{one}-", f"{one}.")) for one in named)


def prepare(
    database: str,
    data: Path,
    others: Iterable[Path],
    *,
    entropy: Callable[[int], bytes] = os.urandom,
) -> None:
    """Before the first process serves: outside of any event loop; nothing stays open.

    Raises FolderTaken, ForeignStore, BlobsMissing, CatalogMissing, OSError, and what opening the catalog does.
    """
    path = sqlite_path(database)
    require_vacant(data, others if path is None else (*others, path))
    if path is not None:
        make_folders(path.parent)
    asyncio.run(_prepare(database, data, entropy))


async def _prepare(database: str, data: Path, entropy: Callable[[int], bytes]) -> None:
    catalog = await open_catalog(database, entropy=entropy)
    try:
        await establish(catalog, data, entropy)
    finally:
        await catalog.close()


async def establish(catalog: Catalog, data: Path, entropy: Callable[[int], bytes]) -> str:
    """The identity of a registry, made now if it has none; a folder is made on a first start.

    Data from before there were identities gets one when the folder is proven to be the catalog's.
    Raises ForeignStore, BlobsMissing, CatalogMissing, OSError.
    """
    known = await meta.identity(catalog)
    if known is not None:
        await asyncio.to_thread(_require, data, known)
        return known
    locations = await look(catalog, snapshot.sample(SAMPLE))
    made = entropy(identity.BYTES).hex()
    marked = await asyncio.to_thread(_mark, data, locations, made)
    await catalog.commit(lambda: meta.set_identity(marked))
    known = await meta.identity(catalog)
    if known != marked:  # another process, with another folder, was first
        raise ForeignStore(data, marked, known or "")
    return known


def _require(data: Path, known: str) -> None:
    identity.Home(data, known).close()


def _mark(data: Path, locations: Sequence[str], made: str) -> str:
    """The folder first: a catalog that has an identity has a folder that has it."""
    make_folders(data)
    with Root(data) as root:
        if locations:
            if not any(map(_has(root), locations)):
                raise BlobsMissing(data, locations)
        elif _holds_blobs(root):
            raise CatalogMissing(data)
        return identity.mark(root, made)


def _has(root: Root) -> Callable[[str], bool]:
    return lambda location: (
        places.is_location(location) and root.status(places.blob_name(location)) is not None
    )


def _holds_blobs(root: Root) -> bool:
    if root.status(places.BLOBS) is None:
        return False
    fans = (f"{places.BLOBS}/{fan}" for fan in places.FANOUT)
    return any(
        places.is_location(f"{fan[-2:]}/{name}")
        for fan in fans
        if root.status(fan) is not None
        for name, _ in root.entries(fan)
    )
