"""A system that fails on demand: what is preloaded into a registry, and the page that steers it."""

import errno
import mmap
import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_SOURCE = Path(__file__).with_name("calls.c")
_PAGE = struct.Struct("<qiiii256s")


class Unable(Exception):
    """This machine lacks what a round needs: it is left out, and the reason told."""


class System:
    """Failures under one folder. Raises Unable where no C compiler is."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise Unable("needs a C compiler (Debian: apt-get install gcc libc6-dev)")
        folder.mkdir(parents=True, exist_ok=True)
        self._library, page = folder / "calls.so", folder / "page"
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(self._library), str(_SOURCE)]
        done = subprocess.run([*command, "-ldl"], check=False, capture_output=True, text=True)
        if done.returncode:
            raise Unable(f"{compiler} made no library: {done.stderr[-300:]}")
        page.write_bytes(bytes(mmap.PAGESIZE))
        self._path = page
        with page.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    @property
    def environment(self) -> Mapping[str, str]:
        return {"LD_PRELOAD": str(self._library), "FAULTS_PAGE": str(self._path)}

    @contextmanager
    def failing(self, *, reads: str = "", writes: str = "") -> Iterator[None]:
        """EIO for files whose path contains that."""
        assert not (reads and writes)
        self._set(reads=errno.EIO if reads else 0, writes=errno.EIO if writes else 0,
                  part=reads or writes)  # fmt: skip
        try:
            yield
        finally:
            self._set()

    @contextmanager
    def slow_syncs(self, microseconds: int, part: str) -> Iterator[None]:
        self._set(sync=microseconds, part=part)
        try:
            yield
        finally:
            self._set()

    def step_clock(self, seconds: int) -> None:
        """The wall clock is that far off from now on; the monotonic one runs on."""
        self._set(seconds=seconds)

    def _set(
        self, *, seconds: int = 0, reads: int = 0, writes: int = 0, sync: int = 0, part: str = ""
    ) -> None:
        self._page[: _PAGE.size] = _PAGE.pack(seconds, reads, writes, sync, 0, part.encode())
