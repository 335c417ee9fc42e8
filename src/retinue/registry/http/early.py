"""Answering before a request reaches the event loop.

Granian hands each request from its network thread to a thread that speaks Python, which makes a
coroutine of it and wakes the event loop. A hot read is answered there: that last hop, and a task,
cost as much as all else that is done for one. Why, and what this relies on: docs/adr/0008.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from threading import get_ident
from types import CoroutineType
from typing import Any

import uvloop

from retinue.registry.http.exchange import Scope, Wire
from retinue.registry.http.hot import Hot


class EarlyLoop(uvloop.Loop):
    """An event loop that lets a coroutine begin in the thread that hands it over.

    A coroutine (with something that goes with it) is handed over by the server alone. One that
    ends at once never gets to the loop.

    The server has the signals that end this process told to itself; `on_stop` is told as well.
    """

    on_stop: Callable[[], None] | None = None

    def add_signal_handler(  # type: ignore[override]  # any callback will do
        self, sig: int, callback: Callable[..., Any], *args: Any
    ) -> None:
        def told() -> None:
            callback(*args)
            if self.on_stop is not None:
                self.on_stop()

        super().add_signal_handler(sig, told)

    def call_soon_threadsafe(  # type: ignore[override]  # the server wants no handle
        self, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.Handle | None:
        if len(args) == 2 and isinstance(args[0], CoroutineType):
            try:
                args[0].send(None)
            except StopIteration:
                return None
        return super().call_soon_threadsafe(callback, *args, context=context)


def new_loop() -> asyncio.AbstractEventLoop:
    loop = EarlyLoop()
    asyncio.set_event_loop(loop)
    return loop


class Done:
    """An awaitable that is over."""

    def __await__(self) -> Generator[None, None, None]:
        return iter(())  # type: ignore[return-value]  # an iterator is all that await needs


DONE = Done()


class Passage:
    """Waits until it is stepped again: by then, in the event loop."""

    def __await__(self) -> Generator[None, None, None]:
        yield


_PASSAGE = Passage()


class Early:
    """Answers hot reads in whatever thread calls it, all others in the event loop's.

    Made in the event loop's thread.
    """

    def __init__(self, hot: Hot, app: Callable[[Scope, Wire], Awaitable[None]]) -> None:
        self._hot = hot
        self._app = app
        self._thread = get_ident()

    def __call__(self, scope: Scope, wire: Wire) -> Awaitable[None]:
        if self._hot.answer(scope, wire):
            return DONE
        if get_ident() == self._thread:
            return self._app(scope, wire)
        return self._later(scope, wire)

    async def _later(self, scope: Scope, wire: Wire) -> None:
        await _PASSAGE
        await self._app(scope, wire)
