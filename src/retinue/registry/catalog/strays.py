"""What lies in the store and belongs to no object, no upload and not to the trash."""

from collections.abc import Collection
from typing import cast

from msgspec import Struct

from retinue.oci.digest import Digest
from retinue.registry.catalog.bulk import bulk, hexa, rows
from retinue.registry.catalog.db import Change
from retinue.registry.catalog.trash import discard

_COPIES = bulk("""
    select o.location from json_each(:wanted) e
    join object o on o.digest = unhex(e.value ->> 1) and o.location = e.value ->> 0
    union all
    select t.location from json_each(:wanted) e join trash t on t.location = e.value ->> 0
    union all
    select e.value ->> 0 from json_each(:wanted) e
    join upload u on u.id = e.value ->> 3 and u.location = e.value ->> 2
    where u.state = 1""")
_PLACES = bulk("""
    select t.location from json_each(:wanted) e join trash t on t.location = e.value ->> 0
    union all
    select u.location from json_each(:wanted) e
    join upload u on u.id = e.value ->> 1 and u.location = e.value ->> 0""")


class Copy(Struct, frozen=True):
    """A file: its location, the digest in that name, and the place and upload it came from."""

    location: str
    digest: Digest
    place: str
    session: str


class Place(Struct, frozen=True):
    """Bytes on their way: their location among uploads, and the upload that it is called after."""

    location: str
    session: str


def stray_copies(found: Collection[Copy]) -> Change[list[str]]:
    """Those that no row names. An open upload may still commit what it has kept."""
    cells = rows((each.location, hexa(each.digest), each.place, each.session) for each in found)
    known = {cast("str", row[0]) for row in (yield _COPIES, (cells,))}
    return [each.location for each in found if each.location not in known]


def stray_places(found: Collection[Place]) -> Change[list[str]]:
    """Those that no row names."""
    cells = rows((each.location, each.session) for each in found)
    known = {cast("str", row[0]) for row in (yield _PLACES, (cells,))}
    return [each.location for each in found if each.location not in known]


def trash_copies(found: Collection[Copy], due: int) -> Change[list[str]]:
    """Look again, and put into the trash what no row names still. Raises ConstraintViolated when
    one is committed at the same time."""
    gone = yield from stray_copies(found)
    yield from discard(gone, due)
    return gone


def trash_places(found: Collection[Place], due: int) -> Change[list[str]]:
    """As `trash_copies`."""
    gone = yield from stray_places(found)
    yield from discard(gone, due)
    return gone
