"""Clients at work, all at once, and what is looked at when they have ended."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faults.clients import Client, Manner, Promises
from faults.reader import verify
from faults.server import Server, Setting, check_sound, running, until

CLIENTS = 6
SECONDS = 60


@contextmanager
def load(
    server: Server, promises: Promises, randomness: random.Random, manner: Manner | None = None
) -> Iterator[None]:
    """Clients work until the end of the block; what one of them found wrong is raised there."""
    clients = [
        Client(
            server.port,
            f"faults/c{number}",
            promises,
            randomness.randrange(1 << 30),
            manner or Manner(),
        )
        for number in range(CLIENTS)
    ]
    problems: list[BaseException] = []
    threads = [threading.Thread(target=_work, args=(client, problems)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for client in clients:
            client.ended.set()
        for thread in threads:
            thread.join(SECONDS)
        assert not any(thread.is_alive() for thread in threads), "a request got no answer"
    if problems:
        raise problems[0]


def _work(client: Client, problems: list[BaseException]) -> None:
    try:
        client.work()
    except AssertionError as problem:
        problems.append(problem)


def pause(randomness: random.Random, least: float, most: float) -> None:
    """Clients work meanwhile; how long is chance, and no check depends on it."""
    time.sleep(randomness.uniform(least, most))


def goes_on(promises: Promises) -> None:
    """Within a bound, changes are acknowledged again."""
    done = promises.done
    until(lambda: promises.done > done, "changes are acknowledged again")


def after(setting: Setting, promises: Promises, *fsck: str) -> int:
    """Restart, compare what is served with what was acknowledged, and let fsck look."""
    with running(setting) as server:
        checked = verify(server.port, promises)
        check_sound(setting, *fsck)
    return checked


def files(setting: Setting) -> list[Path]:
    """The stored copies."""
    return sorted((setting.data / "blobs").glob("*/*"))
