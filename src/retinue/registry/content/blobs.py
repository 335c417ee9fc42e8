"""Blobs as changes: stored by one repository, or mounted from another."""

from retinue.oci.digest import Digest
from retinue.registry.access.principal import Principal
from retinue.registry.access.rules import Action
from retinue.registry.catalog import candidates, locks, objects, uploads
from retinue.registry.catalog import repositories as repos
from retinue.registry.catalog.db import Change
from retinue.registry.content.services import Services
from retinue.registry.content.sessions import Ticket
from retinue.registry.content.times import SECOND, Times, times
from retinue.registry.storage.blobstore import Kept

MOST_HOLDERS = 64
"""Repositories that are considered when a client mounts without saying from where."""
REPEATABLE = 600 * SECOND
"""How long a finished session answers a PUT that is repeated (storage rule 5)."""


def store_inline(
    name: str, digest: Digest, body: bytes, times: Times, ticket: Ticket | None
) -> Change[None]:
    """A blob as a row, and the end of its session if it had one."""
    repository = yield from repos.ensure(name)
    yield from locks.shared(repository)
    trash = objects.Trash(times.now, times.trash_delay)
    object_id = yield from objects.put_inline(digest, body, trash)
    yield from _hold(repository, digest, object_id, len(body), times)
    if ticket is not None:
        yield from _finished(repository, ticket, digest, len(body), times)


def store_file(
    name: str, digest: Digest, kept: Kept, times: Times, ticket: Ticket | None
) -> Change[int]:
    """A blob under a location, and the end of a session that had no row; returns the repository."""
    repository = yield from repos.ensure(name)
    yield from locks.shared(repository)
    trash = objects.Trash(times.now, times.trash_delay)
    object_id = yield from objects.put_file(digest, kept.location, kept.size, trash)
    yield from _hold(repository, digest, object_id, kept.size, times)
    if ticket is not None:
        yield from _finished(repository, ticket, digest, kept.size, times)
    return repository


def _hold(repository: int, digest: Digest, object_id: int, size: int, times: Times) -> Change[None]:
    yield from objects.hold(repository, digest, object_id, size, times.now)
    yield from candidates.enqueue([(repository, candidates.BLOB, digest, times.due)])


def _finished(
    repository: int, ticket: Ticket, digest: Digest, size: int, times: Times
) -> Change[None]:
    expires = times.now + REPEATABLE
    row = uploads.Start(ticket.session, repository, ticket.principal, "", ticket.algorithm, expires)
    yield from uploads.start(row, size, digest, "", uploads.DONE)


async def mount(
    services: Services, name: str, digest: Digest, source: str | None, principal: Principal
) -> bool:
    """Hold a blob that another repository has, one that the caller may pull (storage rule 11).

    False alike when there is none, and when the caller may not know of it.
    """
    if source is None:
        names = await objects.holders(services.catalog, digest, MOST_HOLDERS)
    else:
        names = [source]
    allowed = [each for each in names if services.access.allows(principal, Action.PULL, each)]
    if not allowed:
        return False
    now = times(services.config, services.clock())
    return await services.catalog.commit(lambda: _mount(name, allowed[0], digest, now))


def _mount(name: str, source: str, digest: Digest, times: Times) -> Change[bool]:
    origin = yield from repos.find(source)
    if origin is None or not (yield from objects.holds(origin, digest)):
        return False
    repository = yield from repos.ensure(name)
    yield from locks.shared(repository)
    held = yield from objects.held_object(origin, digest)
    if held is None:
        return False
    object_id, size = held
    yield from _hold(repository, digest, object_id, size, times)
    return True
