"""Registries for a whole run, each started when a test first asks for it: ours, and other people's."""

import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from serving import Serving, free_port

READY_SECONDS = 30.0


def distribution(folder: Path, port: int) -> Sequence[str]:
    """It has no referrers API."""
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
    )
    return ["distribution", "serve", str(config)]


def olareg(folder: Path, port: int) -> Sequence[str]:
    """It has the referrers API."""
    (folder / "data").mkdir()
    where = ["--addr", "127.0.0.1", "--port", str(port), "--dir", str(folder / "data")]
    return ["olareg", "serve", "--verbosity", "error", "--api-delete", "--api-blob-delete", *where]


OTHERS: Mapping[str, Callable[[Path, int], Sequence[str]]] = {
    "distribution": distribution,
    "olareg": olareg,
}


class Places:
    """`places["ours"]`, `places["distribution"]`, `places["olareg"]`: `127.0.0.1:PORT` of each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hosts: dict[str, str] = {}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ours = Serving(str(folder / "ours"), {"workers": "2"})

    def __getitem__(self, name: str) -> str:
        if name not in self._hosts:
            self._hosts[name] = self._begin_ours() if name == "ours" else self._begin(name)
        return self._hosts[name]

    def stop(self) -> None:
        self._ours.stop()
        for process in self._processes:
            process.terminate()
            process.wait(READY_SECONDS)

    def _begin_ours(self) -> str:
        self._ours.start()
        return self._ours.host

    def _begin(self, name: str) -> str:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed: scripts/interop installs it")
        folder = self._folder / name
        folder.mkdir()
        port = free_port()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(OTHERS[name](folder, port), stdout=log, stderr=log)
        self._processes.append(process)
        _wait_ready(f"127.0.0.1:{port}", process)
        return f"127.0.0.1:{port}"


def _wait_ready(host: str, process: "subprocess.Popen[bytes]") -> None:
    """Poll: these servers tell nobody when they are up."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://{host}/v2/", timeout=5).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"{process.args!r} did not become ready")
