"""Fixtures for all: one server per run, whichever folders' tests are in it."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from databases import catalog, database, postgres_server

__all__ = ["catalog", "database", "postgres_server"]

# How long an example takes says how busy the machine is, and nothing about the program.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# A shell ignores interrupts for what it starts in the background, and programs inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def same_umask() -> Iterator[None]:
    """A test that leaves another one behind changes what the next tests write."""
    before = _umask()
    yield
    assert _umask() == before


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--instants", type=int, default=4, help="instants of a start at which signals are sent"
    )
