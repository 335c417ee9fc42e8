"""OCI image layouts (image-spec image-layout.md): reading, from a folder or from a tar file.

Papers are entries of `index.json` without a name, or parts of what is named there: whoever states a
subject is its paper, wherever the layout lists it.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from msgspec import Struct

from retinue import strictjson
from retinue.client import saved_by_cosign
from retinue.errors import RetinueError
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest, InvalidDigest
from retinue.oci.links import Link, Rel, Way
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.readers.table import LIMITS, read
from retinue.oci.stores import BlobMissing, DigestMismatch, Search
from retinue.oci.tags import agrees, tag_links

MAX_INDEX = 64 * 1024 * 1024
"""Bytes of `index.json`: it may list every paper of every image."""
MAX_REACHED = 200_000
"""Manifests that one layout may list."""
HEX = re.compile("[0-9a-f]{64}")
MARK = b'{"imageLayoutVersion":"1.0.0"}'


class LayoutError(RetinueError):
    """The folder or archive is no OCI image layout, or a damaged one."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where} is no usable OCI layout: {why}")
        self.where = where
        self.why = why


class Files(Protocol):
    """Files by relative name. None where there is no such file; OSError for what cannot be read."""

    def read(self, name: str, limit: int) -> bytes | None: ...
    def size(self, name: str) -> int | None: ...
    def chunks(self, name: str, start: int) -> AsyncIterator[bytes]: ...
    def inside(self, folder: str) -> Iterator[tuple[str, int]]:
        """Names and sizes of the files right in a folder, in no order."""
        ...


class Entry(Struct, frozen=True):
    """One of `index.json`; `document` is the descriptor as it stands there."""

    digest: Digest
    media_type: str
    tag: str | None
    document: Mapping[str, Any]


class _Papers(Struct):
    """What one state of a layout says about papers; `damage` is what could not be read of it."""

    links: dict[Digest, list[Link]] = {}
    damage: str | None = None


def blob_name(digest: Digest) -> str:
    return f"blobs/{digests.algorithm(digest)}/{digests.encoded(digest)}"


