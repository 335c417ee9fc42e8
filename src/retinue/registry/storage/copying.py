"""Copies of stored files in another folder of the same layout. Everything here blocks.

A file that is damaged is its own matter (CopyDamaged): whoever copies many goes on with the next.
What fails on the side that is written to is raised as OSError: then no copy is any good.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from retinue.errors import RetinueError
from retinue.files import Root, UnsafePath, write_all
from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.storage import places
from retinue.registry.storage.places import InvalidPlace

CHUNK = 1 << 20

_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What reading fails with for reasons that lie in this process."""


class CopyDamaged(RetinueError):
    """A stored file is not what its digest says, or cannot be read."""

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(f"{location[:200]} {reason}")
        self.location = location
        self.reason = reason


def make_places(root: Root) -> None:
    """The folders of blobs; existing ones are left as they are."""
    root.make_folder(places.BLOBS)
    for folder in places.FANOUT:
        root.make_folder(f"{places.BLOBS}/{folder}")


def sync_places(root: Root) -> None:
    """Make all names durable; the bytes of copies are already."""
    for folder in places.FANOUT:
        root.sync_folder(f"{places.BLOBS}/{folder}")
    root.sync_folder(places.BLOBS)
    root.sync_folder()


def sync_file(root: Root, name: str) -> None:
    """Make the bytes of a file durable that something else has written."""
    fd = root.open(name, os.O_RDONLY)
    try:
        root.calls.sync(fd)
    finally:
        root.calls.close(fd)


def copy(
    source: Root,
    target: Root,
    location: str,
    *,
    link: bool = False,
    size: int | None = None,
    digest: Digest | None = None,
) -> int | None:
    """One file, as a second name (`link`, where the file system can) or as bytes of its own.

    `size` is what it should have, `digest` what its bytes should hash to; what differs is not left
    in the target. Returns its size in bytes, None when the source has no such file. One that is in
    the target already is left. Raises CopyDamaged; OSError for the target, or for a source that is
    not where it was opened.
    """
    there = _size(source, location)
    if there is None:
        return None
    if size is not None and there != size:
        raise CopyDamaged(location, f"has {there} bytes, not {size}")
    name = places.blob_name(location)
    if target.status(name) is not None:
        return there
    if link:
        if digest is not None:
            _compare(location, digest, _hashed(source, location, digest, lambda _at, _chunk: None))
        if _linked(source, target, name):
            return there
    _copied(source, target, location, digest)
    return there


def _size(source: Root, location: str) -> int | None:
    try:
        status = source.status(places.blob_name(location))
    except (InvalidPlace, UnsafePath, OSError) as error:
        raise _damage(location, error) from error
    if status is None:
        if not source.in_place():
            raise FileNotFoundError(errno.ENOENT, "was moved or deleted", str(source.path))
        return None
    if not stat.S_ISREG(status.st_mode):
        raise CopyDamaged(location, "is no regular file")
    return status.st_size


def _damage(location: str, error: RetinueError | OSError) -> Exception:
    """What an error of reading means for this one file; or itself, if it is not the file's."""
    if isinstance(error, OSError):
        if error.errno in _OURS:
            return error
        return CopyDamaged(location, f"cannot be read: {(error.strerror or str(error)).lower()}")
    return CopyDamaged(location, f"cannot be read: {error}")


def _linked(source: Root, target: Root, name: str) -> bool:
    """Files are never written again once they are named, so two folders may share one."""
    try:
        source.link_into(target, name)
    except OSError as error:
        if error.errno in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}:
            return False
        raise
    return True


def _copied(source: Root, target: Root, location: str, digest: Digest | None) -> None:
    name = places.blob_name(location)
    giving = target.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            actual = _hashed(
                source,
                location,
                digest,
                lambda at, chunk: write_all(target.calls, giving, [chunk], at),
            )
            _compare(location, digest, actual)
            target.calls.sync(giving)
        finally:
            target.calls.close(giving)
    except CopyDamaged:
        target.unlink(name)
        raise


def _compare(location: str, digest: Digest | None, actual: Digest | None) -> None:
    if actual != digest:
        raise CopyDamaged(location, f"hashes to {actual}, not {digest}")


def _hashed(
    source: Root, location: str, digest: Digest | None, each: Callable[[int, bytes], None]
) -> Digest | None:
    """Read a file once, giving every chunk to `each`; its digest by the algorithm of `digest`."""
    algorithm = None if digest is None else digests.algorithm(digest)
    hasher = None if algorithm is None else digests.hasher(algorithm)
    at = 0
    for chunk in _chunks(source, location):
        each(at, chunk)
        at += len(chunk)
        if hasher is not None:
            hasher.update(chunk)
    return None if hasher is None else digests.parse(f"{algorithm}:{hasher.hexdigest()}")


def _chunks(source: Root, location: str) -> Iterator[bytes]:
    """Raises CopyDamaged for whatever fails here."""
    try:
        fd = source.open(places.blob_name(location), os.O_RDONLY)
    except (UnsafePath, OSError) as error:
        raise _damage(location, error) from error
    try:
        at = 0
        while chunk := _read(source, fd, at, location):
            yield chunk
            at += len(chunk)
    finally:
        source.calls.close(fd)


def _read(source: Root, fd: int, at: int, location: str) -> bytes:
    try:
        return source.calls.read(fd, CHUNK, at)
    except OSError as error:
        raise _damage(location, error) from error


def is_empty(folder: Path) -> bool:
    """Whether a folder is absent, or has nothing in it."""
    return not folder.exists() or not any(folder.iterdir())
