"""The files of the server's certificate: whether they can be used, and when they change."""

import os
import signal
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path

from retinue.registry.config import Config

PAUSE = 5.0
"""Seconds between two looks at the files."""


def problem(config: Config) -> str | None:
    """Why the configured certificate cannot be used; None when it can, or none is configured."""
    if config.tls_cert is None:
        return None
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ValueError) as error:
        return str(error)
    return None


def watch(config: Config) -> None:
    """Ask for new processes when the files of the certificate change."""
    if config.tls_cert is None or config.tls_key is None:
        return
    files = (config.tls_cert, config.tls_key)
    threading.Thread(target=_watch, args=(files, threading.Event()), daemon=True).start()


def _watch(files: Sequence[Path], stop: threading.Event) -> None:
    seen = _stamps(files)
    while not stop.wait(PAUSE):
        now = _stamps(files)
        if now != seen and None not in now:
            seen = now
            os.kill(os.getpid(), signal.SIGHUP)


def _stamps(files: Sequence[Path]) -> list[tuple[int, int, int] | None]:
    found: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            status = file.stat()
        except FileNotFoundError:
            found.append(None)  # it is being replaced
        else:
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return found
