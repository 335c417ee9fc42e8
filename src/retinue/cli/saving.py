"""Blobs into files, confined to a folder: names come from others, bytes are checked first."""

import os
import secrets
from collections.abc import Sequence

from msgspec import Struct

from retinue.cli.problems import Occupied
from retinue.files import Root, split, write_all
from retinue.oci import digest as digests
from retinue.oci.descriptor import Descriptor
from retinue.oci.stores import Source

PART = 1024 * 1024


class File(Struct, frozen=True):
    """A blob, and the relative name that it gets."""

    name: str
    blob: Descriptor


async def save(source: Source, root: Root, files: Sequence[File]) -> None:
    """Write files below the root; one that is here with the same bytes stays as it is.

    Raises UnsafePath before anything is written, Occupied, DigestMismatch, BlobMissing.
    """
    for file in files:
        split(file.name)
    for file in files:
        await _save(source, root, file)


async def _save(source: Source, root: Root, file: File) -> None:
    folders, _ = split(file.name)
    for depth in range(1, len(folders) + 1):
        root.make_folder("/".join(folders[:depth]), 0o755)
    passing = "/".join([*folders, f".{secrets.token_hex(8)}.tmp"])
    fd = root.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        offset = 0
        async with source.blob(file.blob.digest) as chunks:
            async for chunk in chunks:
                write_all(root.calls, fd, [chunk], offset)
                offset += len(chunk)
        _name(root, passing, file)
    finally:
        os.close(fd)
        root.unlink(passing)


def _name(root: Root, passing: str, file: File) -> None:
    try:
        root.link(passing, file.name)
    except FileExistsError as problem:
        if not _same(root, file):
            raise Occupied(str(root.path / file.name)) from problem


def _same(root: Root, file: File) -> bool:
    """Whether the file that is here has the bytes of the blob."""
    hasher = digests.hasher(digests.algorithm(file.blob.digest))
    fd = root.open(file.name, os.O_RDONLY)
    try:
        while part := os.read(fd, PART):
            hasher.update(part)
    finally:
        os.close(fd)
    return hasher.hexdigest() == digests.encoded(file.blob.digest)
