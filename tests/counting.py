"""A catalog that counts what it is asked, so that growth is measured without a clock."""

from collections.abc import AsyncIterator, Callable, Sequence

from retinue.registry.catalog.db import Catalog, Change, Row, Sql, T


class Counted:
    """A `Catalog` in front of another. `statements`: every one asked so far, in order."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.statements: list[Sql] = []

    def taken(self) -> int:
        """How many since it was last asked."""
        number = len(self.statements)
        self.statements.clear()
        return number

    async def one(self, sql: Sql, *args: object) -> Row | None:
        self.statements.append(sql)
        return await self._catalog.one(sql, *args)

    async def rows(self, sql: Sql, *args: object) -> Sequence[Row]:
        self.statements.append(sql)
        return await self._catalog.rows(sql, *args)

    async def pages(self, sql: Sql, *args: object) -> AsyncIterator[Sequence[Row]]:
        async for page in self._catalog.pages(sql, *args):
            self.statements.append(sql)
            yield page

    async def scan(self, sql: Sql, *args: object) -> Sequence[Row]:
        self.statements.append(sql)
        return await self._catalog.scan(sql, *args)

    async def commit(self, change: Callable[[], Change[T]]) -> T:
        return await self._catalog.commit(lambda: self._counted(change()))

    def gone(self) -> str | None:
        return self._catalog.gone()

    def full(self) -> str | None:
        return self._catalog.full()

    def generation(self) -> int | None:
        return self._catalog.generation()

    async def close(self) -> None:
        await self._catalog.close()

    def _counted(self, change: Change[T]) -> Change[T]:
        try:
            sql, args = next(change)
            while True:
                self.statements.append(sql)
                try:
                    rows = yield sql, args
                except Exception as error:
                    sql, args = change.throw(error)
                else:
                    sql, args = change.send(rows)
        except StopIteration as stop:
            result: T = stop.value
            return result
