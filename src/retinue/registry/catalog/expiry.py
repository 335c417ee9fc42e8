"""Upload sessions whose time is over."""

from collections.abc import Collection
from typing import cast

from retinue.registry.catalog.bulk import bulk, column
from retinue.registry.catalog.db import Change, Sql

_EXPIRED = Sql("""
    select id from upload where expires <= :now and leased_until <= :now
    order by expires limit :most""")
_KILL = bulk("""
    update upload set state = 3, lease = '', leased_until = 0
    where expires <= :now and leased_until <= :now
    and id in (select e.value ->> 0 from json_each(:ids) e) returning id, location""")
_FORGET = bulk("""
    delete from upload where state = 3 and id in (select e.value ->> 0 from json_each(:ids) e)""")


def expired(now: int, most: int) -> Change[list[str]]:
    """Sessions of any state that nobody writes and that have expired."""
    found = yield _EXPIRED, (now, most)
    return [cast("str", session) for (session,) in found]


def kill(sessions: Collection[str], now: int) -> Change[dict[str, str]]:
    """Those of `sessions` that are still expired are dead from now on.

    Returns where the bytes of each are; "" where there are none.
    """
    found = yield _KILL, (now, column(sorted(sessions)))
    return dict(cast("list[tuple[str, str]]", found))


def forget(sessions: Collection[str]) -> Change[None]:
    """The bytes of these dead sessions are gone."""
    yield _FORGET, (column(sorted(sessions)),)
