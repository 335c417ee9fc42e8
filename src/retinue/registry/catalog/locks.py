"""Locks on one repository, held to the end of the transaction.

Constructive transactions take the shared lock first, destructive ones the exclusive one, each as a
statement of its own, because under READ COMMITTED the snapshot must follow the lock. SQLite has one
writer: there it is an idle statement.
"""

from retinue.registry.catalog.db import Change, Sql

SHARED = Sql(
    "select :repository",
    postgres="select pg_advisory_xact_lock_shared(:repository)",
    idle=True,
)
EXCLUSIVE = Sql(
    "select :repository",
    postgres="select pg_advisory_xact_lock(:repository)",
    idle=True,
)


def shared(repository: int) -> Change[None]:
    """For what adds, mounts or touches in `repository` (its id)."""
    yield SHARED, (repository,)


def exclusive(repository: int) -> Change[None]:
    """For what deletes in `repository` (its id)."""
    yield EXCLUSIVE, (repository,)
