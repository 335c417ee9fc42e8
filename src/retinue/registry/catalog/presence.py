"""Whether a database is still the file that was opened."""

import logging
from pathlib import Path

log = logging.getLogger(__name__)


class Presence:
    """Looks by path, as who starts next would: what is written to a file that has no name, or
    another place, is lost to him. The file is not opened for it (storage rule 3)."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when there is no such file."""
        self._path = path
        self._reason = (
            f"{path} was moved or deleted while it was in use, so nothing can be written; "
            "put it back, or start the registry again"
        )
        status = path.stat()
        self._opened = status.st_dev, status.st_ino
        self._gone = False

    def gone(self) -> str | None:
        """Why nothing may be written; None: it is in its place. Changes are logged, once each."""
        gone = not self._in_place()
        if gone != self._gone:
            self._gone = gone
            if gone:
                log.error("%s", self._reason)
            else:
                log.warning("%s is back", self._path)
        return self._reason if gone else None

    def _in_place(self) -> bool:
        try:
            status = self._path.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._opened
