"""Leases: they save double work, and nothing rests on them (storage.md, PostgreSQL).

They trust no clock: one that ends later than any taken now could, by as long again, was taken
before a clock was set back, and is void.
"""

from collections.abc import Callable

from retinue.errors import RetinueError
from retinue.registry.catalog.db import Catalog, Change, Freeing, Sql

_TAKE = Sql("""
    insert into lease (name, owner, until) values (:name, :owner, :until)
    on conflict (name) do update set owner = excluded.owner, until = excluded.until
    where lease.owner = excluded.owner or lease.until <= :now
    or lease.until - excluded.until > excluded.until - :now returning owner""")
_RELEASE = Sql("delete from lease where name = :name and owner = :owner")


def take(name: str, owner: str, now: int, until: int) -> Change[bool]:
    """Take or renew a lease; False while somebody else has it."""
    return bool((yield _TAKE, (name, owner, until, now)))


def release(name: str, owner: str) -> Change[None]:
    yield _RELEASE, (name, owner)


class Superseded(RetinueError):
    """A lease ran out, and somebody else took it."""


class Leasehold:
    """A lease that is renewed while work goes on. `length` and what `clock` says: microseconds."""

    def __init__(
        self, catalog: Catalog, name: str, owner: str, length: int, clock: Callable[[], int]
    ) -> None:
        self._catalog = catalog
        self._name = name
        self._owner = owner
        self._length = length
        self._clock = clock
        self._until = 0

    async def take(self) -> bool:
        """Take or renew it; False while somebody else has it. Raises CatalogUnavailable."""
        now = self._clock()
        self._until = now + self._length
        return await self._catalog.commit(Freeing(take, self._name, self._owner, now, self._until))

    async def keep(self) -> None:
        """Renew it when half of its time is over. Raises Superseded, CatalogUnavailable."""
        left = self._until - self._clock()
        if not self._length // 2 < left <= self._length and not await self.take():
            raise Superseded(f"somebody else has the lease {self._name} now")

    async def release(self) -> None:
        await self._catalog.commit(Freeing(release, self._name, self._owner))
