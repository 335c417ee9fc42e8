"""Rounds in which the disk gives an error, or other bytes than were written."""

import http.client
import json
import os
import random
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from faults.clients import Manner, Promises, digest
from faults.load import after, files, goes_on, load, pause
from faults.reader import Reader, look, verify
from faults.scene import Scene
from faults.server import Server, Setting, running, until
from faults.system import System

SCRUBBING = ("--scrub-interval", "1s")
TOLERANT = Manner(goes_on=True, tolerant=True)
FEW = 8


def unreadable(scene: Scene) -> int:
    """Some stored copies cannot be read, while the registry serves, scrubs and is checked."""
    promises, system = Promises(), System(scene.folder / "system")
    setting = Setting(scene.folder, SCRUBBING, environment=system.environment)
    with running(setting) as server:
        with load(server, promises, scene.randomness):
            until(lambda: bool(files(setting)), "a copy is stored")
            pause(scene.randomness, 0.5, 1)
        one = scene.randomness.choice(files(setting))
        with load(server, promises, scene.randomness, TOLERANT), system.failing(reads=one.name):
            look(server.port, promises)
            check_passes_by(setting)
            pause(scene.randomness, 1, 2)
        check_passes_by(setting, "--repair")
        checked = verify(server.port, promises)
    return checked + after(setting, promises)


def check_passes_by(setting: Setting, *options: str) -> None:
    """Damage may be found; it does not end the check."""
    done = setting.fsck(*options)
    assert done.returncode in {0, 1}, f"fsck: {done.returncode} {done.stderr[-2000:]}"
    json.loads(done.stdout)


def unwritable(scene: Scene) -> int:
    """Every write to the disk fails for a while, and the registry goes on without a restart."""
    promises, system = Promises(), System(scene.folder / "system")
    setting = Setting(scene.folder, environment=system.environment)
    with running(setting) as server:
        with load(server, promises, scene.randomness, Manner(goes_on=True)):
            pause(scene.randomness, 0.3, 1)
            with system.failing(writes=scene.randomness.choice(["/data/", "catalog", "/uploads/"])):
                until(lambda: promises.failed > 0, "a write fails")
                pause(scene.randomness, 0.5, 1)
                look(server.port, promises)
            goes_on(promises)
        checked = verify(server.port, promises)
    return checked + after(setting, promises)


def pushed_again(scene: Scene) -> int:
    """Stored copies are flipped, cut short or lost; clients read and push them again, all at once."""
    promises = Promises(keep_bodies=True)
    setting = Setting(scene.folder, SCRUBBING)
    with running(setting) as server:
        with load(server, promises, scene.randomness):
            until(lambda: len(files(setting)) > FEW, "copies are stored")
            pause(scene.randomness, 0.5, 1)
        damaged = harm(setting, promises, scene.randomness)
        push_again(server, promises, damaged)
        checked = verify(server.port, promises)
        pause(scene.randomness, 1, 2)
        checked += verify(server.port, promises)
    return checked + after(setting, promises)


def harm(setting: Setting, promises: Promises, randomness: random.Random) -> list[str]:
    """Returns the digests whose copies are no longer what they were. Some are collected meanwhile."""
    assert promises.bodies is not None
    found = []
    for path in files(setting):
        name = f"sha256:{path.name.partition('.')[0]}"
        if name in promises.bodies:
            with suppress(FileNotFoundError):
                randomness.choice([flip, cut, os.unlink])(path)
                found.append(name)
    assert found
    return found


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def push_again(server: Server, promises: Promises, damaged: Sequence[str]) -> None:
    """What was acknowledged again is served, at once and to the end."""
    problems: list[BaseException] = []
    threads = [
        threading.Thread(target=_push_again, args=(server, promises, name, problems))
        for name in damaged
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def _push_again(
    server: Server, promises: Promises, name: str, problems: list[BaseException]
) -> None:
    assert promises.bodies is not None
    repository, body = promises.bodies[name]
    path = f"/v2/{repository}/blobs/uploads/?digest={name}"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", path, body=body)
        reply = connection.getresponse()
        reply.read()
        assert reply.status == 201, f"pushed again: {reply.status}"
        status, served = Reader(server.port, repository).get(f"blobs/{name}")
        assert (status, digest(served)) == (200, name), f"{name}, pushed again, answers {status}"
    except (AssertionError, OSError, http.client.HTTPException) as problem:
        problems.append(problem)
