"""An OCI image layout in a folder, to read and to write.

Content is written as it comes; `index.json` is replaced as a whole, under a lock that other writers
of this program respect, when a tag is put and when the folder is closed.
"""

import asyncio
import fcntl
import json
import os
import secrets
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from retinue.client.layout import MARK, Entry, LayoutError, LayoutSource, blob_name
from retinue.files import Root, make_folders
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.descriptor import may_be_absent
from retinue.oci.digest import ALGORITHMS, Digest
from retinue.oci.manifest import Manifest
from retinue.oci.referrers import referrer_entry
from retinue.oci.stores import ContentMissing, DigestMismatch, TagMoved

PART = 1024 * 1024


class FolderFiles:
    """Files below a folder; no name and no link leads out of it."""

    def __init__(self, root: Root) -> None:
        self.root = root

    def read(self, name: str, limit: int) -> bytes | None:
        try:
            return self.root.read(name, limit)
        except FileNotFoundError:
            return None

    def size(self, name: str) -> int | None:
        status = self.root.status(name)
        return status.st_size if status is not None else None

    def inside(self, folder: str) -> Iterator[tuple[str, int]]:
        return ((name, status.st_size) for name, status in self.root.entries(folder))

    async def chunks(self, name: str, start: int) -> AsyncIterator[bytes]:
        fd = self.root.open(name, os.O_RDONLY)
        try:
            while data := os.pread(fd, PART, start):
                yield data
                start += len(data)
                await asyncio.sleep(0)  # reading from the page cache would starve everybody else
        finally:
            os.close(fd)


class LayoutFolder(LayoutSource):
    """Source and Sink. `async with`: what was put without a tag is listed when it ends well."""

    def __init__(self, root: Root) -> None:
        super().__init__(FolderFiles(root), f"oci:{root.path}")
        self._root = root
        self._new: dict[Digest, Manifest] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, failure: object, *_: object) -> None:
        try:
            if failure is None:
                await self.flush()
        finally:
            self._root.close()

    def listed(self) -> list[Entry]:
        here = self.entries()
        known = {entry.digest for entry in here}
        papers = [m for m in self._new.values() if m.subject and m.digest not in known]
        return [*here, *(_entry(manifest, None) for manifest in papers)]

    # ---- Sink

    async def lacks(self, digests: Collection[Digest]) -> set[Digest]:
        return {digest for digest in digests if not self._has(digest)}

    async def mount(self, digest: Digest, repository: str) -> bool:  # noqa: ARG002 - of the protocol
        """A folder is one repository: there is nowhere to mount from."""
        return False

    async def put_blob(self, digest: Digest, size: int, chunks: AsyncIterator[bytes]) -> None:
        """Raises DigestMismatch for other bytes, or another number of them, than announced."""
        passing = f"blobs/{digests.algorithm(digest)}/.{secrets.token_hex(8)}.tmp"
        fd = self._root.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            await _write(fd, digest, size, chunks)
            self._root.calls.sync(fd)
            self._name(passing, digest)
        finally:
            os.close(fd)
            self._root.unlink(passing)

    async def put_manifest(self, manifest: Manifest) -> None:
        """Parts come before wholes: raises ContentMissing."""
        parts = [blob for blob in manifest.blobs if not may_be_absent(blob)]
        missing = [p.digest for p in (*parts, *manifest.children) if not self._has(p.digest)]
        if missing:
            raise ContentMissing(manifest.digest, tuple(dict.fromkeys(missing)))
        self._root.write_atomically(blob_name(manifest.digest), manifest.raw, 0o644)
        self._types[manifest.digest] = manifest.media_type
        self._new[manifest.digest] = manifest

    async def put_tag(
        self, tag: str, digest: Digest, *, expected: Digest | None = None, new: bool = False
    ) -> None:
        manifest = self.manifest(digest)
        if manifest is None:
            raise ContentMissing(digest, (digest,))
        if not isinstance(manifest, Manifest):
            raise manifest
        with await asyncio.to_thread(self._locked):
            entries = self.entries()
            actual = next((e.digest for e in reversed(entries) if e.tag == tag), None)
            if (expected is not None and actual != expected) or (new and actual is not None):
                raise TagMoved(tag, expected, actual)
            kept = [e for e in entries if e.tag != tag and (e.tag or e.digest != digest)]
            kept += [_entry(m, None) for m in self._unnamed(tag, digest) if m.subject]
            self._write(_with([*kept, _entry(manifest, tag)], self._papers_of_new()))

    async def delete_tag(self, tag: str) -> bool:
        """The entry goes, what it named stays. False: there was none."""
        with await asyncio.to_thread(self._locked):
            entries = self.entries()
            kept = [entry for entry in entries if entry.tag != tag]
            if len(kept) == len(entries):
                return False
            self._write(kept)
            return True

    async def flush(self) -> None:
        """List papers, and what was put as a part of nothing."""
        inner = {child.digest for m in self._new.values() for child in m.children}
        new = [_entry(m, None) for d, m in self._new.items() if m.subject or d not in inner]
        if not new:
            return
        with await asyncio.to_thread(self._locked):
            self._write(_with(self.entries(), new))
        self._new.clear()

    # ----

    def _has(self, digest: Digest) -> bool:
        return self._files.size(blob_name(digest)) is not None

    def _unnamed(self, tag: str, digest: Digest) -> list[Manifest]:
        """What loses this name; papers among it stay listed without one."""
        lost = [e.digest for e in self.entries() if e.tag == tag and e.digest != digest]
        found = [self.manifest(digest) for digest in lost]
        return [manifest for manifest in found if isinstance(manifest, Manifest)]

    def _papers_of_new(self) -> list[Entry]:
        return [_entry(manifest, None) for manifest in self._new.values() if manifest.subject]

    def _name(self, passing: str, digest: Digest) -> None:
        try:
            self._root.link(passing, blob_name(digest))
        except FileExistsError:  # the same bytes, by their digest
            return

    def _locked(self) -> "_Lock":
        return _Lock(self._root.open("oci-layout", os.O_RDONLY))

    def _write(self, entries: Collection[Entry]) -> None:
        """Replace `index.json`; what it names is durable before."""
        for algorithm in ALGORITHMS:
            with suppress(FileNotFoundError):  # other tools make folders of what they use alone
                self._root.sync_folder(f"blobs/{algorithm}")
        document = {
            "schemaVersion": 2,
            "mediaType": names.OCI_INDEX,
            "manifests": [entry.document for entry in entries],
        }
        raw = json.dumps(document, separators=(",", ":")).encode()
        self._root.write_atomically("index.json", raw, 0o644)


