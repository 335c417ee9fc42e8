"""Where one round takes place."""

import random
from dataclasses import dataclass
from pathlib import Path

from faults.clients import Promises


@dataclass(frozen=True, slots=True)
class Scene:
    """`folder` is the round's own, `lasting` lives through all rounds of its kind, with `promises`."""

    folder: Path
    lasting: Path
    promises: Promises
    randomness: random.Random
