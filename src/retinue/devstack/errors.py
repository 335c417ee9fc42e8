"""What can go wrong in the development stack."""

from pathlib import Path

from retinue.errors import RetinueError


class NotGiven(RetinueError):
    """A request that a service does not fulfil. `status` is HTTP's; `location` names what exists."""

    def __init__(self, status: int, reason: str, *, location: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.location = location


class StateUnusable(RetinueError):
    """The folder with keys and logs cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"dev stack folder {path}: {reason}")
        self.path = path
        self.reason = reason


class NotLoopback(RetinueError):
    """Anyone who reaches these services gets any identity: they listen on loopback alone."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"--listen {address}: the development stack gives any identity to whoever asks; "
            "it listens on loopback only, such as 127.0.0.1:5555"
        )
        self.address = address
