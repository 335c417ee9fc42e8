"""Asking the questions of a change without a transaction."""

from retinue.registry.catalog.db import Catalog, Change, T


async def look(catalog: Catalog, questions: Change[T]) -> T:
    """Drive a change that only reads, each statement on its own."""
    try:
        sql, args = next(questions)
        while True:
            sql, args = questions.send(await catalog.rows(sql, *args))
    except StopIteration as stop:
        result: T = stop.value
        return result
