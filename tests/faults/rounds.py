"""Break what a busy registry stands on, again and again, and look whether it kept every promise.

Each round starts `retinue serve`, lets clients push, tag, attach and delete while collection runs,
does one thing to it at a random moment, and then compares all that was acknowledged with what is
served. A round that this machine has no means for is left out, and says why. Run by `scripts/faults`.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults import clocks, crashes, damage, outages
from faults.clients import Promises
from faults.scene import Scene
from faults.system import Unable


@dataclass(frozen=True, slots=True)
class Round:
    name: str
    run: Callable[[Scene], int]
    """Returns how many promises were checked; raises AssertionError for a broken one."""
    does: str
    holds: str
    times: int = 2

    @property
    def option(self) -> str:
        return "--" + self.name.replace(" ", "-")


ROUNDS = (
    Round(
        "kill", crashes.kill, "kill -9 of the whole process group",
        "all that was acknowledged is there after a restart; fsck finds nothing", 200,
    ),
    Round(
        "full disk", crashes.full_disk, "the disk fills up",
        "the same, once there is room",
    ),
    Round(
        "short writes", crashes.short_writes, "writes are cut short, then fail",
        "the same, without the limit",
    ),
    Round(
        "repair", crashes.repairs, "kill -9 between a copy and its row, beside fsck --repair",
        "an upload that was ended after the restart is there when the trash is empty",
    ),
    Round(
        "storage away at start", outages.storage_away_at_start, "the data folder is empty at start",
        "no 'ready'; all is served, and fsck finds nothing, once it is mounted",
    ),
    Round(
        "storage away", outages.storage_away_while_serving, "the data folder is empty for a while",
        "no wrong byte meanwhile; the same once it is back",
    ),
    Round(
        "read errors", damage.unreadable, "a stored copy cannot be read (EIO)",
        "fsck passes by; no wrong byte; fsck --repair brings back what can be read again",
    ),
    Round(
        "write errors", damage.unwritable, "every write fails for a while (EIO)",
        "pushes are taken again without a restart; all that was acknowledged is there",
    ),
    Round(
        "push again", damage.pushed_again, "copies are flipped, cut short, lost, and pushed again",
        "what is acknowledged again is served, at once and for good",
    ),
    Round(
        "clock", clocks.stepped, "the wall clock is set by a day, and back",
        "pushes go on; what is tagged, or attached to it, stays",
    ),
    Round(
        "database away", outages.postgres_away, "PostgreSQL is away while workers are replaced",
        "the registry waits, and serves all again when it is back",
    ),
)  # fmt: skip


def main() -> int:
    args = _arguments()
    randomness = random.Random(args.seed)
    work = Path(args.work or tempfile.mkdtemp(prefix="retinue-faults-"))
    planned = [each for each in ROUNDS for _ in range(getattr(args, each.run.__name__))]
    lasting = Promises()
    checked = 0
    for number, each in enumerate(planned, 1):
        folder = work / f"{each.name.replace(' ', '-')}-{number}"
        scene = Scene(folder, work / each.name.replace(" ", "-"), lasting, randomness)
        try:
            checked += each.run(scene)
        except Unable as lack:
            print(f"round {number}/{len(planned)} ({each.name}): left out: {lack}", flush=True)
            continue
        except AssertionError:
            print(f"broken, by {each.name} (seed {args.seed}); it is to hold: {each.holds}")
            print(f"the data is in {work}", flush=True)
            raise
        print(f"round {number}/{len(planned)} ({each.name}): all promises kept", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)
    print(f"{len(planned)} rounds, {checked} promises checked, none broken (seed {args.seed})")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for each in ROUNDS:
        names = ["--rounds", each.option] if each.run is crashes.kill else [each.option]
        parser.add_argument(
            *names,
            dest=each.run.__name__,
            type=int,
            metavar="N",
            default=None,
            help=f"{each.does}: {each.holds} [{each.times}]",
        )
    parser.add_argument(
        "--only", action="store_true", help="no rounds but those that are asked for"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--work", help="folder for the data")
    args = parser.parse_args()
    for each in ROUNDS:
        if getattr(args, each.run.__name__) is None:
            setattr(args, each.run.__name__, 0 if args.only else each.times)
    return args


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main())
