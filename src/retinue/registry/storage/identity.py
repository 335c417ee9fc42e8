"""The mark of a data folder: whose blobs it holds (storage rule 18).

The catalog names the same. A folder that is not mounted looks like one that is empty; without
this, storage that is away would be taken for content that is lost.
"""

import errno
import re
from pathlib import Path

from retinue.files import CALLS, Calls, Root
from retinue.registry.storage.blobstore import StorageFailed

FILE = "identity"
BYTES = 16
"""Random bytes of an identity."""

_PASSING = ".identity.new"
_SHAPE = re.compile(r"[0-9a-f]{32}")
_MOST = 256


class ForeignStore(StorageFailed):
    """The folder is not the one that holds the blobs of this catalog, or it is not mounted."""

    def __init__(self, data: Path, found: str | None, wanted: str) -> None:
        has = f"says {found[:40]!r}" if found else "is not there"
        super().__init__(
            f"use {data}",
            f"this registry's blobs are in a folder whose file {FILE!r} says {wanted!r}, and here it "
            f"{has}: mount the right folder, or name it with --data (or the right --database). "
            f"If this is the right one, and has lost that file, write the line {wanted} into it",
        )
        self.data = data
        self.found = found
        self.wanted = wanted


class Home(Root):
    """A data folder that is open. `identity`: what it must say, empty where that does not matter.

    Raises ForeignStore, OSError.
    """

    def __init__(self, path: Path, identity: str = "", calls: Calls = CALLS) -> None:
        self.identity = identity
        try:
            super().__init__(path, calls)
        except (FileNotFoundError, NotADirectoryError) as error:
            if identity:
                raise ForeignStore(path, None, identity) from error
            raise
        try:
            self._require_identity()
        except BaseException:
            self.close()
            raise

    def require(self) -> None:
        """Raises OSError when the folder is elsewhere, or nowhere, and ForeignStore."""
        self.require_in_place()
        self._require_identity()

    def require_in_place(self) -> None:
        """For each copy that is kept: what is in its place says what it said when it was opened."""
        if not self.in_place():
            raise FileNotFoundError(errno.ENOENT, f"{self.path} was moved or deleted")

    def _require_identity(self) -> None:
        if self.identity and (found := read(self)) != self.identity:
            raise ForeignStore(self.path, found, self.identity)


def read(root: Root) -> str | None:
    """What the folder says; None when it says nothing. Raises OSError."""
    try:
        return root.read(FILE, _MOST).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None


def is_identity(text: str) -> bool:
    return _SHAPE.fullmatch(text) is not None


def mark(root: Root, identity: str) -> str:
    """Give the folder an identity, durably, unless it has one; returns what it says then."""
    root.write_atomically(_PASSING, identity.encode() + b"\n")
    try:
        root.link(_PASSING, FILE)
    except FileExistsError:  # another process was first
        return read(root) or ""
    finally:
        root.unlink(_PASSING)
        root.sync_folder()
    return identity
