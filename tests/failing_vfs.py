"""SQLite's way to the disk, failing on demand: `Disk` counts calls and fails the chosen one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import count

import apsw

_NUMBERS = count(1)


class Call(StrEnum):
    WRITE = "write"
    SYNC = "sync"


class Disk(apsw.VFS):
    """A VFS under a name of its own; every file of it obeys `failing`."""

    def __init__(self) -> None:
        self.name = f"failing-{next(_NUMBERS)}"
        super().__init__(self.name, "")
        self._fails: tuple[Call, type[apsw.Error]] | None = None
        self._left = 0
        self.failed = 0
        self.watch: Callable[[Call], None] = lambda _: None
        """Called at every call, in its thread."""

    def xOpen(  # noqa: N802 - SQLite's name
        self, name: "str | apsw.URIFilename | None", flags: list[int]
    ) -> "_File":
        return _File(self, name, flags)

    @contextmanager
    def failing(self, call: Call, error: type[apsw.Error], after: int = 0) -> Iterator[None]:
        """Inside, every `call` but the first `after` raises `error`. `failed` counts them."""
        self._fails, self._left, self.failed = (call, error), after, 0
        try:
            yield
        finally:
            self._fails = None

    def meet(self, call: Call) -> None:
        self.watch(call)
        if self._fails is None or self._fails[0] is not call:
            return
        if self._left > 0:
            self._left -= 1
            return
        self.failed += 1
        raise self._fails[1]


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: "str | apsw.URIFilename | None", flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.meet(Call.WRITE)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.meet(Call.SYNC)
        super().xSync(flags)
