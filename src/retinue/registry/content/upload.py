"""Upload sessions: one writer each, in order, resumable (storage rules 5 and 6).

A body that is cut off is never taken for the whole. Of a stream (no Content-Range) the bytes that
came are kept, and GET says where to go on; of a chunk with a Content-Range nothing is, so that the
same chunk can be sent again.
"""

import os
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.stores import DigestMismatch
from retinue.registry.catalog import repositories as repos
from retinue.registry.catalog import uploads
from retinue.registry.catalog.db import CatalogUnavailable, Change, Freeing
from retinue.registry.catalog.objects import Rival
from retinue.registry.catalog.uploads import Session
from retinue.registry.content import blobs, sessions
from retinue.registry.content.blobs import Known
from retinue.registry.content.errors import RangeOutOfOrder, SizeInvalid, UploadUnknown
from retinue.registry.content.lease import Lease, LeaseLost
from retinue.registry.content.receive import Pump, chain, small
from retinue.registry.content.services import Services
from retinue.registry.content.sessions import Ticket
from retinue.registry.content.settling import Trashed, settle
from retinue.registry.content.times import Times, times
from retinue.registry.storage.blobstore import Kept, Upload, UploadBusy, UploadLost
from retinue.wire import paths


class Body(Struct, frozen=True):
    """What a request brings. `span`: its Content-Range as (start, end), end exclusive; `length`:
    its Content-Length."""

    chunks: AsyncIterable[bytes]
    span: tuple[int, int] | None = None
    length: int | None = None

    @property
    def size(self) -> int | None:
        return self.length if self.span is None else self.span[1] - self.span[0]

    def require_start(self, offset: int, ticket: Ticket) -> None:
        """Raises RangeOutOfOrder."""
        if self.span is not None and self.span[0] != offset:
            raise RangeOutOfOrder(offset, location(ticket))

    def require_size(self, received: int) -> None:
        """Raises SizeInvalid when another number of bytes came than Content-Range says."""
        if self.span is not None and received != self.span[1] - self.span[0]:
            raise SizeInvalid(self.span[1] - self.span[0], received, "Content-Range")


def location(ticket: Ticket) -> str:
    """The path of a session."""
    return paths.uploads(ticket.name) + ticket.id


def begin(services: Services, name: str, principal: str, algorithm: str = "sha256") -> Ticket:
    """A new session. Raises InvalidDigest for an algorithm that is not supported."""
    entropy = os.urandom(sessions.ENTROPY)
    return sessions.issue(services.secret, name, principal, services.clock(), entropy, algorithm)


async def status(services: Services, ticket: Ticket) -> int:
    """Bytes that the session has. Raises UploadUnknown."""
    session = await _find(services, ticket)
    if session is not None and session.state != uploads.OPEN:
        raise UploadUnknown(ticket.id)
    return session.size if session else 0


async def _find(services: Services, ticket: Ticket) -> Session | None:
    """The row; None for a fresh session. Raises UploadUnknown when it is over."""
    session = await uploads.find(services.catalog, ticket.session)
    now = times(services.config, services.clock())
    ends = session.expires if session else ticket.born + now.upload_expires
    if ends < now.now or (session is not None and session.state == uploads.DEAD):
        raise UploadUnknown(ticket.id)
    return session


async def append(services: Services, ticket: Ticket, body: Body) -> int:
    """Add bytes; returns how many the session has.

    Raises UploadUnknown, RangeOutOfOrder, SizeInvalid, UploadTooLarge, StorageFailed, and what
    ended the connection.
    """
    session = await _find(services, ticket)
    if session is None:
        return await _append_first(services, ticket, body)
    if session.state != uploads.OPEN:
        raise UploadUnknown(ticket.id)
    body.require_start(session.size, ticket)
    async with _resumed(services, ticket, session, body) as (upload, lease):
        pump = Pump(upload, services.config.max_blob, _guard(services, lease))
        cut = await pump.fill(body.chunks)
        if cut is not None and body.span is not None:
            raise cut
        body.require_size(pump.offset - session.size)
        if pump.offset > session.size:
            await lease.record(pump.offset, pump.reached)
    if cut is not None:
        raise cut
    return pump.offset


