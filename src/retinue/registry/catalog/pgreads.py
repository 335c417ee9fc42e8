"""Reads on PostgreSQL: what one tick of the event loop asks goes out in one pipeline."""

import asyncio
from collections.abc import Sequence

import psycopg
from msgspec import Struct

from retinue.registry.catalog.db import Row
from retinue.registry.catalog.pgconnections import (
    UNAVAILABLE,
    Connection,
    Pool,
    lost,
    unavailable,
)

PIPELINE = 64
"""Most statements in one pipeline."""


class Read(Struct, eq=False):
    text: str
    args: Row
    answer: "asyncio.Future[Sequence[Row]]"

    def tell(self, rows: Sequence[Row]) -> None:
        if not self.answer.done():
            self.answer.set_result(rows)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Reads:
    """Collects the reads of a tick and answers them over the connections of `pool`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._asked: list[Read] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, text: str, args: Row) -> Sequence[Row]:
        """The rows. Raises CatalogUnavailable, or psycopg.Error for a faulty statement."""
        loop = asyncio.get_running_loop()
        read = Read(text, args, loop.create_future())
        if not self._asked:
            loop.call_soon(self._send)
        self._asked.append(read)
        return await read.answer

    async def close(self) -> None:
        """Answer what is under way."""
        await asyncio.gather(*self._tasks)

    def _send(self) -> None:
        asked, self._asked = self._asked, []
        for start in range(0, len(asked), PIPELINE):
            task = asyncio.create_task(self._serve(asked[start : start + PIPELINE]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, reads: Sequence[Read]) -> None:
        try:
            await self._try_twice(reads)
        except Exception as error:  # every reader is answered
            for read in reads:
                read.fail(unavailable(error))

    async def _try_twice(self, reads: Sequence[Read]) -> None:
        try:
            await self._answer(reads)
        except UNAVAILABLE:  # a server that was restarted drops what was idle: ask once more
            await self._pool.forget()
            await self._answer(reads)

    async def _answer(self, reads: Sequence[Read]) -> None:
        async with self._pool.taken() as connection:
            try:
                answers = await _pipelined(connection, reads)
            except psycopg.Error as error:
                if lost(connection, error):
                    await connection.close()
                    raise
                await _each(connection, reads)  # one undid the whole pipeline: find out which
                return
        for read, rows in zip(reads, answers, strict=True):
            read.tell(rows)


async def _pipelined(connection: Connection, reads: Sequence[Read]) -> Sequence[Sequence[Row]]:
    cursors = []
    async with connection.pipeline():
        for read in reads:
            cursor = connection.cursor(binary=True)
            await cursor.execute(read.text.encode(), read.args)
            cursors.append(cursor)
    return [await cursor.fetchall() for cursor in cursors]


async def _each(connection: Connection, reads: Sequence[Read]) -> None:
    for read in reads:
        try:
            [rows] = await _pipelined(connection, [read])
        except psycopg.Error as error:
            if lost(connection, error):
                await connection.close()
                raise
            read.fail(unavailable(error))
        else:
            read.tell(rows)
