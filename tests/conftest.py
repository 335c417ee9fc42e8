"""Fixtures for all: one server per run, whichever folders' tests are in it."""

import pytest
from hypothesis import HealthCheck, settings

from databases import catalog, database, postgres_server

__all__ = ["catalog", "database", "postgres_server"]

# How long an example takes says how busy the machine is, and nothing about the program.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--instants", type=int, default=4, help="instants of a start at which signals are sent"
    )
