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
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]

import rsgi
from retinue.registry.access.principal import ANONYMOUS, Principal
from retinue.registry.http.early import SMALL, Early, new_loop
from retinue.registry.http.exchange import Fields, Scope, Wire


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


class Application:
    """Answers with the thread that it runs in. `who` may be known, and was told."""

    def __init__(self, who: Principal | None = None) -> None:
        self.who = who
        self.told: list[Principal] = []
        self.bodies: list[bytes] = []
        self.cut = False
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    def recall(self, _fields: Fields) -> Principal | None:
        return self.who

    async def __call__(self, scope: Scope, wire: Wire, who: Principal = ANONYMOUS) -> None:
        self.told.append(who)
        if scope.method != "POST":
            self.begun.set()
            async with asyncio.timeout(60):
                await self._read(scope, wire)
        wire.response_bytes(200, [], str(get_ident()).encode())
        if scope.method != "POST":
            self.ended.set()

    async def _read(self, scope: Scope, wire: Wire) -> None:
        await asyncio.sleep(0)
        try:
            if scope.path == "/parts":
                self.bodies.append(b"".join([part async for part in wire]))
            elif scope.method == "PUT":
                self.bodies.append(await wire())
        except ProtocolClosed:
            self.cut = True


class Slow(rsgi.Wire):
    """A wire whose body comes when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.coming: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def __call__(self) -> asyncio.Future[bytes]:  # type: ignore[override]  # as the server's
        self.asked.append(get_ident())
        return self.coming


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = new_loop()
    yield made
    made.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


async def handed_over(
    pool: ThreadPoolExecutor, watcher: Watcher, app: Application, aside: Application | None = None
) -> int:
    """A request, as the server schedules it from another thread; returns that thread."""
    loop = asyncio.get_running_loop()
    hot: Any = Remembered()
    apps: Any = app, aside or app
    scheduler: Any = _futures
    run = scheduler._future_watcher_wrapper(Early(hot, *apps))
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
    thread = loop.run_until_complete(handed_over(pool, watcher, Application()))
    assert watcher.proto.body == str(thread).encode()
    assert (watcher.ended, watcher.tasks) == (True, [])


def test_all_else_is_answered_by_a_task_of_the_event_loop(
    loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor
) -> None:
    watcher = Watcher(rsgi.Scope(path="/cold"))
    loop.run_until_complete(handed_over(pool, watcher, Application()))
    assert watcher.proto.body == str(get_ident()).encode()
    assert (watcher.ended, len(watcher.tasks)) == (True, 1)


def test_a_failure_before_the_event_loop_is_told(
    loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor
) -> None:
    watcher = Watcher(rsgi.Scope(path="/broken"))
    loop.run_until_complete(handed_over(pool, watcher, Application()))
    assert [ZeroDivisionError] == [type(each) for each in watcher.problems]
    assert watcher.tasks == []


OPENS = rsgi.Scope("POST", "/v2/a/blobs/uploads/")
KNOWN = Principal("known")


def bringing(length: int = 4, path: str = "/whole", header: str = "accept") -> rsgi.Scope:
    """A PUT with a body of `length` bytes, and one more header."""
    fields = {"content-length": str(length), header: "chunked"}
    return rsgi.Scope("PUT", path, headers=rsgi.Fields(fields))


def test_who_is_known_opens_an_upload_in_the_thread_that_brought_him(
    loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor
) -> None:
    watcher, app, aside = Watcher(OPENS), Application(KNOWN), Application()
    thread = loop.run_until_complete(handed_over(pool, watcher, app, aside))
    assert watcher.proto.body == str(thread).encode()
    assert (watcher.ended, watcher.tasks, app.told, aside.told) == (True, [], [], [KNOWN])


@pytest.mark.parametrize(
    ("scope", "who"),
    [
        (OPENS, None),
        (rsgi.Scope("POST", OPENS.path, "mount=sha256:0"), KNOWN),
        (rsgi.Scope("POST", OPENS.path, headers=rsgi.Fields({"content-length": "1"})), KNOWN),
        (rsgi.Scope("POST", OPENS.path, headers=rsgi.Fields({"transfer-encoding": "x"})), KNOWN),
        (rsgi.Scope("POST", f"{OPENS.path}id"), KNOWN),
        (rsgi.Scope("PATCH", f"{OPENS.path}id"), KNOWN),
    ],
    ids=["unknown", "with a query", "with a body", "with parts", "elsewhere", "another method"],
)
def test_whoever_asks_for_more_is_answered_in_the_event_loop(
    loop: asyncio.AbstractEventLoop,
    pool: ThreadPoolExecutor,
    scope: rsgi.Scope,
    who: Principal | None,
) -> None:
    watcher, app, aside = Watcher(scope), Application(who), Application()
    loop.run_until_complete(handed_over(pool, watcher, app, aside))
    assert watcher.proto.body == str(get_ident()).encode()
    assert (len(app.told), aside.told) == (1, [])


@pytest.mark.parametrize("path", ["/whole", "/parts"])
def test_a_small_body_comes_before_the_event_loop_hears_of_it(
    loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor, path: str
) -> None:
    async def ask() -> None:
        app, wire = Application(KNOWN), Slow()
        watcher = Watcher(bringing(path=path), wire)
        thread = await handed_over(pool, watcher, app)
        assert (wire.asked, watcher.tasks) == ([thread], [])
        wire.coming.set_result(b"body")
        await app.ended.wait()
        assert (app.bodies, app.told) == ([b"body"], [KNOWN])
        assert wire.body == str(get_ident()).encode()

    loop.run_until_complete(ask())


def test_a_body_that_does_not_come_is_waited_for_in_the_event_loop(
    loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor
) -> None:
    async def ask() -> None:
        app, wire = Application(KNOWN), Slow()
        await handed_over(pool, Watcher(bringing(), wire), app)
        await app.begun.wait()
        assert app.bodies == []
        wire.coming.set_result(b"late")
        await app.ended.wait()
        assert app.bodies == [b"late"]

    loop.run_until_complete(ask())


@pytest.mark.parametrize(("path", "told"), [("/whole", []), ("/parts", [b""])])
def test_a_body_that_is_cut_ends_as_the_server_says(
    loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor, path: str, told: list[bytes]
) -> None:
    """As a whole it is no body; its parts are fewer bytes than were announced."""

    async def ask() -> None:
        app, wire = Application(KNOWN), Slow()
        await handed_over(pool, Watcher(bringing(path=path), wire), app)
        wire.coming.set_exception(ProtocolClosed())
        await app.ended.wait()
        assert (app.bodies, app.cut) == (told, not told)

    loop.run_until_complete(ask())


@pytest.mark.parametrize(
    ("scope", "who"),
    [
        (bringing(), None),
        (bringing(SMALL + 1), KNOWN),
        (bringing(0), KNOWN),
        (bringing(header="transfer-encoding"), KNOWN),
        (bringing(header="expect"), KNOWN),
    ],
    ids=[
        "of somebody unknown",
        "large",
        "empty",
        "of unknown length",
        "that waits to be asked for",
    ],
)
def test_any_other_body_is_left_to_the_event_loop(
    loop: asyncio.AbstractEventLoop,
    pool: ThreadPoolExecutor,
    scope: rsgi.Scope,
    who: Principal | None,
) -> None:
    async def ask() -> None:
        app, wire = Application(who), Slow()
        wire.coming.set_result(b"body")
        await handed_over(pool, Watcher(scope, wire), app)
        assert (wire.asked, app.bodies) == ([get_ident()], [b"body"])

    loop.run_until_complete(ask())


def test_on_another_event_loop_everything_works_alike(pool: ThreadPoolExecutor) -> None:
    watchers = [Watcher(rsgi.Scope(path=path)) for path in ("/hot", "/cold")]
    with asyncio.Runner() as runner:
        for watcher in watchers:
            runner.run(handed_over(pool, watcher, Application()))
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
