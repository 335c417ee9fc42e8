"""`oci-archive`: an OCI image layout in a tar file."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from retinue.client.layout import LayoutSource
from retinue.client.layout_folder import LayoutFolder, open_layout
from retinue.client.tar import TarFiles, TarWriter, new_archive, taken


@asynccontextmanager
async def read_oci_archive(path: Path) -> AsyncIterator[LayoutSource]:
    """Raises LayoutError for a file that is no such archive."""
    files = TarFiles(path)
    try:
        yield LayoutSource(files, f"oci-archive:{path}")
    finally:
        files.close()


@asynccontextmanager
async def write_oci_archive(path: Path) -> AsyncIterator[LayoutFolder]:
    """A layout that becomes a tar file when the block ends well. Raises LayoutError if it exists.

    Until then it is a folder beside the file, so that nothing is held in memory.
    """
    if path.exists():
        raise taken(path)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        async with open_layout(folder, make=True) as layout:
            yield layout
        with new_archive(path) as writer:
            pack(writer, folder)
    finally:
        shutil.rmtree(folder)


def pack(writer: TarWriter, folder: Path) -> None:
    """All files of a layout: the mark and the index first, so that a stream can be judged early."""
    first = [folder / "oci-layout", folder / "index.json"]
    blobs = sorted(file for file in folder.glob("blobs/*/*") if not file.name.startswith("."))
    for file in [*first, *blobs]:
        with file.open("rb") as opened:
            writer.add(file.relative_to(folder).as_posix(), file.stat().st_size, opened)
