"""The lease on one upload session: who holds it is the one writer (storage rule 5)."""

import asyncio
import secrets

from retinue.oci.digest import Digest
from retinue.registry.catalog import uploads
from retinue.registry.catalog.db import Freeing
from retinue.registry.content.errors import UploadInvalid
from retinue.registry.content.services import Services
from retinue.registry.content.times import SECOND, times

LEASE = 60 * SECOND
"""How long a writer that died keeps others away, in microseconds."""


class LeaseLost(UploadInvalid):
    """Somebody else writes to this upload now, or it was cancelled."""

    def __init__(self) -> None:
        super().__init__("the upload was cancelled, or another request writes to it now")


class Lease:
    """Taken at an offset; renewed by `keep` when half of it is over; ended by `release`."""

    def __init__(self, services: Services, session: str, offset: int) -> None:
        self.owner = secrets.token_hex(8)
        self._services = services
        self._session = session
        self._offset = offset
        self._until = 0
        self._held = False

    async def take(self) -> bool:
        """False when the session has other bytes than thought, or another writer."""
        now = self._services.clock()
        until = now + LEASE
        self._held = await self._services.catalog.commit(
            lambda: uploads.lease(self._session, self._offset, self.owner, until, now)
        )
        self._until = until
        return self._held

    async def keep(self) -> None:
        """Before each write. Raises LeaseLost."""
        if self._services.clock() + LEASE // 2 > self._until and not await self.take():
            raise LeaseLost

    async def record(self, size: int, reached: Digest | None) -> None:
        """Acknowledge bytes, and end the lease. Raises LeaseLost."""
        now = times(self._services.config, self._services.clock())
        expires = now.now + now.upload_expires
        boot = self._services.boot
        done = await self._services.catalog.commit(
            lambda: uploads.record(self._session, self.owner, size, reached, boot, expires)
        )
        self.over()
        if not done:
            raise LeaseLost

    def over(self) -> None:
        """The session's row says already that nobody writes."""
        self._held = False

    async def release(self) -> None:
        """Let others write, also when the request was cancelled; what was acknowledged stays."""
        if self._held:
            self._held = False
            await asyncio.shield(
                asyncio.ensure_future(
                    self._services.catalog.commit(
                        Freeing(uploads.release, self._session, self.owner)
                    )
                )
            )
