"""A registry process of its own, to be killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

FLAGS = (
    "--workers", "2", "--grace", "4s", "--paper-grace", "4s", "--trash-delay", "1s",
    "--gc-interval", "1s", "--untagged-grace", "4s", "--log-level", "error", "--drain", "5s",
)  # fmt: skip
SECONDS = 60.0
RETINUE = (sys.executable, "-m", "retinue")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll what no event tells."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"within {SECONDS:.0f} s: {what}"
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Setting:
    """How a registry is started: `prefix` stands before its command."""

    folder: Path
    flags: Sequence[str] = ()
    prefix: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    database: str = ""
    port: int = field(default_factory=free_port)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder.parent / f"{self.folder.name}.log"

    @property
    def place(self) -> list[str]:
        """The options that say where the data is."""
        elsewhere = ["--database", self.database] if self.database else []
        return ["--data", str(self.data), *elsewhere]

    def launch(self) -> "subprocess.Popen[bytes]":
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [*self.prefix, *RETINUE, "serve", *self.place]
        command += ["--listen", f"127.0.0.1:{self.port}", *FLAGS, *self.flags]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **self.environment},
            )

    def fsck(self, *options: str, hasty: bool = False) -> "subprocess.CompletedProcess[str]":
        """`hasty`: what lies about is a leftover soon. One that takes longer than SECONDS hangs."""
        terms = {"RETINUE_GRACE": "0", "RETINUE_TRASH_DELAY": "1s"} if hasty else {}
        return subprocess.run(
            [*RETINUE, "admin", "fsck", "--json", *options, *self.place],
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env={**os.environ, **terms},
        )


@dataclass(slots=True)
class Server:
    setting: Setting
    process: "subprocess.Popen[bytes]"

    @property
    def port(self) -> int:
        return self.setting.port

    def is_ready(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2).close()
        except OSError:
            return False
        return True

    def wait_ready(self) -> None:
        for _ in range(600):
            if self.is_ready():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"the registry is not ready:\n{self.told()}")

    def told(self) -> str:
        return self.setting.log.read_text(errors="replace")[-4000:]

    def kill(self) -> None:
        """As a power cut looks to the processes: all at once, without a last word."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def start_again(self) -> None:
        self.process = self.setting.launch()
        self.wait_ready()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(SECONDS)

    def workers(self) -> list[int]:
        """Processes that the parent has started, as Linux lists them."""
        pid = self.process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def running(setting: Setting) -> Iterator[Server]:
    """Until the end; killed where something went wrong."""
    server = Server(setting, setting.launch())
    try:
        server.wait_ready()
        yield server
    except BaseException:
        server.kill()
        raise
    if server.process.poll() is None:
        server.stop()


def check_sound(setting: Setting, *options: str) -> None:
    """Every row and every byte agree; leftovers of a crash are allowed, damage is not."""
    done = setting.fsck(*options)
    assert done.returncode == 0, f"fsck: {done.stdout[-3000:]} {done.stderr[-3000:]}"
    json.loads(done.stdout)


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
