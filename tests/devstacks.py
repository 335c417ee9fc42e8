"""A development stack that listens on a free port of loopback, in a thread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode
from urllib.request import urlopen

from retinue.attest.root import TrustedRoot, read_root
from retinue.devstack.server import Server


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def running(folder: Path, clock: Callable[[], datetime] = now, port: int = 0) -> Iterator[Server]:
    server = Server(folder, "127.0.0.1", port, clock)
    thread = Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
        server.close()


def token(server: Server, subject: str = "dev@example.test", **claims: str) -> str:
    """An identity token that the stack mints over HTTP."""
    body = urlencode({"subject": subject, **claims}).encode()
    with urlopen(f"{server.url}/token", body) as answer:
        return str(answer.read().decode())


def root_of(server: Server) -> TrustedRoot:
    return read_root((server.state.folder.path / "trusted_root.json").read_bytes())
