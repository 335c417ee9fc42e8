"""A registry process of its own, to be killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FLAGS = (
    "--workers", "2", "--grace", "4s", "--paper-grace", "4s", "--trash-delay", "1s",
    "--gc-interval", "1s", "--untagged-grace", "4s", "--log-level", "error", "--drain", "5s",
)  # fmt: skip


@dataclass(slots=True)
class Server:
    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    store: tuple[str, ...]
    """Options that say where its data is."""

    @classmethod
    def start(
        cls, folder: Path, largest_file: int | None = None, *, elsewhere: bool = False
    ) -> "Server":
        """`largest_file`, in bytes: a write that crosses it is cut short, later ones fail.
        `elsewhere`: the catalog is not in the data folder. Raises AssertionError."""
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        log = (folder.parent / f"{folder.name}.log").open("ab")
        store: tuple[str, ...] = ("--data", str(folder / "data"))
        if elsewhere:
            store += ("--database", f"sqlite:{folder}/catalog.db")
        command = [sys.executable, "-m", "retinue", "serve", *store]
        if largest_file is not None:
            command = ["prlimit", f"--fsize={largest_file}", *command]
        process = subprocess.Popen(
            [*command, "--listen", f"127.0.0.1:{port}", *FLAGS],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        log.close()
        server = cls(folder, port, process, store)
        server._wait()
        return server

    def _wait(self) -> None:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        log = (self.folder.parent / f"{self.folder.name}.log").read_text(errors="replace")
        raise AssertionError(f"the registry does not start:\n{log[-4000:]}")

    def kill(self) -> None:
        """As a power cut looks to the processes: all at once, without a last word."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def fsck(self) -> None:
        """Every row and every byte agree; leftovers of the crash are allowed, damage is not."""
        done = self._fsck()
        assert done.returncode == 0, f"fsck: {done.stdout[-3000:]} {done.stderr[-3000:]}"
        json.loads(done.stdout)

    def repair(self) -> None:
        """As an impatient operator does, while clients push: leftovers are old after a second."""
        done = self._fsck("--repair", RETINUE_GRACE="1s", RETINUE_TRASH_DELAY="1s")
        assert done.returncode in {0, 1}, f"fsck: {done.stdout[-3000:]} {done.stderr[-3000:]}"

    def _fsck(self, *options: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "retinue", "admin", "fsck", "--json"]
        return subprocess.run(
            [*command, *self.store, *options],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, **environ},
        )


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """Mount a filesystem of that size there; yields False where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
