"""Turns: exclusive between descriptors, and fair to those who wait."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from retinue.registry.catalog.turns import FileLock, Turn


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


@pytest.fixture
def turn(path: Path) -> Iterator[Turn]:
    made = Turn(path)
    yield made
    made.close()


def test_a_lock_that_is_held_is_not_free_for_another(path: Path) -> None:
    first, second = FileLock(path), FileLock(path)
    with first.tried() as mine:
        assert mine
        with second.tried() as free:
            assert not free
    with second.tried() as free:
        assert free
    first.close()
    second.close()


def test_an_error_inside_ends_the_turn(turn: Turn, path: Path) -> None:
    with pytest.raises(KeyError), turn.taken():
        raise KeyError
    other = Turn(path)
    with other.taken():
        pass
    other.close()


def test_a_busy_writer_lets_the_one_who_waits_go_next(turn: Turn, path: Path) -> None:
    """Whoever waits gets its turn however eagerly the other comes back."""
    taken = threading.Event()
    waiting = threading.Event()

    def wait() -> None:
        other = Turn(path)
        waiting.set()
        with other.taken():
            taken.set()
        other.close()

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    for _ in range(1_000_000):
        with turn.taken():
            if taken.is_set():
                break
    thread.join()
    assert taken.is_set()