async def _append_first(services: Services, ticket: Ticket, body: Body) -> int:
    """The first bytes go to a place of their own: of two who bring some, one gets the row."""
    body.require_start(0, ticket)
    async with _private(services, ticket.session, ticket.algorithm, body) as (place, upload):
        pump = Pump(upload, services.config.max_blob, _guard(services))
        cut = await pump.fill(body.chunks)
        if cut is not None and (body.span is not None or not pump.offset):
            raise cut
        body.require_size(pump.offset)
        now = times(services.config, services.clock())
        if not await services.catalog.commit(
            lambda: _start(ticket, place, pump.offset, pump.reached, services.boot, now)
        ):
            raise await _order(services, ticket, "another request began this upload")
    if cut is not None:
        raise cut
    return pump.offset


def _start(
    ticket: Ticket, place: str, size: int, reached: Digest | None, boot: str, times: Times
) -> Change[bool]:
    repository = yield from repos.find(ticket.name)
    expires = times.now + times.upload_expires
    row = uploads.Start(
        ticket.session, repository, ticket.principal, place, ticket.algorithm, expires
    )
    return (yield from uploads.start(row, size, reached, boot, uploads.OPEN))


async def finish(services: Services, ticket: Ticket, digest: Digest, body: Body) -> None:
    """The last bytes, if any, and then the whole is a blob. Repeated within ten minutes: again.

    Raises as `append` does, and DigestMismatch, after which the session is as before.
    """
    session = await _find(services, ticket)
    if session is None:
        body.require_start(0, ticket)
        await store(services, ticket.name, digest, body, ticket)
    elif session.state == uploads.OPEN:
        await _finish(services, ticket, session, digest, body)
    elif session.reached != digest:
        raise UploadUnknown(ticket.id)


async def _finish(
    services: Services, ticket: Ticket, session: Session, digest: Digest, body: Body
) -> None:
    body.require_start(session.size, ticket)
    async with _resumed(services, ticket, session, body) as (upload, lease):
        pump = Pump(upload, services.config.max_blob, _guard(services, lease))
        size = await pump.take(body.chunks)
        body.require_size(size - session.size)
        kept = await pump.keep(digest)
        now = times(services.config, services.clock())
        await settle(
            services,
            digest,
            kept,
            lambda known: _store(ticket, lease.owner, digest, kept, now, known),
        )
        lease.over()


def _store(
    ticket: Ticket, owner: str, digest: Digest, kept: Kept, times: Times, known: Known
) -> Change[Rival | None]:
    """Raises LeaseLost."""

    def end(_repository: int) -> Change[None]:
        expires = times.now + blobs.REPEATABLE
        if not (yield from uploads.finish(ticket.session, owner, digest, kept.size, expires)):
            raise LeaseLost

    return (yield from blobs.store_file(ticket.name, digest, kept, times, end, known))


async def store(
    services: Services, name: str, digest: Digest, body: Body, ticket: Ticket | None = None
) -> None:
    """A blob in one request: a small one becomes a row, with one commit in all.

    Raises DigestMismatch, SizeInvalid, UploadTooLarge, StorageFailed, and what ended the
    connection.
    """
    parts: list[bytes] = []
    if body.size is None or body.size <= services.config.inline_blob:
        parts, whole = await small(body.chunks, services.config.inline_blob)
        if whole:
            await _store_inline(services, name, digest, b"".join(parts), body, ticket)
            return
    algorithm = digests.algorithm(digest)
    session = ticket.session if ticket else begin(services, name, "", algorithm).session
    async with _private(services, session, algorithm, body) as (_, upload):
        pump = Pump(upload, services.config.max_blob, _guard(services))
        body.require_size(await pump.take(chain(parts, body.chunks)))
        kept = await pump.keep(digest)
        now = times(services.config, services.clock())
        end = blobs.end_of(ticket, digest, kept.size, now)
        await settle(
            services,
            digest,
            kept,
            lambda known: blobs.store_file(name, digest, kept, now, end, known),
        )


