"""What is done before a request reaches the event loop.

Granian hands each request from its network thread to a thread that speaks Python, which makes a
coroutine of it and wakes the event loop. A hot read is answered there: that last hop, and a task,
cost as much as all else that is done for one. A small body is asked for there, and the event loop
is woken when it has come. Why, and what this relies on: docs/adr/0008 and 0013.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import suppress
from functools import partial
from threading import get_ident
from types import CoroutineType
from typing import Any

import uvloop
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]

from retinue.registry.http.entry import Entry
from retinue.registry.http.exchange import Headers, Scope, Wire, announced
from retinue.registry.http.hot import Hot

SMALL = 64 * 1024
"""Bytes of a body that is asked for before anybody knows whether it is wanted: of those alone who
are known, so that nobody else has us keep it."""
SECONDS = 0.25
"""How long the event loop waits for such a body before it looks after the request itself."""

_UPLOADS = "/blobs/uploads/"
_NO_BODY = frozenset({None, "0"})


class EarlyLoop(uvloop.Loop):
    """An event loop that lets a coroutine begin in the thread that hands it over.

    A coroutine (with something that goes with it) is handed over by the server alone. One that
    ends at once never gets to the loop. One that awaits a body gets there with the body, or a
    little later without it: from then on it is the request's task that limits its patience.

    The server has the signals that end this process told to itself; `on_stop` is told as well.
    Once: the server waits for somebody to listen when it is told a third time.
    """

    on_stop: Callable[[], None] | None = None
    _told = False

    def __init__(self) -> None:
        super().__init__()
        self._awaited: dict[Any, Callable[[], object]] = {}
        self._before: list[Any] = []
        self.call_later(SECONDS, self._lose_patience)

    def add_signal_handler(  # type: ignore[override]  # any callback will do
        self, sig: int, callback: Callable[..., Any], *args: Any
    ) -> None:
        def told() -> None:
            if self._told:
                return
            self._told = True
            callback(*args)
            if self.on_stop is not None:
                self.on_stop()

        super().add_signal_handler(sig, told)

    def call_soon_threadsafe(  # type: ignore[override]  # the server wants no handle
        self, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.Handle | None:
        if len(args) == 2 and isinstance(args[0], CoroutineType):
            try:
                body = args[0].send(None)
            except StopIteration:
                return None
            if body is not None:
                # The server completes it in the thread that is here now: not before this is over.
                self._awaited[body] = partial(self.call_soon, callback, *args, context=context)
                body.add_done_callback(self._begin)
                return None
        return super().call_soon_threadsafe(callback, *args, context=context)

    def _begin(self, body: Any) -> None:
        begin = self._awaited.pop(body, None)
        if begin is not None:
            begin()

    def _lose_patience(self) -> None:
        """Begin with what has waited since the last time: twice SECONDS at most."""
        for body in self._before:
            self._begin(body)
        self._before = list(self._awaited)
        self.call_later(SECONDS, self._lose_patience)


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
    """Waits until it is stepped again: by then, in the event loop. `body`: what is to come first."""

    def __init__(self, body: Awaitable[bytes] | None) -> None:
        self._body = body

    def __await__(self) -> Generator[Any, None, None]:
        yield self._body


_PASSAGE = Passage(None)


class Begun:
    """A `Wire` whose body has been asked for: `body` will be all of it."""

    __slots__ = ("_body", "_wire")

    def __init__(self, wire: Wire, body: Awaitable[bytes]) -> None:
        self._wire = wire
        self._body = body

    def __call__(self) -> Awaitable[bytes]:
        return self._body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Ends early when the connection was cut: who counts the bytes notices."""
        with suppress(ProtocolClosed):
            yield await self._body

    def response_empty(self, status: int, headers: Headers) -> None:
        self._wire.response_empty(status, headers)

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        self._wire.response_bytes(status, headers, body)

    def response_file(self, status: int, headers: Headers, file: str) -> None:
        self._wire.response_file(status, headers, file)

    def response_file_range(
        self, status: int, headers: Headers, file: str, start: int, end: int
    ) -> None:
        self._wire.response_file_range(status, headers, file, start, end)


def _opens_upload(scope: Scope) -> bool:
    """Whether a request does what begins most pushes: it asks for a session, and nothing else."""
    if scope.method != "POST" or scope.query_string or not scope.path.endswith(_UPLOADS):
        return False
    headers = scope.headers
    return headers.get("content-length") in _NO_BODY and "transfer-encoding" not in headers


def _brings_little(scope: Scope) -> bool:
    """Whether a request has a small body, of which a part is of no use."""
    if scope.method != "PUT":
        return False
    headers = scope.headers
    return 0 < (announced(headers) or 0) <= SMALL and "expect" not in headers


class Early:
    """Answers what waits for nothing in whatever thread calls it: hot reads, and who opens an
    upload. All else in the event loop's.

    Made in the event loop's thread. `aside` answers like `app`, for another thread.
    """

    def __init__(self, hot: Hot, app: Entry, aside: Entry) -> None:
        self._hot = hot
        self._app = app
        self._aside = aside
        self._thread = get_ident()

    def __call__(self, scope: Scope, wire: Wire) -> Awaitable[None]:
        if self._hot.answer(scope, wire):
            return DONE
        if get_ident() == self._thread:
            return self._app(scope, wire)
        return self._later(scope, wire)

    async def _later(self, scope: Scope, wire: Wire) -> None:
        opens, brings = _opens_upload(scope), _brings_little(scope)
        who = self._app.recall(scope.headers) if opens or brings else None
        if who is None:
            await _PASSAGE
            await self._app(scope, wire)
        elif opens:
            await self._aside(scope, wire, who)
        else:
            body = wire()
            await Passage(body)
            await self._app(scope, Begun(wire, body), who)
