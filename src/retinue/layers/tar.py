"""A folder as a layer that is the same bytes wherever and whenever it is made.

Names are sorted, owners are 0, times are one fixed time, and gzip's header holds neither name nor
time (image-spec layer.md). The same compression library gives the same bytes; the diff ID, which is
of the tar, does not depend on it.
"""

import gzip
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from msgspec import Struct

from retinue.errors import RetinueError
from retinue.oci import digest as digests
from retinue.oci.digest import Digest, Hash

LEVEL = 6
CHUNK = 1024 * 1024


class NoLayerFile(RetinueError):
    """The folder holds something that a layer cannot, or should not, hold."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path} is {what}; a layer holds files, folders and links: leave it out")
        self.path = path
        self.what = what


class Layer(Struct, frozen=True):
    """`diff_id` is the digest of the tar, `digest` and `size` (bytes) are of what was written."""

    diff_id: Digest
    digest: Digest
    size: int


class _Hashing:
    """A file that is only written to, and hashed meanwhile."""

    def __init__(self, below: BinaryIO | None, hasher: Hash) -> None:
        self._below = below
        self._hasher = hasher
        self.size = 0

    def write(self, data: bytes) -> int:
        self._hasher.update(data)
        self.size += len(data)
        if self._below is not None:
            self._below.write(data)
        return len(data)

    def flush(self) -> None:
        if self._below is not None:
            self._below.flush()


def write_layer(folder: Path, out: BinaryIO, *, time: int = 0) -> Layer:
    """Write what is in the folder as a gzipped tar; `time` in seconds since 1970 for every entry.

    Raises NoLayerFile, and OSError for what the system says.
    """
    packed_hash, plain_hash = digests.hasher("sha256"), digests.hasher("sha256")
    packed = _Hashing(out, packed_hash)
    with gzip.GzipFile("", "wb", LEVEL, cast("BinaryIO", packed), 0) as squeezed:
        plain = _Hashing(cast("BinaryIO", squeezed), plain_hash)
        with tarfile.open(
            fileobj=cast("BinaryIO", plain), mode="w|", format=tarfile.PAX_FORMAT, bufsize=CHUNK
        ) as tar:
            for path, name in _entries(folder):
                _add(tar, path, name, time)
    return Layer(
        diff_id=digests.parse(f"sha256:{plain_hash.hexdigest()}"),
        digest=digests.parse(f"sha256:{packed_hash.hexdigest()}"),
        size=packed.size,
    )


def _entries(folder: Path) -> Iterator[tuple[Path, str]]:
    """Everything below the folder, in the order of the names' bytes; links are not followed.

    Raises OSError for what is no folder, rather than making an empty layer of it.
    """
    ahead = [(folder, "")]
    while ahead:
        path, name = ahead.pop()
        if name:
            yield path, name
        if not name or (path.is_dir() and not path.is_symlink()):
            inner = sorted(path.iterdir(), key=lambda each: os.fsencode(each.name), reverse=True)
            ahead += [(each, f"{name}/{each.name}" if name else each.name) for each in inner]


def _add(tar: tarfile.TarFile, path: Path, name: str, time: int) -> None:
    status = path.lstat()
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(status.st_mode)
    info.mtime = time
    if stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    elif stat.S_ISLNK(status.st_mode):
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        tar.addfile(info)
    elif stat.S_ISREG(status.st_mode):
        _add_file(tar, path, info)
    else:
        raise NoLayerFile(path, "a device, pipe or socket")


def _add_file(tar: tarfile.TarFile, path: Path, info: tarfile.TarInfo) -> None:
    with path.open("rb") as content:
        info.size = os.fstat(content.fileno()).st_size
        tar.addfile(info, content)