async def _store_inline(
    services: Services, name: str, digest: Digest, data: bytes, body: Body, ticket: Ticket | None
) -> None:
    body.require_size(len(data))
    actual = digests.of(data, digests.algorithm(digest))
    if actual != digest:
        raise DigestMismatch(digest, actual)
    now = times(services.config, services.clock())
    await services.catalog.commit(lambda: blobs.store_inline(name, digest, data, now, ticket))


def _guard(services: Services, lease: Lease | None = None) -> Callable[[], Awaitable[None]]:
    """What is asked before bytes are written: for room, and for whether this is the one writer."""

    async def guard() -> None:
        if (full := services.catalog.full()) is not None:
            raise CatalogUnavailable(full)
        if lease is not None:
            await lease.keep()

    return guard


@asynccontextmanager
async def _private(
    services: Services, session: str, algorithm: str, body: Body
) -> AsyncIterator[tuple[str, Upload]]:
    """An upload that nobody else can know; what goes wrong takes its bytes along."""
    place = f"{session}-{secrets.token_hex(4)}"
    upload = await services.blobs.upload(place, algorithm=algorithm, size=body.size)
    try:
        yield place, upload
    except BaseException:
        await upload.close()
        await services.blobs.discard(place)
        raise
    await upload.close()


@asynccontextmanager
async def _resumed(
    services: Services, ticket: Ticket, session: Session, body: Body
) -> AsyncIterator[tuple[Upload, Lease]]:
    """The bytes of a session, open for the one writer; the lease ends with it.

    Raises RangeOutOfOrder when there is another writer, UploadUnknown when the bytes are gone.
    """
    lease = Lease(services, ticket.session, session.size)
    if not await lease.take():
        raise await _order(services, ticket, "another request is writing")
    try:
        grown = session.size + body.size if body.size is not None else None
        upload = await services.blobs.upload(
            session.location,
            session.size,
            reached=session.reached if session.boot == services.boot else None,
            algorithm=session.algorithm,
            size=grown,
        )
        try:
            yield upload, lease
        finally:
            await upload.close()
    except (UploadBusy, LeaseLost) as problem:
        raise await _order(services, ticket, str(problem)) from problem
    except (UploadLost, Trashed) as problem:
        await services.catalog.commit(Freeing(uploads.kill, ticket.session))
        raise UploadUnknown(ticket.id) from problem
    finally:
        await lease.release()


async def _order(services: Services, ticket: Ticket, reason: str) -> RangeOutOfOrder:
    """What to raise where another request was first. Raises UploadUnknown when that ended it."""
    session = await _find(services, ticket)
    return RangeOutOfOrder(session.size if session else 0, location(ticket), reason)


async def cancel(services: Services, ticket: Ticket) -> None:
    """End a session and drop its bytes. Raises UploadUnknown."""
    session = await _find(services, ticket)
    if session is not None and session.state != uploads.OPEN:
        raise UploadUnknown(ticket.id)
    now = times(services.config, services.clock())
    place = await services.catalog.commit(Freeing(_cancel, ticket, now))
    if place is None:
        raise UploadUnknown(ticket.id)
    if place:
        await services.blobs.discard(place)


def _cancel(ticket: Ticket, times: Times) -> Change[str | None]:
    """Where its bytes are, empty when it has none; None when it was over already."""
    repository = yield from repos.find(ticket.name)
    expires = ticket.born + times.upload_expires
    row = uploads.Start(ticket.session, repository, ticket.principal, "", ticket.algorithm, expires)
    if (yield from uploads.start(row, 0, None, "", uploads.DEAD)):
        return ""
    return (yield from uploads.kill(ticket.session))
