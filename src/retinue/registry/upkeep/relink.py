"""After an upgrade: links by older rules are extracted again from the bytes (storage rule 16).

Until then nothing is collected in the repositories that have some.
"""

import logging
from functools import partial

from msgspec import Struct

from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.registry.catalog import check, collect, links, meta
from retinue.registry.catalog.check import StoredManifest
from retinue.registry.catalog.db import Catalog
from retinue.registry.catalog.look import look
from retinue.registry.upkeep.reading import Damaged, entry_of, read_stored

BODIES = 32
"""Manifests that are in memory at a time."""

_log = logging.getLogger("retinue.relink")


class Relinked(Struct):
    """`unreadable`: these, and collection in their repositories, wait for a push or a repair."""

    manifests: int = 0
    unreadable: list[tuple[int, Digest]] = []


async def relink(catalog: Catalog, *, now: int, grace: int) -> Relinked:
    """Extract every link anew that is of another version than ours; can be run again any time."""
    done = Relinked()
    async for page in catalog.pages(check.OLD_MANIFESTS, links.VERSION, 0):
        stored = check.stored_manifests(page)
        for repository in sorted({one.repository for one in stored}):
            here = [one for one in stored if one.repository == repository]
            for start in range(0, len(here), BODIES):
                some = here[start : start + BODIES]
                await _some(catalog, repository, some, done, now=now, due=now + grace)
    if not done.unreadable:
        await catalog.commit(partial(meta.set_links_version, links.VERSION))
    return done


async def _some(
    catalog: Catalog,
    repository: int,
    stored: list[StoredManifest],
    done: Relinked,
    *,
    now: int,
    due: int,
) -> None:
    bodies = await look(catalog, collect.bodies(repository, [one.digest for one in stored]))
    for one in stored:
        if one.digest not in bodies:
            continue  # deleted since the page was read
        content = read_stored(one.digest, one.media_type, bodies[one.digest][1])
        if isinstance(content, Manifest):
            entry = entry_of(content)
            rewrite = partial(check.rewrite, repository, content, entry, due, now=now)
            done.manifests += await catalog.commit(rewrite)
        else:
            why = "is damaged" if isinstance(content, Damaged) else str(content)
            _log.error("links of %s cannot be read again: %s", one.digest, why)
            done.unreadable.append((repository, one.digest))
