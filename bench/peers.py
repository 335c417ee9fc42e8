"""The registries that are measured: how each is started on loopback with a fresh folder."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Peer:
    """`command` gives the program for a folder and a port; None when it is not installed.

    `durable` says whether an acknowledged push survives a power cut; `referrers` whether it has
    the referrers API.
    """

    name: str
    durable: str
    referrers: bool
    command: Callable[[Path, int], Sequence[str] | None]


@dataclass(frozen=True, slots=True)
class Running:
    url: str
    pids: Callable[[], list[int]]

    def memory(self) -> int:
        """Resident bytes of the process tree, shared pages counted once per process (PSS)."""
        return sum(_pss(pid) for pid in self.pids())


def program(name: str) -> str | None:
    found = shutil.which(name)
    if found:
        return found
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    tools = Path(os.environ.get("RETINUE_TOOLS", f"{cache}/retinue-tools"))
    matches = sorted(tools.glob(f"**/{name}"))
    return next((str(m) for m in matches if m.is_file() and os.access(m, os.X_OK)), None)


def retinue(*flags: str) -> Callable[[Path, int], Sequence[str]]:
    def command(folder: Path, port: int) -> Sequence[str]:
        python = [sys.executable, "-m", "retinue", "serve"]
        listen = ["--data", str(folder / "data"), "--listen", f"127.0.0.1:{port}"]
        return [*python, *listen, "--workers", str(WORKERS), "--log-level", "error", *flags]

    return command


def _distribution(name: str) -> Callable[[Path, int], Sequence[str] | None]:
    def command(folder: Path, port: int) -> Sequence[str] | None:
        found = program(name)
        config = folder / "config.yml"
        config.write_text(
            "version: 0.1\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}\n"
            f"http: {{addr: '127.0.0.1:{port}'}}\n"
            "log: {level: error, accesslog: {disabled: true}}\n"
        )
        return found and [found, "serve", str(config)]

    return command


def _olareg(store: str) -> Callable[[Path, int], Sequence[str] | None]:
    def command(folder: Path, port: int) -> Sequence[str] | None:
        found = program("olareg")
        where = ["--dir", str(folder / "data")] if store == "dir" else []
        (folder / "data").mkdir()
        options = ["--store-type", store, "--api-delete", "--api-blob-delete", *where]
        return found and [found, "serve", "--port", str(port), "--verbosity", "error", *options]

    return command


def _zot(folder: Path, port: int) -> Sequence[str] | None:
    found = program("zot")
    config = folder / "config.json"
    config.write_text(
        f'{{"storage": {{"rootDirectory": "{folder}/data"}}, "log": {{"level": "error"}},'
        f' "http": {{"address": "127.0.0.1", "port": "{port}"}}}}'
    )
    return found and [found, "serve", str(config)]


PEERS = (
    Peer("retinue", "synced", True, retinue()),
    Peer("retinue unsynced", "not synced", True, retinue("--durable", "false")),
    Peer("distribution", "synced", False, _distribution("distribution")),
    Peer("docker-registry", "synced", False, _distribution("docker-registry")),
    Peer("olareg folder", "not synced", True, _olareg("dir")),
    Peer("olareg memory", "not stored", True, _olareg("mem")),
    Peer("zot", "not synced", True, _zot),
)


@contextmanager
def running(peer: Peer, folder: Path) -> Iterator[Running | None]:
    """Start a peer on a free loopback port; None when its program is not installed."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = peer.command(folder, port)
    if not command:
        yield None
        return
    # What is set for these scripts is no option of the registry.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RETINUE_")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environ, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(process, url, folder / "log")
        yield Running(url, lambda: tree(process.pid))
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/v2/", timeout=1).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    raise SystemExit(f"{process.args!r} did not start:\n{log.read_text(errors='replace')}")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def tree(pid: int) -> list[int]:
    """A process and all that it started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(p for child in children for p in tree(int(child)))]


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of these processes so far."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / ticks
