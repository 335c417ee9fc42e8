"""Which thread answers: hot reads never reach the event loop, everything else always does.

The server's own scheduler hands requests over here, so that a change of it shows.
"""

import asyncio
import contextvars
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any

import pytest
from granian import _futures

import rsgi
from retinue.registry.http.early import Early, new_loop
from retinue.registry.http.exchange import Scope, Wire


@dataclass(slots=True)
class Watcher:
    """What the server passes along with each request."""

    scope: rsgi.Scope = field(default_factory=rsgi.Scope)
    proto: rsgi.Wire = field(default_factory=rsgi.Wire)
    tasks: list[Any] = field(default_factory=list)
    problems: list[BaseException] = field(default_factory=list)
    ended: bool = False

    def taskref(self, task: Any) -> None:
        self.tasks.append(task)

    def err(self, problem: BaseException) -> None:
        self.problems.append(problem)

    def done(self) -> None:
        self.ended = True


class Remembered:
    """Answers what is at `/hot`."""

    def answer(self, scope: rsgi.Scope, wire: rsgi.Wire) -> bool:
        if scope.path == "/broken":
            raise ZeroDivisionError
        if scope.path != "/hot":
            return False
        wire.response_bytes(200, [], str(get_ident()).encode())
        return True


async def application(_scope: Scope, wire: Wire) -> None:
    async with asyncio.timeout(60):
        await asyncio.sleep(0)
    wire.response_bytes(200, [], str(get_ident()).encode())


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = new_loop()
    yield made
    made.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


async def handed_over(pool: ThreadPoolExecutor, watcher: Watcher) -> int:
    """A request, as the server schedules it from another thread; returns that thread."""
    loop = asyncio.get_running_loop()
    hot: Any = Remembered()
    scheduler: Any = _futures
    run = scheduler._future_watcher_wrapper(Early(hot, application))
    schedule = scheduler._cbsched_aioschedule(loop, contextvars.copy_context(), run)
    thread = pool.submit(get_ident).result()
    await asyncio.wrap_future(pool.submit(schedule, watcher))
    for task in watcher.tasks:
        await task
    return thread


def test_a_hot_read_is_answered_in_the_thread_that_brought_it(
    loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor
) -> None:
    watcher = Watcher(rsgi.Scope(path="/hot"))
    thread = loop.run_until_complete(handed_over(pool, watcher))
    assert watcher.proto.body == str(thread).encode()
    assert (watcher.ended, watcher.tasks) == (True, [])


def test_all_else_is_answered_by_a_task_of_the_event_loop(
    loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor
) -> None:
    watcher = Watcher(rsgi.Scope(path="/cold"))
    loop.run_until_complete(handed_over(pool, watcher))
    assert watcher.proto.body == str(get_ident()).encode()
    assert (watcher.ended, len(watcher.tasks)) == (True, 1)


def test_a_failure_before_the_event_loop_is_told(
    loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor
) -> None:
    watcher = Watcher(rsgi.Scope(path="/broken"))
    loop.run_until_complete(handed_over(pool, watcher))
    assert [ZeroDivisionError] == [type(each) for each in watcher.problems]
    assert watcher.tasks == []


def test_on_another_event_loop_everything_works_alike(pool: ThreadPoolExecutor) -> None:
    watchers = [Watcher(rsgi.Scope(path=path)) for path in ("/hot", "/cold")]
    with asyncio.Runner() as runner:
        for watcher in watchers:
            runner.run(handed_over(pool, watcher))
    assert [w.proto.body for w in watchers] == [str(get_ident()).encode()] * 2


def test_callbacks_with_other_arguments_are_the_loop_s(
    loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor
) -> None:
    async def ask() -> list[int]:
        told: asyncio.Future[list[int]] = loop.create_future()
        seen: list[int] = []

        def note(*_: object) -> None:
            seen.append(get_ident())
            if len(seen) == 3:
                told.set_result(seen)

        for arguments in ((), (1,), (1, 2)):
            pool.submit(loop.call_soon_threadsafe, note, *arguments)
        return await told

    assert [get_ident()] * 3 == loop.run_until_complete(ask())
