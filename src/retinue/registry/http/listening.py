"""Whether an address is free, and who has it."""

import errno
import os
import socket
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
    for number in [int(each.name) for each in (proc / "self/fd").iterdir()]:
        listener = _listener(number)
        if listener is None:
            continue
        with listener:
            if listener.getsockname()[1] == port:
                pause = int(seconds * 1000)
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, pause)


def _listener(number: int) -> socket.socket | None:
    """The listening TCP socket behind a descriptor, if it is one."""
    try:
        found = socket.socket(fileno=os.dup(number))
    except OSError:
        return None  # closed by now, or no socket
    internet = found.family in {socket.AF_INET, socket.AF_INET6}
    if internet and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return found
    found.close()
    return None


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
