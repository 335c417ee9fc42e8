"""The mark of a data folder that a restore is filling: nothing serves or mends it before the end."""

from pathlib import Path

from retinue.errors import RetinueError
from retinue.files import Root

MARK = "restoring"
_TEXT = b"A restore is filling this folder, or was interrupted. Then remove the folder and restore again.\n"


class RestoreUnfinished(RetinueError):
    """The data folder holds a part of what was backed up."""

    def __init__(self, data: Path) -> None:
        super().__init__(
            f"{data} is being restored, or its restore was interrupted: wait, or remove the folder "
            "and restore again"
        )
        self.data = data


def begin(root: Root) -> None:
    """Mark the folder, durably, before anything is put into it."""
    root.write_atomically(MARK, _TEXT)


def end(root: Root) -> None:
    """All of it is there, and durable."""
    root.unlink(MARK)
    root.sync_folder()


def require_finished(data: Path) -> None:
    """Raises RestoreUnfinished."""
    if (data / MARK).exists():
        raise RestoreUnfinished(data)
