"""Kill a busy registry again and again, and look whether it kept every promise.

Each round: start `retinue serve` on the same folder, let clients push, tag, attach and delete while
collection runs, `kill -9` the whole process group at a random moment, start again, compare all that
was acknowledged with what is served, and run fsck. With `--full-disk` the folder lies on a small
filesystem that fills up instead; with `--short-writes` the system cuts the server's writes short
at a random size of file and fails those after; with `--repair` an impatient operator repairs beside
all that; with `--away` the data folder is not there for a while, and the catalog is elsewhere. Run
by `scripts/faults`.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.clients import Client, Promises, verify
from faults.server import Server, small_disk

CLIENTS = 6


def main() -> int:
    args = _arguments()
    randomness = random.Random(args.seed)
    work = Path(args.work or tempfile.mkdtemp(prefix="retinue-faults-"))
    kinds = ["kill"] * args.rounds + ["full disk"] * args.full_disk
    kinds += ["short writes"] * args.short_writes
    kinds += ["repair"] * args.repair + ["away"] * args.away
    promises = Promises()
    checked = 0
    for number, kind in enumerate(kinds, 1):
        folder = work / ("kill" if kind == "kill" else f"{kind.split()[0]}-{number}")
        if kind == "kill":
            checked += crash_round(folder, promises, randomness, number)
        else:
            checked += ROUNDS[kind](folder, randomness, number)
        print(f"round {number}/{len(kinds)} ({kind}): all promises kept", flush=True)
    shutil.rmtree(work, ignore_errors=True)
    print(f"{len(kinds)} rounds, {checked} promises checked, none broken (seed {args.seed})")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="rounds that end with kill -9")
    parser.add_argument("--full-disk", type=int, default=2, help="rounds on a disk that fills up")
    parser.add_argument(
        "--short-writes", type=int, default=2, help="rounds in which writes are cut short"
    )
    parser.add_argument(
        "--repair",
        type=int,
        default=4,
        help="rounds in which fsck --repair runs beside the clients",
    )
    parser.add_argument(
        "--away",
        type=int,
        default=2,
        help="rounds in which the data folder is not there for a while",
    )
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--work", help="folder for the data")
    return parser.parse_args()


def crash_round(folder: Path, promises: Promises, randomness: random.Random, number: int) -> int:
    """Work, kill, start again, verify, fsck."""
    server = Server.start(folder)
    stop = work_on(server, promises, randomness, number)
    time.sleep(randomness.uniform(0.05, 1.5))
    server.kill()
    stop()
    return after(folder, promises)


def full_disk_round(folder: Path, randomness: random.Random, number: int) -> int:
    """Work until the disk is full, then free it, and verify that what was acknowledged is there."""
    with small_disk(folder, megabytes=24) as mounted:
        if not mounted:
            print("full disk: needs root and mount; left out", flush=True)
            return 0
        promises = Promises()
        server = Server.start(folder)
        stop = work_on(server, promises, randomness, number, large=True)
        time.sleep(randomness.uniform(1.5, 3))
        if randomness.random() < 0.5:
            server.kill()
        else:
            server.stop()
        stop()
        assert promises.failed, "the disk did not fill up: nothing was tested"
        subprocess.run(["mount", "-o", "remount,size=400m", str(folder)], check=True)
        return after(folder, promises)


def short_write_round(folder: Path, randomness: random.Random, number: int) -> int:
    """Work while writes are cut short, lift the limit, and verify what was acknowledged."""
    promises = Promises()
    server = Server.start(folder, randomness.randrange(600_000, 3_000_000))
    stop = work_on(server, promises, randomness, number, large=True)
    time.sleep(randomness.uniform(1.5, 3))
    server.kill()
    stop()
    assert promises.failed, "no write was cut short: nothing was tested"
    return after(folder, promises)


def repair_round(folder: Path, randomness: random.Random, number: int) -> int:
    """Work, repair meanwhile, kill, repair what the crash left while clients go on, verify."""
    promises = Promises()
    for turn in range(2):
        server = Server.start(folder)
        stop = work_on(server, promises, randomness, 2 * number + turn)
        server.repair()
        time.sleep(randomness.uniform(0.05, 1.5))
        server.kill()
        stop()
        server.repair()
    return after(folder, promises)


def away_round(folder: Path, randomness: random.Random, number: int) -> int:
    """The folder of the blobs is away while the registry serves, and when it is started."""
    promises = Promises()
    data, moved = folder / "data", folder / "moved"
    server = Server.start(folder, elsewhere=True)
    stop = work_on(server, promises, randomness, number, large=True)
    time.sleep(randomness.uniform(0.5, 1.5))
    data.rename(moved)
    time.sleep(randomness.uniform(0.5, 1.5))
    moved.rename(data)
    time.sleep(randomness.uniform(0.1, 0.5))
    server.kill()
    stop()
    assert promises.failed, "nothing failed while the folder was away: nothing was tested"
    data.rename(moved)
    for made in (False, True):
        if made:
            data.mkdir()
        refused(folder)
    data.rmdir()
    moved.rename(data)
    return after(folder, promises, elsewhere=True)


def refused(folder: Path) -> None:
    """A registry that starts without its blobs would say that all are lost."""
    try:
        server = Server.start(folder, elsewhere=True)
    except AssertionError as problem:
        if "mount the right folder" not in str(problem):
            raise
        return
    server.kill()
    raise AssertionError("it started without its folder")


ROUNDS: Mapping[str, Callable[[Path, random.Random, int], int]] = {
    "full disk": full_disk_round,
    "short writes": short_write_round,
    "repair": repair_round,
    "away": away_round,
}


def work_on(
    server: Server,
    promises: Promises,
    randomness: random.Random,
    number: int,
    *,
    large: bool = False,
) -> Callable[[], None]:
    """Start the clients; returns the function that waits for their end."""
    ended = threading.Event()
    threads = []
    for name in range(CLIENTS):
        client = Client(
            server.port, f"faults/c{name}", promises, randomness.randrange(1 << 30), number
        )
        thread = threading.Thread(target=client.work, args=(ended,), kwargs={"large": large})
        thread.start()
        threads.append(thread)

    def stop() -> None:
        ended.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()

    return stop


def after(folder: Path, promises: Promises, *, elsewhere: bool = False) -> int:
    """Restart, compare what is served with what was acknowledged, and let fsck look."""
    server = Server.start(folder, elsewhere=elsewhere)
    try:
        checked = verify(server.port, promises)
        server.fsck()
    except AssertionError:
        server.kill()
        print(f"the data of the broken promise is in {folder}", flush=True)
        raise
    server.stop()
    return checked


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main())
