"""The registry put together: the one file that names concrete drivers, and its processes."""

import asyncio
import gc
import logging
import multiprocessing
import os
import resource
import secrets
import signal
import sys
import time
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from granian import loops
from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols, TaskImpl
from granian.http import HTTP1Settings
from granian.log import LogLevels
from msgspec import Struct
from msgspec.structs import replace

from retinue.errors import RetinueError
from retinue.registry.access.bootstrap import ADMIN, gate, make_admin, users_file
from retinue.registry.catalog import meta
from retinue.registry.catalog.db import Catalog, CatalogUnavailable
from retinue.registry.catalog.opening import (
    keep_reserve,
    look_at_catalog,
    open_catalog,
    sqlite_path,
)
from retinue.registry.config import Config, secret_parts
from retinue.registry.content.cache import ByteCache
from retinue.registry.content.services import Services
from retinue.registry.http import certificates, listening, logs, memory, operations, traces
from retinue.registry.http.connections import Connections
from retinue.registry.http.cores import Cores
from retinue.registry.http.early import Early, EarlyLoop, new_loop
from retinue.registry.http.entry import Entry
from retinue.registry.http.exchange import Scope, Wire
from retinue.registry.http.processes import ForkLock, Link, StopSignals
from retinue.registry.http.proxies import Proxies
from retinue.registry.http.server import Orders, Server
from retinue.registry.http.stopping import Stopping
from retinue.registry.http.table import TABLE, looking
from retinue.registry.metrics import Metrics, Shared
from retinue.registry.storage.blobstore import BlobStore
from retinue.registry.storage.files import FileBlobStore
from retinue.registry.storage.identity import Home
from retinue.registry.storage.places import BLOBS
from retinue.registry.storage.unfinished import require_finished
from retinue.registry.upkeep import tasks
from retinue.registry.upkeep.identity import prepare
from retinue.registry.worker import Task, Worker

SCRUB_TURN = 60.0
LONGEST_PAUSE = 5.0
"""Seconds between two attempts to reach a catalog at a start, at most."""
_log = logging.getLogger("retinue.server")


