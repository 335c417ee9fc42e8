"""Fixtures for all: one server per run, whichever folders' tests are in it."""

import pytest

from databases import catalog, database, postgres_server

__all__ = ["catalog", "database", "postgres_server"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--instants", type=int, default=4, help="instants of a start at which signals are sent"
    )
