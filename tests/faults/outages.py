"""Rounds in which what the registry stands on is away for a while, and comes back."""

import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from databases import PostgresServer, Unprivileged, postgres_program
from faults.clients import Manner, Promises
from faults.load import goes_on, load, pause
from faults.reader import look, verify
from faults.scene import Scene
from faults.server import Server, Setting, check_sound, running, until
from faults.system import Unable

SCRUBBING = ("--scrub-interval", "1s")
TOLERANT = Manner(goes_on=True, tolerant=True)


def storage_away_at_start(scene: Scene) -> int:
    """The folder is not mounted when the registry starts; the catalog lies elsewhere."""
    promises = Promises()
    setting = apart(scene.folder)
    with running(setting) as server, load(server, promises, scene.randomness):
        pause(scene.randomness, 0.5, 1.5)
    made = scene.randomness.random() < 0.5
    with away(setting.data, made=made):
        process = setting.launch()
        server = Server(setting, process)
        try:
            pause(scene.randomness, 3, 4)
            assert not server.is_ready(), "ready without its storage"
            if process.poll() is None:
                look(server.port, promises)
        finally:
            server.kill()
    return back(setting, promises)


def storage_away_while_serving(scene: Scene) -> int:
    """The folder vanishes under a registry that serves, scrubs and collects, and comes back."""
    promises = Promises()
    setting = apart(scene.folder)
    with running(setting) as server:
        with load(server, promises, scene.randomness, TOLERANT):
            pause(scene.randomness, 0.5, 1)
            with away(setting.data):
                pause(scene.randomness, 2, 3)
                look(server.port, promises)
            pause(scene.randomness, 0.2, 0.5)
        until(server.is_ready, "ready with its storage")
        checked = verify(server.port, promises)
    return checked + back(setting, promises)


def apart(folder: Path) -> Setting:
    """The catalog on a disk of its own."""
    (folder / "catalog").mkdir(parents=True)
    return Setting(folder, SCRUBBING, database=f"sqlite:{folder}/catalog/catalog.db")


@contextmanager
def away(data: Path, *, made: bool = True) -> Iterator[None]:
    """What a folder looks like when nothing is mounted there: it is empty, or not even made."""
    elsewhere = data.with_name("mounted-elsewhere")
    data.rename(elsewhere)
    if made:
        data.mkdir(mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(data, ignore_errors=True)
        elsewhere.rename(data)


def back(setting: Setting, promises: Promises) -> int:
    """Without a repair: nothing was condemned for having been away."""
    with running(setting) as server:
        checked = verify(server.port, promises)
        check_sound(setting)
    return checked


def postgres_away(scene: Scene) -> int:
    """PostgreSQL is away while a worker is killed and all are replaced (SIGHUP)."""
    promises = Promises()
    with postgres() as database:
        setting = Setting(scene.folder, database=database.url("registry"))
        with running(setting) as server:
            with load(server, promises, scene.randomness, Manner(goes_on=True)):
                pause(scene.randomness, 0.5, 1)
                database.stop(signal.SIGINT)
                replace_workers(server, scene.randomness)
                pause(scene.randomness, 2, 4)
                assert server.process.poll() is None, f"the registry ended:\n{server.told()}"
                database.start()
                until(server.is_ready, "ready with its database")
                goes_on(promises)
            checked = verify(server.port, promises)
            check_sound(setting)
    return checked


def replace_workers(server: Server, randomness: random.Random) -> None:
    """In either order: one dies, and all are asked to be new."""
    steps: list[Callable[[], None]] = [
        lambda: os.kill(randomness.choice(server.workers()), signal.SIGKILL),
        lambda: server.process.send_signal(signal.SIGHUP),
    ]
    randomness.shuffle(steps)
    for step in steps:
        step()
        pause(randomness, 0, 0.5)


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """A server of its own, which may be stopped. Raises Unable where it is not installed."""
    if postgres_program("initdb") is None:
        raise Unable("needs PostgreSQL (Debian: apt-get install postgresql)")
    user = Unprivileged.find()
    with tempfile.TemporaryDirectory(prefix="retinue-postgres-") as name:
        user.own(Path(name))
        server = PostgresServer(Path(name), user)
        server.initialise()
        server.start()
        try:
            server.execute("create database registry")
            yield server
        finally:
            server.stop()
