"""Asking the questions of a change without a transaction, and off the event loop."""

import asyncio
from collections.abc import Sequence
from typing import Generic

from msgspec import Struct

from retinue.registry.catalog.db import Catalog, Change, Row, Sql, T


class _Ended(Struct, Generic[T]):
    """What a change returned: StopIteration cannot come out of a thread."""

    result: T


async def look(catalog: Catalog, questions: Change[T]) -> T:
    """Drive a change that only reads, each statement on its own.

    For upkeep: what it asks, and what it makes of the answers, may take seconds, and requests wait
    for neither. So the statements are scans, and a thread runs what lies between them.
    """
    rows: Sequence[Row] | None = None
    while True:  # as many rounds as the change has statements
        step = await asyncio.to_thread(_advance, questions, rows)
        if isinstance(step, _Ended):
            return step.result
        sql, args = step
        rows = await catalog.scan(sql, *args)


def _advance(questions: Change[T], rows: Sequence[Row] | None) -> "tuple[Sql, Row] | _Ended[T]":
    try:
        return next(questions) if rows is None else questions.send(rows)
    except StopIteration as stop:
        return _Ended(stop.value)
