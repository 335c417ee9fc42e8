"""Upload sessions. A fresh one has no row: its id says all (see content/upload.py)."""

from typing import cast

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.catalog.db import Catalog, Change, Row, Sql

OPEN = 1
DONE = 2
DEAD = 3

FIND = Sql("""
    select location, size, algorithm, reached, boot, leased_until, state, expires
    from upload where id = :id""")
_START = Sql("""
    insert into upload (id, repository, principal, location, size, algorithm, reached, boot,
        lease, leased_until, state, expires)
    values (:id, :repository, :principal, :location, :size, :algorithm, :reached, :boot,
        '', 0, :state, :expires)
    on conflict (id) do nothing returning id""")
_LEASE = Sql("""
    update upload set lease = :lease, leased_until = :until
    where id = :id and state = 1 and size = :size
    and (lease = '' or lease = :lease or leased_until < :now
        or leased_until - :until > :until - :now) returning id""")
_RECORD = Sql("""
    update upload set size = :size, reached = :reached, boot = :boot, expires = :expires,
        lease = '', leased_until = 0
    where id = :id and state = 1 and lease = :lease returning id""")
_RELEASE = Sql("""
    update upload set lease = '', leased_until = 0 where id = :id and lease = :lease""")
_FINISH = Sql("""
    update upload set state = 2, reached = :digest, size = :size, location = '', lease = '',
        leased_until = 0, expires = :expires
    where id = :id and state = 1 and lease = :lease returning id""")
_KILL = Sql("""
    update upload set state = 3, lease = '', leased_until = 0
    where id = :id and state = 1 returning location""")

_DEAD = Sql("select 1 from upload where id = :id and state = 3")


class Session(Struct, frozen=True):
    """One row. `size`: bytes acknowledged. `reached`: their digest, if it was at hand then, valid
    within the boot named `boot`; of a finished session the digest of the blob."""

    location: str
    size: int
    algorithm: str
    reached: Digest | None
    boot: str
    leased_until: int
    state: int
    expires: int


class Start(Struct, frozen=True):
    """A session that gets its row. `repository` is None where there is none of that name yet: an
    upload makes none."""

    session: str
    repository: int | None
    principal: str
    location: str
    algorithm: str
    expires: int


def _session(row: Row) -> Session:
    location, size, algorithm, reached, boot, until, state, expires = cast(
        "tuple[str, int, str, bytes, str, int, int, int]", row
    )
    at = digests.from_bytes(reached) if reached else None
    return Session(location, size, algorithm, at, boot, until, state, expires)


def _raw(reached: Digest | None) -> bytes:
    return digests.to_bytes(reached) if reached is not None else b""


async def find(catalog: Catalog, session: str) -> Session | None:
    row = await catalog.one(FIND, session)
    return _session(row) if row else None


def start(new: Start, size: int, reached: Digest | None, boot: str, state: int) -> Change[bool]:
    """The first row of a session; False when it has one already."""
    cells = (new.session, new.repository, new.principal, new.location, size, new.algorithm)
    made = yield _START, (*cells, _raw(reached), boot, state, new.expires)
    return bool(made)


def is_dead(session: str) -> Change[bool]:
    """Whether it was cancelled, or has expired."""
    return bool((yield _DEAD, (session,)))


def lease(session: str, size: int, owner: str, until: int, now: int) -> Change[bool]:
    """Become the one writer, if the session is open, has `size` bytes and no other writer.

    The writer itself asks again to go on (storage rule 5).
    """
    return bool((yield _LEASE, (owner, until, session, size, now)))


def record(
    session: str, owner: str, size: int, reached: Digest | None, boot: str, expires: int
) -> Change[bool]:
    """Acknowledge bytes and give up the lease; False when it was lost."""
    return bool((yield _RECORD, (size, _raw(reached), boot, expires, session, owner)))


def release(session: str, owner: str) -> Change[None]:
    """Give up the lease; what was acknowledged stays so."""
    yield _RELEASE, (session, owner)


def finish(session: str, owner: str, digest: Digest, size: int, expires: int) -> Change[bool]:
    """The blob is stored; the row stays a while, for a PUT that is repeated."""
    return bool((yield _FINISH, (digests.to_bytes(digest), size, expires, session, owner)))


def kill(session: str) -> Change[str | None]:
    """End an open session; returns where its bytes are, None when it was not open."""
    gone = yield _KILL, (session,)
    return cast("str", gone[0][0]) if gone else None
