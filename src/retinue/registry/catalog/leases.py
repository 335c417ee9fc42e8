"""Leases: they save double work, and nothing rests on them (storage.md, PostgreSQL).

They trust no clock: one that ends later than any taken now could, by as long again, was taken
before a clock was set back, and is void.
"""

from retinue.registry.catalog.db import Change, Sql

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
