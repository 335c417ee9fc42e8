"""Rounds in which the wall clock is set."""

from faults.clients import Manner, Promises
from faults.load import after, goes_on, load, pause
from faults.reader import verify
from faults.scene import Scene
from faults.server import Setting, running
from faults.system import System

DAY = 86_400
TOLERANT = Manner(goes_on=True, tolerant=True)


def stepped(scene: Scene) -> int:
    """A day forward and back, or back and forward, while clients work and collection runs."""
    promises, system = Promises(), System(scene.folder / "system")
    setting = Setting(scene.folder, environment=system.environment)
    with running(setting) as server:
        with load(server, promises, scene.randomness, TOLERANT):
            for seconds in (scene.randomness.choice([DAY, -DAY]), 0):
                pause(scene.randomness, 0.5, 1)
                system.step_clock(seconds)
                goes_on(promises)
            pause(scene.randomness, 0.5, 1)
        checked = verify(server.port, promises)
    return checked + after(setting, promises)