class Application:
    """The RSGI application of one process; its stores are opened in the process that uses them."""

    def __init__(self, config: Config, shared: Shared, turn: ForkLock, link: Link) -> None:
        self._config = config
        self._shared = shared
        self._turn = turn
        self._link = link
        self._cores = Cores()
        self._open: _Open | None = None

    def __rsgi__(self, scope: Scope, wire: Wire) -> Awaitable[None]:
        assert self._open is not None
        return self._open.app(scope, wire)

    def __rsgi_init__(self, loop: AbstractEventLoop) -> None:
        """Exits when the stores cannot be opened: a process that serves must be able to."""
        self._link.close()
        signals = StopSignals()
        signals.end_at_once()
        loop.add_reader(self._link.parent, self._orphaned, loop)
        self._open = self._opened(loop)
        signals.note()
        if self._shared.draining:
            sys.exit(0)  # the others may still serve for a while, but no more are needed
        if self._config.pin and processes(self._config) >= len(os.sched_getaffinity(0)):
            with self._turn:
                release = self._cores.keep_to_one()
            loop.call_soon(release)  # by then the server's threads run
        assert isinstance(loop, EarlyLoop)
        loop.on_stop = self._stopping(loop, self._open).begin
        loop.call_soon(self._begin, signals)
        memory.keep()
        gc.freeze()  # what is loaded by now stays: collections need not walk it

    def _opened(self, loop: AbstractEventLoop) -> "_Open":
        try:
            return loop.run_until_complete(self._start())
        except RetinueError as problem:
            _log.critical("this process cannot start: %s", problem)
            sys.exit(1)

    def _begin(self, signals: StopSignals) -> None:
        """When the server listens, and the event loop runs."""
        port = self._config.address[1]
        listening.limit_pauses(port, self._config.body_timeout)
        signals.deliver()
        with listening.listeners(port) as found:
            self._link.say_ready(found)

    def _orphaned(self, loop: AbstractEventLoop) -> None:
        """The process that started this one has died: there is nobody to renew or end it."""
        loop.remove_reader(self._link.parent)
        _log.error("the main process has died: this one stops too")
        loop.call_later(self._config.drain, os.kill, os.getpid(), signal.SIGKILL)
        signal.raise_signal(signal.SIGTERM)

    def _stopping(self, loop: AbstractEventLoop, opened: "_Open") -> Stopping:
        config, metrics = self._config, opened.services.metrics
        return Stopping(loop, config.address[1], metrics.in_flight, config.data / BLOBS)

    def __rsgi_del__(self, loop: AbstractEventLoop) -> None:
        assert self._open is not None
        loop.run_until_complete(self._open.close())

    async def _start(self) -> "_Open":
        config = self._config
        catalog, identity = await _open_data(config)
        blobs = FileBlobStore(
            config.data,
            identity=identity,
            durable=config.durable,
            threads=config.threads,
            looking=config.read_only,
        )
        metrics = self._shared.claim(self._turn, _alive)
        services = await open_services(config, catalog, blobs, metrics)
        worker = Worker(services, upkeep(config), f"{services.boot}:{os.getpid()}")
        if not config.read_only:
            worker.start()
        served = looking(TABLE) if config.read_only else TABLE
        table = {**served, **operations.table(self._shared)}
        aside = self._shared.claim(self._turn, _alive)
        proxies = Proxies(config.trusted_proxies)
        connections = Connections(config.address[1], config.connections, proxies.trusts)
        entry = Entry(services, table, secrets.token_hex(4), aside, self._cores.send, connections)
        watching = asyncio.create_task(connections.watch())
        if not config.traces:
            beside = Entry(replace(services, metrics=aside), table, secrets.token_hex(4))
            return _Open(Early(entry.hot, entry, beside), services, blobs, worker, watching, None)
        tracers = traces.provider(config.traces)
        return _Open(traces.traced(entry, tracers), services, blobs, worker, watching, tracers)


class _Open(Struct, frozen=True):
    """What a process has opened. `tracers`: None unless traces are configured."""

    app: traces.App
    services: Services
    blobs: FileBlobStore
    worker: Worker
    watching: "asyncio.Task[None]"
    tracers: Any

    async def close(self) -> None:
        self.watching.cancel()
        await self.worker.stop()
        if self.tracers is not None:
            self.tracers.shutdown()
        await self.services.catalog.close()
        await self.blobs.close()


async def _open_data(config: Config) -> tuple[Catalog, str]:
    """The catalog, and what the folder must say; data that is only served may have no identity."""
    if config.read_only:
        catalog = await look_at_catalog(config.catalog)
        return catalog, await meta.identity(catalog) or ""
    catalog = await open_catalog(config.catalog, durable=config.durable)
    return catalog, await meta.require_identity(catalog)


