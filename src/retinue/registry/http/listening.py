"""Whether an address is free, and who has it."""

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from retinue.errors import RetinueError

_LISTEN = "0A"


class AddressTaken(RetinueError):
    """Somebody listens there already. `holder`: process id and command, if they can be seen."""

    def __init__(self, address: tuple[str, int], holder: tuple[int, str] | None) -> None:
        who = f" by {holder[1]} (process {holder[0]})" if holder else ""
        super().__init__(f"{address[0]}:{address[1]} is taken{who}; choose another --listen")
        self.address = address
        self.holder = holder


class AddressUnusable(RetinueError):
    """This machine has no such address, or this user may not use the port."""

    def __init__(self, address: tuple[str, int], reason: str) -> None:
        super().__init__(f"cannot listen on {address[0]}:{address[1]}: {reason}")
        self.address = address
        self.reason = reason


def require_free(address: tuple[str, int]) -> None:
    """Raises AddressTaken, AddressUnusable.

    The server itself shares its port among its processes, which another server of the same user
    could join unnoticed: hence this look before.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE:
                raise AddressTaken(address, holder(address[1])) from problem
            raise AddressUnusable(address, os.strerror(problem.errno or 0)) from problem


def limit_pauses(port: int, seconds: float, proc: Path = Path("/proc")) -> None:
    """Connections to `port` that this process accepts from now on end when their client takes
    nothing of an answer for so long: they inherit TCP_USER_TIMEOUT (tcp(7)).

    The server sends files by itself, and knows no such limit.
    """
    with listeners(port, proc) as found:
        for listener in found:
            pause = int(seconds * 1000)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, pause)


@contextmanager
def listeners(port: int, proc: Path = Path("/proc")) -> Iterator[Sequence[socket.socket]]:
    """What this process listens to `port` with, while the block lasts."""
    with ExitStack() as stack:
        found = [stack.enter_context(each) for each in _sockets(proc)]
        yield [each for each in found if _listens(each) and each.getsockname()[1] == port]


@contextmanager
def accepted(port: int) -> Iterator[Sequence[socket.socket]]:
    """The connections that clients have with `port` of this process, while the block lasts."""
    with ExitStack() as stack:
        found = [stack.enter_context(each) for each in _sockets()]
        yield [each for each in found if not _listens(each) and each.getsockname()[1] == port]


def descriptors(proc: Path = Path("/proc")) -> dict[int, str]:
    """What the descriptors of this process are: a path, or `socket:[inode]` and the like."""
    found: dict[int, str] = {}
    for each in (proc / "self/fd").iterdir():
        with suppress(FileNotFoundError):  # closed by now
            found[int(each.name)] = str(each.readlink())
    return found


def _sockets(proc: Path = Path("/proc")) -> Iterator[socket.socket]:
    """Duplicates of this process's TCP sockets, for the caller to close."""
    for number, target in descriptors(proc).items():
        if not target.startswith("socket:"):
            continue
        try:
            found = socket.socket(fileno=os.dup(number))
        except OSError:
            continue  # closed by now
        if found.family in {socket.AF_INET, socket.AF_INET6} and found.type == socket.SOCK_STREAM:
            yield found
        else:
            found.close()


def _listens(found: socket.socket) -> bool:
    return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def holder(port: int, proc: Path = Path("/proc")) -> tuple[int, str] | None:
    """Process id and command of who listens on a port; None when that cannot be seen."""
    inodes = _listening(port, proc)
    if not inodes:
        return None
    for process in proc.iterdir():
        if process.name.isdigit() and _has_socket(process, inodes):
            return int(process.name), _command(process)
    return None


def _listening(port: int, proc: Path) -> set[str]:
    found: set[str] = set()
    for table in ("net/tcp", "net/tcp6"):
        for line in (proc / table).read_text().splitlines()[1:]:
            cells = line.split()
            if cells[3] == _LISTEN and int(cells[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{cells[9]}]")
    return found


def _has_socket(process: Path, inodes: set[str]) -> bool:
    try:
        return any(str(each.readlink()) in inodes for each in (process / "fd").iterdir())
    except OSError:
        return False  # it ended meanwhile, or belongs to somebody else: its files cannot be seen


def _command(process: Path) -> str:
    words = (process / "cmdline").read_bytes().split(b"\0")
    return b" ".join(words[:4]).decode("utf-8", "replace").strip()[:120] or "a process"
