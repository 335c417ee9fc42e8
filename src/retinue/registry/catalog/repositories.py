"""Repositories and their projects. They spring into existence with the first write."""

from typing import cast

from retinue.registry.catalog.db import Catalog, Change, Sql

FIND = Sql("select id from repository where name = :name")
_PROJECT = Sql("""
    insert into project (name) values (:name)
    on conflict (name) do update set name = excluded.name returning id""")
_CREATE = Sql("""
    insert into repository (project, name) values (:project, :name)
    on conflict (name) do update set name = excluded.name returning id""")
_CHANGED = Sql("update repository set paper_seq = paper_seq + 1 where id = :repository")


def find(name: str) -> Change[int | None]:
    found = yield FIND, (name,)
    return cast("int", found[0][0]) if found else None


def ensure(name: str) -> Change[int]:
    """The id of a repository, made now if it has none; its project is the first component."""
    known = yield from find(name)
    if known is not None:
        return known
    project = yield _PROJECT, (name.partition("/")[0],)
    made = yield _CREATE, (project[0][0], name)
    return cast("int", made[0][0])


def papers_changed(repository: int) -> Change[None]:
    """Cached referrers lists are out of date. A hot row: the last statement of its transaction."""
    yield _CHANGED, (repository,)


async def lookup(catalog: Catalog, name: str) -> int | None:
    found = await catalog.one(FIND, name)
    return cast("int", found[0]) if found else None
