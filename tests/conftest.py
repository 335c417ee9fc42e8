"""Fixtures for all: one server per run, whichever folders' tests are in it."""

from databases import catalog, database, postgres_server

__all__ = ["catalog", "database", "postgres_server"]