async def open_services(
    config: Config, catalog: Catalog, blobs: BlobStore, metrics: Metrics
) -> Services:
    """All that use cases are given."""
    return Services(
        catalog=catalog,
        blobs=blobs,
        config=config,
        clock=_microseconds,
        secret=await meta.secret(catalog),
        access=gate(config, time.monotonic, metrics),
        cache=ByteCache(config.cache - config.cache // 4),  # the rest is for hot answers
        boot=_boot(),
        metrics=metrics,
    )


def upkeep(config: Config) -> Sequence[Task]:
    """What one of all processes does in the background."""
    return (
        Task("gc", config.gc_interval, tasks.collect),
        Task("scrub", SCRUB_TURN if config.scrub_interval else 0, tasks.scrub),
    )


def _microseconds() -> int:
    return time.time_ns() // 1000


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def _alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


loops.register("auto")(new_loop)


def _server(config: Config, shared: Shared) -> Server:
    host, port = config.address
    return Server(
        "retinue.registry.app",
        Orders(shared.drain, partial(_refusal, config), config.drain_delay, config.drain),
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        task_impl=TaskImpl.asyncio,
        workers=processes(config),
        loop=Loops.auto,  # see `new_loop`
        http=HTTPModes.auto if config.tls_cert else HTTPModes.http1,
        websockets=False,
        backpressure=config.connections,
        http1_settings=HTTP1Settings(header_read_timeout=int(config.header_timeout * 1000)),
        log_level=LogLevels.warning,
        log_dictconfig={"loggers": {"_granian": {"handlers": ["console"], "propagate": False}}},
        ssl_cert=config.tls_cert,
        ssl_key=config.tls_key,
        ssl_protocol_min=SSLProtocols.tls12,
    )


def _refusal(config: Config) -> str | None:
    """New processes read the certificate anew; a broken one must not replace a good one."""
    problem = certificates.problem(config)
    return None if problem is None else f"the certificate stays as it was: {problem}"


def processes(config: Config) -> int:
    return config.workers or len(os.sched_getaffinity(0))


def serve(config: Config) -> int:
    """Run the registry until SIGTERM or SIGINT; returns the exit code.

    Raises AddressTaken, AddressUnusable, TracingMissing, BadUsers, BadRule, RestoreUnfinished,
    FolderTaken, ForeignStore, CatalogMissing,
    CatalogUnavailable and what else opening the catalog may raise, before anything is served.
    """
    signal.signal(signal.SIGTERM, _end)  # the first process of a container has none by default
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # workers read all anew when they start
    logs.set_up(config.log_format, config.log_level, secret_parts(config))
    if config.traces:
        traces.require()
    listening.require_free(config.address)
    require_finished(config.data)
    os.umask(0o077)
    password = None
    if config.read_only:
        _patiently(config, lambda: asyncio.run(_look(config)))
    else:
        password = _made_ready(config)
    gate(config, time.monotonic, Metrics())
    _raise_file_limit()
    multiprocessing.set_start_method("fork", force=True)
    shared = Shared(4 * processes(config) + 4)  # two each, and as many while they are renewed
    turn = ForkLock()
    server = _server(config, shared)
    server.on_startup(partial(_announce, config, password))
    certificates.watch(config)
    loader: Any = partial(Application, config, shared, turn)
    try:
        server.serve(target_loader=loader, wrap_loader=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _patiently(config: Config, start: Callable[[], None]) -> None:
    """A server of the catalog that starts at the same time, or again, is waited for.

    Raises CatalogUnavailable when that was too long, or it is a file.
    """
    end = time.monotonic() + config.database_wait
    pause = 0.5
    while True:
        try:
            start()
        except CatalogUnavailable as problem:
            left = end - time.monotonic()
            if sqlite_path(config.catalog) is not None or left <= 0:
                raise
            pause = min(left, LONGEST_PAUSE, 2 * pause)
            _log.warning("%s; the next attempt is in %.1f s", problem, pause)
            time.sleep(pause)
        else:
            return


def _made_ready(config: Config) -> str | None:
    """The data, before the first process; the administrator's password, if there is a new one."""
    gate_files = (config.htpasswd, config.tls_cert, config.tls_key, users_file(config))
    files = [file for file in gate_files if file is not None]
    _patiently(config, partial(prepare, config.catalog, config.data, files))
    password = make_admin(config)
    keep_reserve(config.catalog)
    return password


async def _look(config: Config) -> None:
    """That there is something to serve; nothing is made."""
    catalog, identity = await _open_data(config)
    try:
        Home(config.data, identity).close()
    finally:
        await catalog.close()


def _end(*_args: object) -> None:
    """Nothing was served yet."""
    sys.exit(0)


def _raise_file_limit() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _announce(config: Config, password: str | None) -> None:
    scheme = "https" if config.tls_cert else "http"
    lines = [f"retinue listens on {scheme}://{config.listen}, data in {config.data}"]
    if users_file(config) is None and not config.rules:
        may = "read" if config.read_only else "read and write"
        lines.append(f"no users are configured: all who can reach it may {may}")
    if password is not None:
        lines.append(f"user {ADMIN!r}, password {password} (shown only now)")
    print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201 -- the password is for no log
