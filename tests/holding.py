"""A change of a catalog for tests that need any: a row of a table that nothing refers to."""

from collections.abc import Callable

from retinue.registry.catalog.db import Change, Sql

PUT = Sql("insert into hold (name, until) values (:name, :until)")


def put(name: str) -> Callable[[], Change[str]]:
    def change() -> Change[str]:
        yield PUT, (name, 1)
        return name

    return change
