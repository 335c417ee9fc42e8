"""A real `retinue serve`, in processes of its own, on a free port of loopback."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

READY_SECONDS = 30.0
STOP_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], bool]) -> None:
    """Poll what no event tells."""
    end = time.monotonic() + READY_SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Serving:
    """`options`: those of the configuration, by name; `environ`: variables besides."""

    data: str
    options: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    environ: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def log(self) -> str:
        return Path(f"{self.data}.log").read_text()

    def command(self) -> list[str]:
        options = {"data": self.data, "listen": self.host, "durable": "false", **self.options}
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        return [sys.executable, "-m", "retinue", "serve", *flags]

    def start(self, *, wait: bool = True, group: bool = False) -> None:
        """`group`: its processes are a group of their own, as those of a terminal's command are."""
        plain = {k: v for k, v in os.environ.items() if not k.startswith("RETINUE_")}
        environ = {**plain, **self.environ}
        with Path(f"{self.data}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, env=environ, start_new_session=group
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Poll /readyz: the server tells nobody else when it is up."""
        assert self.process is not None
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}: {self.log}")
            try:
                if self.get("/readyz").status == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"the server did not become ready: {self.log}")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own."""
        connection = self._connection()
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if "tls_cert" not in self.options:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        trusting = ssl.create_default_context(cafile=self.options["tls_cert"])
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=trusting)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        return self.call("GET", path, None, headers)

    def connect(self) -> socket.socket:
        """A connection to write bytes to."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


def workers(registry: Serving) -> set[int]:
    """The processes that serve."""
    assert registry.process is not None
    pid = registry.process.pid
    return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


@contextmanager
def on_database(serving: Serving, request: pytest.FixtureRequest) -> Iterator[None]:
    """Run it while the block lasts, on the database that a fixture's parameter names."""
    if request.param == "postgres":
        with request.getfixturevalue("postgres_server").database() as url:
            serving.options["database"] = url
            with _started(serving):
                yield
    else:
        with _started(serving):
            yield


@contextmanager
def _started(serving: Serving) -> Iterator[None]:
    serving.start()
    yield
    serving.stop()
