"""Serving a gate over HTTPS until told to stop."""

import argparse
import asyncio
import logging
import signal
from collections.abc import Callable, Mapping
from typing import TypeAlias

from retinue.cli.gates.judging import Judging
from retinue.cli.output import note
from retinue.cli.problems import BadUsage
from retinue.cli.reach import guarded
from retinue.gates.judging import Judge
from retinue.gates.keeping import Kept
from retinue.gates.server import Gate, Handler, Settings, TlsUnusable

Handlers: TypeAlias = Callable[[Judge], Mapping[str, Handler]]
RELOAD_SECONDS = 30.0
_log = logging.getLogger("retinue.gates")


def serve(args: argparse.Namespace, handlers: Handlers) -> int:
    """Serve until SIGTERM or SIGINT; SIGHUP reads policy and certificates again."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(_serve(args, handlers))
    return 0


async def _serve(args: argparse.Namespace, handlers: Handlers) -> None:
    host, port = _address(args.listen)
    if not 0.5 <= args.deadline <= 60:
        raise BadUsage(f"--deadline {args.deadline:g}", "give 0.5 to 60 seconds")
    settings = Settings(args.tls_cert, args.tls_key, args.client_ca, args.deadline)
    stop, refresh = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with guarded(args) as reached:
        judging = Judging(reached, args.policy)
        await judging.refresh()
        kept = Kept(judging)
        gate = Gate(settings, handlers(kept), lambda: judging.ready)
        loop.add_signal_handler(signal.SIGHUP, _both, refresh, gate)
        keeping = [
            asyncio.create_task(judging.keep_fresh(refresh, kept.forget)),
            asyncio.create_task(_keep_certificates(gate)),
        ]
        server = await gate.start(host, port)
        where = ":".join(map(str, server.sockets[0].getsockname()[:2]))
        note(f"serving on https://{where}")
        await _until(stop, keeping)
        server.close()
        for task in keeping:
            task.cancel()


def _both(refresh: asyncio.Event, gate: Gate) -> None:
    refresh.set()
    _reload(gate)


async def _until(stop: asyncio.Event, keeping: list[asyncio.Task[None]]) -> None:
    """Wait to be stopped; a defect in what is to be kept fresh ends the gate, too."""
    waiting = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([waiting, *keeping], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in done:
        task.result()


async def _keep_certificates(gate: Gate) -> None:
    while True:
        await asyncio.sleep(RELOAD_SECONDS)
        _reload(gate)


def _reload(gate: Gate) -> None:
    try:
        if gate.reload():
            _log.info("the certificate was renewed")
    except TlsUnusable as problem:
        _log.error("the certificate stays as it was: %s", problem)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) < 65536:
        raise BadUsage(f"--listen {text}", "give HOST:PORT")
    return host.strip("[]"), int(port)