class _Lock:
    """The exclusive right to replace `index.json`, among processes; waits when made."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        fcntl.flock(fd, fcntl.LOCK_EX)

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def open_layout(path: Path, *, make: bool) -> LayoutFolder:
    """The layout in a folder; with `make`, one is begun where nothing is. Raises LayoutError."""
    if not path.exists() and not make:
        raise LayoutError(f"oci:{path}", "there is no such folder")
    try:
        if make:
            _begin(path)
        root = Root(path)
    except OSError as problem:
        raise LayoutError(f"oci:{path}", str(problem)) from problem
    try:
        return LayoutFolder(root)
    except BaseException:
        root.close()
        raise


def _begin(path: Path) -> None:
    if path.is_dir() and not (path / "oci-layout").exists() and any(path.iterdir()):
        raise LayoutError(
            f"oci:{path}", "the folder holds something else; name an empty or new one"
        )
    for algorithm in ALGORITHMS:
        make_folders(path / "blobs" / algorithm, 0o755)
    with Root(path) as root:
        if root.status("index.json") is None:
            empty = (
                b'{"schemaVersion":2,"mediaType":"%s","manifests":[]}' % names.OCI_INDEX.encode()
            )
            root.write_atomically("index.json", empty, 0o644)
        if root.status("oci-layout") is None:
            root.write_atomically("oci-layout", MARK, 0o644)


async def _write(fd: int, digest: Digest, size: int, chunks: AsyncIterator[bytes]) -> None:
    hasher = digests.hasher(digests.algorithm(digest))
    written = 0
    async for chunk in chunks:
        written += len(chunk)
        if written > size:
            break
        hasher.update(chunk)
        _write_all(fd, chunk)
    actual = Digest(f"{digests.algorithm(digest)}:{hasher.hexdigest()}")
    if actual != digest or written != size:
        raise DigestMismatch(digest, actual)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _entry(manifest: Manifest, tag: str | None) -> Entry:
    """An entry of the index. A name that a paper's own annotations bear is none of this layout."""
    document: dict[str, Any] = referrer_entry(manifest) if manifest.subject else _plain(manifest)
    annotations = dict(document.pop("annotations", {}))
    annotations.pop(names.ANNOTATION_REF_NAME, None)
    if tag is not None:
        annotations[names.ANNOTATION_REF_NAME] = tag
    if annotations:
        document["annotations"] = annotations
    return Entry(manifest.digest, manifest.media_type, tag, document)


def _plain(manifest: Manifest) -> dict[str, Any]:
    size = len(manifest.raw)
    return {"mediaType": manifest.media_type, "digest": manifest.digest, "size": size}


def _with(entries: Collection[Entry], new: Collection[Entry]) -> list[Entry]:
    known = {entry.digest for entry in entries}
    return [*entries, *(entry for entry in new if entry.digest not in known)]
