"""Collection while the registry serves: plan, then delete what is still dead.

Costs follow the queue of candidates, not the size of the registry. Two collectors at once are safe;
the lease only saves their work.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct

from retinue.oci.digest import Digest
from retinue.oci.walk import TooMany
from retinue.registry.catalog import candidates, collect, expiry, queue, trash
from retinue.registry.catalog.db import Catalog, Change, Freeing
from retinue.registry.catalog.leases import Leasehold, Superseded
from retinue.registry.catalog.look import look
from retinue.registry.gc import changes
from retinue.registry.gc.plan import SECOND, Plan, Terms
from retinue.registry.gc.report import Report
from retinue.registry.storage.blobstore import BlobStore

T = TypeVar("T")

LEASE = "gc"
LEASE_TIME = 60 * SECOND
"""How long a collector that died keeps others away; one that works renews it."""
PAGE = 200
"""Candidates that are looked at together."""
PAGES = 500
"""Pages of one kind in one run; what is left waits for the next."""
SWEEP = 500
"""Rows of each table that one run sweeps."""
LATER = 3600 * SECOND
"""When a repository that could not be looked at is tried again."""

_log = logging.getLogger("retinue.gc")


class Settings(Struct, frozen=True):
    """`trash_delay`, microseconds: at least as long as the longest download (storage rule 7)."""

    terms: Terms
    trash_delay: int
    now: int


class Work(Struct, frozen=True):
    """One run: where, by which settings, and what it has done so far."""

    catalog: Catalog
    blobs: BlobStore
    settings: Settings
    report: Report
    lease: Leasehold | None
    told: set[tuple[int, Digest]]
    """Manifests that a dry run has named: they are candidates still, and may come up again."""

    async def commit(self, change: Callable[[], Change[T]]) -> T:
        """A change while the lease is held. Raises Superseded, CatalogUnavailable."""
        if self.lease is not None:
            await self.lease.keep()
        return await self.catalog.commit(change)


def leasehold(catalog: Catalog, clock: Callable[[], int]) -> Leasehold:
    """The lease of one collector, not taken yet."""
    return Leasehold(catalog, LEASE, secrets.token_hex(8), LEASE_TIME, clock)


async def collect_once(
    catalog: Catalog,
    blobs: BlobStore,
    settings: Settings,
    *,
    dry_run: bool = False,
    lease: Leasehold | None = None,
) -> Report:
    """Look at all that is due. A dry run names what a run would delete now, and writes nothing.

    `lease` is taken and kept; nothing is done while somebody else has it. Without, none is asked
    for: it saves work, no more. Raises CatalogUnavailable, StorageFailed.
    """
    work = Work(catalog, blobs, settings, Report(dry_run=dry_run), lease, set())
    if dry_run:
        await _candidates(work)
        return work.report
    if lease is None:
        await _run(work)
    elif await lease.take():
        await _run_alone(work, lease)
    else:
        work.report.busy = True
    return work.report


async def _run_alone(work: Work, lease: Leasehold) -> None:
    try:
        await _run(work)
    except Superseded:
        work.report.busy = True
    finally:
        await lease.release()


async def _run(work: Work) -> None:
    now = work.settings.now
    await work.commit(Freeing(queue.sweep, now, SWEEP))
    await _candidates(work)
    await _uploads(work)
    await _trash(work)


async def _candidates(work: Work) -> None:
    async for page in _pages(work, candidates.MANIFEST):
        await _each(work, page, candidates.MANIFEST, _manifests)
    async for page in _pages(work, candidates.BLOB):
        await _each(work, page, candidates.BLOB, _blobs)
    async for page in _pages(work, candidates.OBJECT):
        for wanted in page.values():
            await _objects(work, wanted)


async def _pages(work: Work, kind: int) -> AsyncIterator[Mapping[int, tuple[Digest, ...]]]:
    place = queue.START
    for _ in range(PAGES):
        page = await look(work.catalog, queue.due(work.settings.now, kind, place, PAGE))
        if page.end is None:
            return
        place = page.end
        yield page.found
        await asyncio.sleep(0)  # on SQLite nothing above suspends: requests come first


async def _each(
    work: Work,
    page: Mapping[int, tuple[Digest, ...]],
    kind: int,
    step: Callable[[Work, int, str, Sequence[Digest]], Awaitable[None]],
) -> None:
    """One step for every repository that has candidates here, if its links can be relied on."""
    names = await look(work.catalog, queue.names(page))
    for repository, wanted in page.items():
        name = names.get(repository, f"#{repository}")
        why = await look(work.catalog, _unreliable(repository))
        try:
            if why is None:
                await step(work, repository, name, wanted)
        except TooMany as error:
            why = str(error)
        if why is not None:
            await _skip(work, repository, name, kind, wanted, why)


def _unreliable(repository: int) -> Change[str | None]:
    version = yield from collect.other_version(repository)
    if version is None:
        return None
    return f"holds manifests whose links are of version {version}; they are read again first"


async def _skip(
    work: Work, repository: int, name: str, kind: int, wanted: Sequence[Digest], why: str
) -> None:
    work.report.skipped[name] = why
    if not work.report.dry_run:
        later = dict.fromkeys(wanted, work.settings.now + LATER)
        await work.commit(Freeing(queue.postpone, repository, kind, later))


async def _manifests(work: Work, repository: int, name: str, wanted: Sequence[Digest]) -> None:
    terms, now = work.settings.terms, work.settings.now
    plan = await look(work.catalog, changes.plan_manifests(repository, wanted, terms, now))
    gone = [digest for digest in _planned(plan) if (repository, digest) not in work.told]
    if work.report.dry_run:
        work.told.update((repository, digest) for digest in gone)
    else:
        gone = await _delete_manifests(work, repository, plan)
        for part in plan.kept(PAGE):
            await work.commit(Freeing(changes.settle, repository, candidates.MANIFEST, part, now))
    work.report.manifests += len(gone)
    for digest in gone:
        work.report.add("manifest", name, digest)


def _planned(plan: Plan) -> list[Digest]:
    return [digest for batch in plan.batches for digest in batch]


async def _delete_manifests(work: Work, repository: int, plan: Plan) -> list[Digest]:
    terms, now = work.settings.terms, work.settings.now
    planned = _planned(plan)
    gone: list[Digest] = []
    for batch in plan.batches:  # at most as many as the walk may meet, by BATCH
        gone += await work.commit(
            Freeing(changes.delete_manifests, repository, batch, terms, now, spare=planned)
        )
    return gone


async def _blobs(work: Work, repository: int, name: str, wanted: Sequence[Digest]) -> None:
    terms, now = work.settings.terms, work.settings.now
    if work.report.dry_run:
        gone = _planned(await look(work.catalog, changes.blob_plan(repository, wanted, terms, now)))
    else:
        gone = list(
            await work.commit(Freeing(changes.delete_blobs, repository, wanted, terms, now))
        )
    work.report.blobs += len(gone)
    for digest in gone:
        work.report.add("blob", name, digest)


async def _objects(work: Work, wanted: Sequence[Digest]) -> None:
    now, delay = work.settings.now, work.settings.trash_delay
    if work.report.dry_run:
        gone = await look(work.catalog, trash.unheld(wanted))
    else:
        gone = await work.commit(Freeing(changes.delete_objects, wanted, now, delay))
    work.report.objects += len(gone)
    work.report.bytes += sum(one.size for one in gone)
    for one in gone:
        work.report.add("object", "", one.digest)


async def _uploads(work: Work) -> None:
    """Expired sessions: dead first, then their bytes go, then their rows ("Collection" 10)."""
    now = work.settings.now
    for _ in range(PAGES):
        found = await look(work.catalog, expiry.expired(now, PAGE))
        if not found:
            return
        dead = await work.commit(Freeing(expiry.kill, found, now))
        for session, place in dead.items():
            if place:
                await work.blobs.discard(place)
            work.report.add("upload", "", session)
        work.report.uploads += len(dead)
        await work.commit(Freeing(expiry.forget, dead))


async def _trash(work: Work) -> None:
    """Files first, then their rows: removing again is harmless ("Collection" 11)."""
    for _ in range(PAGES):
        locations = await look(work.catalog, trash.due(work.settings.now, PAGE))
        if not locations:
            return
        for location in locations:
            await work.blobs.remove(location)
        await work.commit(Freeing(trash.forget, locations))
        work.report.files += len(locations)


def log_report(report: Report) -> None:
    """Say what was done, if anything was."""
    if report.manifests or report.blobs or report.objects or report.uploads or report.files:
        _log.info(
            "collected %d manifests, %d blobs, %d objects (%d bytes), %d uploads, %d files",
            report.manifests,
            report.blobs,
            report.objects,
            report.bytes,
            report.uploads,
            report.files,
        )
    for name, why in report.skipped.items():
        _log.warning("repository %s was not collected: it %s", name, why)
