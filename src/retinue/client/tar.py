"""Tar files: reading members in place, and writing one that appears only when it is complete."""

import asyncio
import os
import posixpath
import secrets
import tarfile
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from retinue.client.layout import LayoutError
from retinue.files import Root

MAX_MEMBERS = 400_000
MAX_UNPACKED = 1 << 40
"""Bytes that a compressed archive may unpack to."""
MAX_LINKS = 8
PART = 1024 * 1024
_GZIP = b"\x1f\x8b"


class _Member(Struct, frozen=True):
    start: int
    size: int


class TarFiles:
    """The regular files of a tar file, by name; symbolic links lead only to other members.

    A gzipped one is unpacked into a nameless temporary file. Raises LayoutError.
    """

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._file = _open(path)
        self._members: dict[str, _Member] = {}
        self._links: dict[str, str] = {}
        try:
            self._scan()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        self._file.close()

    def read(self, name: str, limit: int) -> bytes | None:
        member = self._member(name)
        if member is None:
            return None
        if member.size > limit:
            raise LayoutError(self.where, f"{name} has more than {limit} bytes")
        data = os.pread(self._file.fileno(), member.size, member.start)
        if len(data) != member.size:
            raise LayoutError(self.where, f"it ends within {name}")
        return data

    def size(self, name: str) -> int | None:
        member = self._member(name)
        return member.size if member is not None else None

    def inside(self, folder: str) -> Iterator[tuple[str, int]]:
        for path, member in self._members.items():
            above, _, name = path.rpartition("/")
            if above == folder:
                yield name, member.size

    def parts(self, name: str, start: int = 0) -> Iterator[bytes]:
        """The bytes of a member from `start` on."""
        member = self._member(name)
        if member is None:
            raise LayoutError(self.where, f"{name} is missing")
        position, end = member.start + start, member.start + member.size
        while position < end:
            data = os.pread(self._file.fileno(), min(PART, end - position), position)
            if not data:
                raise LayoutError(self.where, f"it ends within {name}")
            position += len(data)
            yield data

    async def chunks(self, name: str, start: int) -> AsyncIterator[bytes]:
        for part in self.parts(name, start):
            yield part
            await asyncio.sleep(0)

    def _member(self, name: str) -> _Member | None:
        for _ in range(MAX_LINKS):
            if name not in self._links:
                return self._members.get(name)
            name = posixpath.normpath(posixpath.join(posixpath.dirname(name), self._links[name]))
        raise LayoutError(self.where, f"{name} is a link without end")

    def _scan(self) -> None:
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as archive:
                for count, member in enumerate(archive):
                    if count >= MAX_MEMBERS:
                        raise LayoutError(self.where, f"it has more than {MAX_MEMBERS} members")
                    self._add(member)
        except tarfile.TarError as problem:
            raise LayoutError(self.where, f"it is no tar file: {problem}") from problem

    def _add(self, member: tarfile.TarInfo) -> None:
        name = posixpath.normpath(member.name)
        if member.isreg() and not member.issparse():
            self._members[name] = _Member(member.offset_data, member.size)
            self._links.pop(name, None)
        elif member.issym():
            self._links[name] = member.linkname
        elif member.islnk():
            self._links[name] = posixpath.relpath(member.linkname, posixpath.dirname(name) or ".")


def _open(path: Path) -> BinaryIO:
    try:
        file = path.open("rb")
    except OSError as problem:
        raise LayoutError(str(path), str(problem)) from problem
    if file.read(2) != _GZIP:
        file.seek(0)
        return file
    with file:
        file.seek(0)
        return _unpacked(str(path), file)


def _unpacked(where: str, file: BinaryIO) -> BinaryIO:
    unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        size = 0
        for data in gunzipped(where, iter(lambda: file.read(PART), b"")):
            size += unpacked.write(data)
            if size > MAX_UNPACKED:
                raise LayoutError(where, f"it unpacks to more than {MAX_UNPACKED} bytes")
    except BaseException:
        unpacked.close()
        raise
    unpacked.seek(0)
    return unpacked


def gunzipped(where: str, parts: Iterator[bytes]) -> Iterator[bytes]:
    """The content of gzip members, one after another; raises LayoutError."""
    inflate = zlib.decompressobj(wbits=31)
    try:
        for part in parts:
            rest = part
            while rest:
                if inflate.eof:
                    inflate = zlib.decompressobj(wbits=31)
                yield inflate.decompress(rest, PART)
                rest = inflate.unconsumed_tail or inflate.unused_data
    except zlib.error as problem:
        raise LayoutError(where, f"damaged gzip data: {problem}") from problem
    if not inflate.eof:
        raise LayoutError(where, "gzip data that ends early")


class TarWriter:
    """A tar file without times and owners: the same content gives the same bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._archive = tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def add(self, name: str, size: int, file: BinaryIO) -> None:
        """A member of `size` bytes read from a file."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        self._archive.addfile(info, file)

    def close(self) -> None:
        self._archive.close()


@contextmanager
def new_archive(path: Path) -> Iterator[TarWriter]:
    """Write a tar file that is there, durably, when the block ends well; else nothing is.

    Raises LayoutError when the name is taken: nothing is ever replaced.
    """
    with Root(path.parent) as root:
        passing = f".{secrets.token_hex(8)}.tmp"
        fd = root.open(passing, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            with os.fdopen(fd, "wb") as file:
                writer = TarWriter(file)
                yield writer
                writer.close()
                file.flush()
                root.calls.sync(file.fileno())
            try:
                root.link(passing, path.name)
            except FileExistsError as problem:
                raise taken(path) from problem
        finally:
            root.unlink(passing)
        root.sync_folder()


def taken(path: Path) -> LayoutError:
    return LayoutError(str(path), "the file exists; remove it, or choose another name")
