"""A key pair's files: the private one readable by its owner alone; nothing is overwritten."""

import os
from pathlib import Path

from retinue.cli.problems import Occupied


def write_pair(prefix: str, private: bytes, public: bytes) -> tuple[str, str]:
    """Write PREFIX.key and PREFIX.pub; returns their paths. Raises Occupied, OSError."""
    paths = f"{prefix}.key", f"{prefix}.pub"
    for path in paths:
        if os.path.lexists(path):
            raise Occupied(path)
    _write(paths[0], private, 0o600)
    try:
        _write(paths[1], public, 0o644)
    except OSError:
        Path(paths[0]).unlink()
        raise
    return paths


def _write(path: str, content: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
