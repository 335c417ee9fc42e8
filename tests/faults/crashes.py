"""Rounds in which the registry is killed, or its disk takes no more."""

import subprocess
from contextlib import closing

import apsw

from faults.clients import Manner, Promises
from faults.load import after, files, load, pause
from faults.reader import verify
from faults.scene import Scene
from faults.server import Server, Setting, check_sound, running, small_disk, until
from faults.system import System, Unable

LARGE = Manner(large=True, goes_on=True)
RESUMING = Manner(goes_on=True, tolerant=True, resumes=True)
KILLS = 4
STUCK = 2_000_000
HOUR = 3600


def kill(scene: Scene) -> int:
    """On one folder that lives through all rounds."""
    setting = Setting(scene.lasting)
    with running(setting) as server, load(server, scene.promises, scene.randomness):
        pause(scene.randomness, 0.05, 1.5)
        server.kill()
    return after(setting, scene.promises)


def full_disk(scene: Scene) -> int:
    """Work until the disk is full, then free it."""
    promises = Promises()
    with small_disk(scene.folder, megabytes=24) as mounted:
        if not mounted:
            raise Unable("needs root and mount")
        setting = Setting(scene.folder)
        with running(setting) as server, load(server, promises, scene.randomness, LARGE):
            pause(scene.randomness, 1.5, 3)
            until(lambda: promises.failed > 0, "the disk fills up")
            if scene.randomness.random() < 0.5:
                server.kill()
            else:
                server.stop()
        subprocess.run(["mount", "-o", "remount,size=400m", str(scene.folder)], check=True)
        return after(setting, promises)


def short_writes(scene: Scene) -> int:
    """The system cuts writes short at some size of file, and fails those after."""
    promises = Promises()
    largest = scene.randomness.randrange(600_000, 3_000_000)
    setting = Setting(scene.folder, prefix=["prlimit", f"--fsize={largest}"])
    with running(setting) as server, load(server, promises, scene.randomness, LARGE):
        pause(scene.randomness, 1.5, 3)
        until(lambda: promises.failed > 0, "a write is cut short")
        server.kill()
    return after(Setting(scene.folder), promises)


def repairs(scene: Scene) -> int:
    """The registry dies when copies are stored and their rows are not; uploads are ended by asking
    again after the restart.
    """
    promises, system = Promises(), System(scene.folder / "system")
    setting = Setting(scene.folder, environment=system.environment)
    with running(setting) as server:
        with load(server, promises, scene.randomness, RESUMING):
            for _ in range(KILLS):
                pause(scene.randomness, 0.3, 1)
                kill_before_commit(server, system)
                setting.fsck("--repair", hasty=True)
                server.start_again()
                setting.fsck("--repair", hasty=True)
        system.step_clock(HOUR)  # what a collector that was killed holds has run out
        until(lambda: not trash(setting), "the trash is emptied")
        checked = verify(server.port, promises)
        check_sound(setting)
    return checked


def kill_before_commit(server: Server, system: System) -> None:
    """Folders take long to sync: a copy that is seen has no row yet."""
    before = set(files(server.setting))
    with system.slow_syncs(STUCK, "/blobs/"):
        until(lambda: bool(set(files(server.setting)) - before), "a copy is stored")
        server.kill()


def trash(setting: Setting) -> int:
    """How many locations wait there."""
    catalog = apsw.Connection(str(setting.data / "catalog.db"), flags=apsw.SQLITE_OPEN_READONLY)
    with closing(catalog):
        (count,) = catalog.execute("select count(*) from trash").fetchone() or (0,)
    assert isinstance(count, int)
    return count
