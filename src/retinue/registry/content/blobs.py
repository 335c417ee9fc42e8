"""Blobs as changes: stored by one repository, or mounted from another."""

from collections.abc import Callable
from typing import TypeAlias

from retinue.oci.digest import Digest
from retinue.registry.access.principal import Principal
from retinue.registry.access.rules import Action
from retinue.registry.catalog import candidates, locks, objects, reads, trash, uploads
from retinue.registry.catalog import repositories as repos
from retinue.registry.catalog.db import Change
from retinue.registry.catalog.objects import Judged, Placed, Rival
from retinue.registry.content.errors import UploadUnknown
from retinue.registry.content.pull import is_sound
from retinue.registry.content.services import Services
from retinue.registry.content.sessions import Ticket
from retinue.registry.content.times import SECOND, Times, times
from retinue.registry.storage.blobstore import Kept

MOST_HOLDERS = 64
"""Repositories that are considered when a client mounts without saying from where."""
REPEATABLE = 600 * SECOND
"""How long a finished session answers a PUT that is repeated (storage rule 5)."""

Known: TypeAlias = Judged | bytes | None
"""What was learned about the copy that is stored already: whether it is whole; or, where that is
a row, the bytes that were just verified, for the row."""


def store_inline(
    name: str, digest: Digest, body: bytes, times: Times, ticket: Ticket | None
) -> Change[None]:
    """A blob as a row, and the end of its session if it had one."""
    repository = yield from repos.ensure(name)
    yield from locks.shared(repository)
    object_id = yield from objects.put_inline(digest, body, _replaced(times))
    yield from _hold(repository, digest, object_id, len(body), times)
    if ticket is not None:
        yield from _finished(repository, ticket, digest, len(body), times)


End: TypeAlias = Callable[[int], Change[None]]
"""What ends the session of a blob that is stored, given the repository."""


def no_session(_repository: int) -> Change[None]:
    """The blob came in one request."""
    yield from ()


def end_of(ticket: Ticket | None, digest: Digest, size: int, times: Times) -> End:
    """Of a session that had no row, if there was one."""
    if ticket is None:
        return no_session
    return lambda repository: _finished(repository, ticket, digest, size, times)


def store_file(
    name: str, digest: Digest, kept: Kept, times: Times, end: End, known: Known
) -> Change[Rival | None]:
    """A blob under a location. Returns a copy that has to be looked at first; then nothing was
    stored. Raises what `end` does, and ConstraintViolated when the copy is in the trash."""
    repository = yield from repos.ensure(name)
    yield from locks.shared(repository)
    if isinstance(known, bytes):
        row = yield from objects.put_inline(digest, known, _replaced(times))
        placed: Placed | Rival = Placed(row, surplus=True)
    else:
        placed = yield from objects.put_file(
            digest, kept.location, kept.size, _replaced(times), known
        )
    if isinstance(placed, Rival):
        return placed
    yield from _hold(repository, digest, placed.object, kept.size, times)
    yield from end(repository)
    if placed.surplus:  # last: until its upload has ended the copy is that upload's
        yield from trash.discard([kept.location], times.now)
    return None


def _replaced(times: Times) -> objects.Trash:
    return objects.Trash(times.now, times.trash_delay)


def _hold(repository: int, digest: Digest, object_id: int, size: int, times: Times) -> Change[None]:
    yield from objects.hold(repository, digest, object_id, size, times.now)
    yield from candidates.enqueue([(repository, candidates.BLOB, digest, times.due)])


def _finished(
    repository: int, ticket: Ticket, digest: Digest, size: int, times: Times
) -> Change[None]:
    """Raises UploadUnknown."""
    expires = times.now + REPEATABLE
    row = uploads.Start(ticket.session, repository, ticket.principal, "", ticket.algorithm, expires)
    if not (yield from uploads.start(row, size, digest, "", uploads.DONE)) and (
        yield from uploads.is_dead(ticket.session)
    ):
        raise UploadUnknown(ticket.id)  # it was cancelled meanwhile


async def mount(
    services: Services, name: str, digest: Digest, source: str | None, principal: Principal
) -> bool:
    """Hold a blob that another repository has, one that the caller may pull (storage rule 11).

    False alike when there is none, when the caller may not know of it, and when its copy is lost:
    then the client uploads it.
    """
    if source is None:
        names = await objects.holders(services.catalog, digest, MOST_HOLDERS)
    else:
        names = [source]
    allowed = [each for each in names if services.access.allows(principal, Action.PULL, each)]
    if not allowed:
        return False
    found = await reads.blob(services.catalog, allowed[0], digest)
    if found is None or not await is_sound(services, found):
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
