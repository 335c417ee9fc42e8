"""Databases for tests: fixtures to import into a `conftest.py`, and what they are made of.

`database` is the `--database` of an empty catalog, on SQLite and then on PostgreSQL; `catalog` is
that, opened. `postgres_server` is one server per test run, on a socket in a folder of its own.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
import pytest

from retinue.registry.catalog.db import Catalog
from retinue.registry.catalog.opening import migrate_now, open_catalog

_TEMPLATE = "template_retinue"
_START = 60.0
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "deadlock_timeout": "10ms",
    "max_connections": "100",
    "shared_buffers": "32MB",
}


def postgres_program(name: str) -> str | None:
    """A program of PostgreSQL 15 or newer: Debian keeps the server's off PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ["PATH"]]))


@dataclass(frozen=True, slots=True)
class Unprivileged:
    """Who runs the server: it refuses root."""

    uid: int | None

    @classmethod
    def find(cls) -> "Unprivileged":
        if os.geteuid() != 0:
            return cls(None)
        names = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
        return cls(names.get("postgres", names["nobody"]))

    def own(self, folder: Path) -> None:
        if self.uid is not None:
            os.chown(folder, self.uid, -1)

    def start(self, command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
        with log.open("ab") as out:
            return subprocess.Popen(command, stdout=out, stderr=out, cwd="/", user=self.uid)


class PostgresServer:
    """A server in `folder`; databases in it are made from one migrated template."""

    def __init__(self, folder: Path, user: Unprivileged) -> None:
        self.folder = folder
        self._user = user
        self._log = folder / "log"
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        command = [_program("initdb"), "--no-sync", "-A", "trust", "-U", "postgres"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8", "-D", str(self.folder / "data")]
        if self._user.start(command, self._log).wait(_START) != 0:
            raise RuntimeError(self._log.read_text())

    def start(self) -> None:
        settings = [word for item in _SETTINGS.items() for word in ("-c", "=".join(item))]
        command = [_program("postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        self._process = self._user.start([*command, *settings], self._log)
        deadline = time.monotonic() + _START
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(self._log.read_text())
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """SIGQUIT: at once, for good. SIGINT: connections are dropped, what was committed kept."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_START)

    def restart(self) -> None:
        self.stop(signal.SIGINT)
        self.start()

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def migrate_template(self) -> None:
        self.execute(f"create database {_TEMPLATE}")
        migrate_now(self.url(_TEMPLATE))

    @contextmanager
    def database(self, template: str = _TEMPLATE) -> Iterator[str]:
        """The address of a new database: a migrated, empty catalog, or `template0` for nothing."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"create database {name} template {template}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"drop database {name} with (force)")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True


def _program(name: str) -> str:
    found = postgres_program(name)
    if found is None:
        pytest.skip(f"{name} is not installed: Debian has it in postgresql-15")
    return found


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    _program("initdb")
    user = Unprivileged.find()
    with tempfile.TemporaryDirectory(prefix="retinue-postgres-") as name:
        folder = Path(name)
        user.own(folder)
        server = PostgresServer(folder, user)
        server.initialise()
        server.start()
        try:
            server.migrate_template()
            yield server
        finally:
            server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path}/catalog.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as url:
        yield url


@pytest.fixture
async def catalog(database: str) -> AsyncIterator[Catalog]:
    opened = await open_catalog(database, durable=False)
    yield opened
    await opened.close()