class LayoutSource:
    """A layout to read from. Raises LayoutError at once for what is none."""

    def __init__(self, files: Files, where: str) -> None:
        self._files = files
        self.where = where
        self._read_index: tuple[bytes, list[Entry]] | None = None
        self._searched: tuple[tuple[Digest, ...], _Papers] | None = None
        self._types: dict[Digest, str] = {}
        self._check()

    def __str__(self) -> str:
        return self.where

    def entries(self) -> list[Entry]:
        """What `index.json` lists, in its order."""
        raw = self._files.read("index.json", MAX_INDEX)
        if raw is None:
            raise LayoutError(self.where, "index.json is missing")
        if self._read_index is None or self._read_index[0] != raw:
            self._read_index = raw, list(parse_index(raw, self.where))
            self._types |= {e.digest: e.media_type for e in self._read_index[1]}
        return self._read_index[1]

    def roots(self) -> list[Digest]:
        """What is listed and is no paper."""
        found = dict.fromkeys(e.digest for e in self.entries() if not saved_by_cosign.is_paper(e))
        return [digest for digest in found if not self._is_paper(digest)]

    # ---- Source

    async def resolve(self, tag: str) -> Digest | None:
        """The last entry of that name counts: it was added last."""
        found = [entry.digest for entry in self.entries() if entry.tag == tag]
        return found[-1] if found else None

    async def manifests(
        self, digests: Collection[Digest]
    ) -> Mapping[Digest, Manifest | Unreadable | None]:
        return {digest: self.manifest(digest) for digest in digests}

    async def papers(self, subjects: Collection[Digest]) -> Mapping[Digest, Search]:
        found = self._papers()
        blind = {Way.REFERRERS: found.damage} if found.damage else {}
        return {s: Search(tuple(found.links.get(s, ())), blind) for s in subjects}

    async def tags(self) -> AsyncGenerator[str, None]:
        for tag in sorted({entry.tag for entry in self.entries() if entry.tag is not None}):
            yield tag

    @asynccontextmanager
    async def blob(self, digest: Digest, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        if self._files.size(blob_name(digest)) is None:
            raise BlobMissing(digest)
        yield self._checked(digest, start)

    # ----

    def _is_paper(self, digest: Digest) -> bool:
        found = self.manifest(digest)
        return isinstance(found, Manifest) and found.subject is not None

    def _unlisted(self) -> Iterator[Digest]:
        """Manifests about something that are there and not listed."""
        for name, size in self._files.inside("blobs/sha256"):
            if size > saved_by_cosign.MAX_MANIFEST or not HEX.fullmatch(name):
                continue
            raw = self._files.read(f"blobs/sha256/{name}", saved_by_cosign.MAX_MANIFEST)
            digest = digests.parse(f"sha256:{name}")
            if raw is not None and saved_by_cosign.may_be_bundle(raw) and self._is_paper(digest):
                yield digest

    def manifest(self, digest: Digest) -> Manifest | Unreadable | None:
        """Raises DigestMismatch for a file that holds something else."""
        raw = self._files.read(blob_name(digest), LIMITS.max_bytes)
        if raw is None:
            return None
        algorithm = digests.algorithm(digest)
        actual = digests.of(raw, algorithm)
        if actual != digest:
            raise DigestMismatch(digest, actual)
        try:
            manifest = read(raw, self._types.get(digest) or sniff(raw), algorithm)
        except Unreadable as problem:
            return problem
        self._types |= {child.digest: child.media_type for child in manifest.children}
        return manifest

    async def _checked(self, digest: Digest, start: int) -> AsyncIterator[bytes]:
        hasher = digests.hasher(digests.algorithm(digest))
        async for chunk in self._files.chunks(blob_name(digest), start):
            hasher.update(chunk)
            yield chunk
        actual = Digest(f"{digests.algorithm(digest)}:{hasher.hexdigest()}")
        if start == 0 and actual != digest:
            raise DigestMismatch(digest, actual)

    def _check(self) -> None:
        mark = self._files.read("oci-layout", 4096)
        if mark is None:
            raise LayoutError(self.where, "the file oci-layout is missing")
        try:
            version = strictjson.loads(mark).get("imageLayoutVersion")
        except (strictjson.InvalidJson, AttributeError) as problem:
            raise LayoutError(self.where, "the file oci-layout is unreadable") from problem
        if version != "1.0.0":
            raise LayoutError(self.where, f"layout version {version!r} is not 1.0.0")

    def listed(self) -> list[Entry]:
        """What counts as listed here; a sink adds what it has not written yet."""
        return self.entries()

    def _papers(self) -> _Papers:
        entries = self.listed()
        state = tuple(entry.digest for entry in entries)
        if self._searched is None or self._searched[0] != state:
            self._searched = state, self._search(entries)
        return self._searched[1]

    def _search(self, entries: list[Entry]) -> _Papers:
        """Read all that the entries lead to, downward."""
        papers = _Papers()
        seen: dict[Digest, Manifest] = {}
        ahead = [entry.digest for entry in entries]
        listed = set(ahead)
        if saved_by_cosign.saved(entries):
            ahead += self._unlisted()
        while ahead:
            digest = ahead.pop()
            if digest in seen:
                continue
            manifest = self.manifest(digest)
            if isinstance(manifest, Manifest):
                seen[digest] = manifest
                ahead += [child.digest for child in manifest.children]
            elif manifest is not None or digest in listed:
                papers.damage = str(manifest or f"manifest {digest} is listed, but missing")
            if len(seen) > MAX_REACHED:
                raise LayoutError(self.where, f"it lists more than {MAX_REACHED} manifests")
        for link in (*_stated(entries, seen), *saved_by_cosign.links(entries)):
            papers.links.setdefault(link.target, []).append(link)
        return papers


def _stated(entries: list[Entry], seen: Mapping[Digest, Manifest]) -> Iterator[Link]:
    for manifest in seen.values():
        yield from (link for link in manifest.links if link.rel is Rel.SUBJECT)
    for entry in entries:
        if entry.tag is not None and entry.digest in seen:
            for link in tag_links(entry.tag, seen[entry.digest]):
                paper = seen.get(link.source)
                if link.source == entry.digest or (paper is not None and agrees(link, paper)):
                    yield link


def parse_index(raw: bytes, where: str) -> Iterator[Entry]:
    """The entries of an `index.json`; raises LayoutError."""
    try:
        document = strictjson.loads(raw, max_bytes=MAX_INDEX)
        for item in document.get("manifests") or ():
            annotations = item.get("annotations") or {}
            tag = annotations.get(names.ANNOTATION_REF_NAME)
            digest = digests.parse(item["digest"])
            yield Entry(digest, str(item["mediaType"]), tag if isinstance(tag, str) else None, item)
    except (strictjson.InvalidJson, InvalidDigest, AttributeError, KeyError, TypeError) as problem:
        raise LayoutError(where, f"index.json is unreadable: {problem}") from problem


def sniff(raw: bytes) -> str:
    """The media type of a manifest that nobody has stated: its own field, or its shape."""
    if not raw.lstrip().startswith(b"{"):
        return names.OCI_OBJECT_JWT
    try:
        document = strictjson.loads(raw)
    except strictjson.InvalidJson:
        return names.OCTET_STREAM  # whoever reads it as a manifest is told that it is none
    stated = document.get("mediaType")
    if isinstance(stated, str):
        return stated
    return names.OCI_INDEX if "manifests" in document else names.OCI_MANIFEST
