"""Lists of tags, put together by the database: 2,000 names are one value, not 2,000 rows."""

from typing import NamedTuple, cast

from retinue.registry.catalog.db import Catalog, Sql

# Tags hold no character that JSON or this separator would have to escape.
LIST = Sql(
    """select r.id, (
        select group_concat(x.name, '","') from (
            select t.name from tag t where t.repository = r.id and t.name > :last
            order by t.name limit :most) x)
    from repository r where r.name = :name""",
    postgres="""select r.id, (
        select string_agg(x.name, '","' order by x.name) from (
            select t.name from tag t where t.repository = r.id and t.name > :last
            order by t.name limit :most) x)
    from repository r where r.name = :name""",
)
SEPARATOR = '","'


class Tags(NamedTuple):
    """`joined`: names in order of code points, with SEPARATOR between them."""

    repository: int
    joined: str


async def listed(catalog: Catalog, name: str, last: str, most: int) -> Tags | None:
    """At most `most` tags after `last`; None when there is no such repository."""
    row = await catalog.one(LIST, last, most, name)
    if row is None:
        return None
    return Tags(cast("int", row[0]), cast("str | None", row[1]) or "")
