"""Copies of stored files in another folder of the same layout. Everything here blocks."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from retinue.files import Root, write_all
from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.storage import places

CHUNK = 1 << 20


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


def copy(source: Root, target: Root, location: str, *, link: bool) -> int | None:
    """One file, as a second name (`link`, where the file system can) or as bytes of its own.

    Returns its size in bytes, None when the source has no such file. One that is in the target
    already is left. Raises OSError, InvalidPlace.
    """
    name = places.blob_name(location)
    status = source.status(name)
    if status is None:
        return None
    there = target.status(name)
    if there is not None:
        return there.st_size
    if not (link and _linked(source, target, name)):
        _copied(source, target, name)
    return status.st_size


def _linked(source: Root, target: Root, name: str) -> bool:
    """Files are never written again once they are named, so two folders may share one."""
    try:
        source.link_into(target, name)
    except OSError as error:
        if error.errno in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}:
            return False
        raise
    return True


def _copied(source: Root, target: Root, name: str) -> None:
    taking = source.open(name, os.O_RDONLY)
    try:
        giving = target.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            at = 0
            while chunk := source.calls.read(taking, CHUNK, at):
                write_all(target.calls, giving, [chunk], at)
                at += len(chunk)
            target.calls.sync(giving)
        finally:
            target.calls.close(giving)
    finally:
        source.calls.close(taking)


def digest_of_copy(root: Root, location: str, algorithm: str) -> Digest:
    """What the bytes of a file hash to. Raises OSError."""
    hasher = digests.hasher(algorithm)
    fd = root.open(places.blob_name(location), os.O_RDONLY)
    try:
        at = 0
        while chunk := root.calls.read(fd, CHUNK, at):
            hasher.update(chunk)
            at += len(chunk)
    finally:
        root.calls.close(fd)
    return digests.parse(f"{algorithm}:{hasher.hexdigest()}")


def is_empty(folder: Path, besides: Iterable[str] = ()) -> bool:
    """Whether a folder is absent, or has nothing in it."""
    return not folder.exists() or not ({one.name for one in folder.iterdir()} - set(besides))
