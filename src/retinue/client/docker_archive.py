"""`docker-archive`: what `docker save` writes and `docker load` reads.

The format holds configs and unpacked layers, but no manifests. An image read from it gets an OCI
manifest made here, so its digest is a new one, and papers about its original do not fit it; archives
of Docker 25 and later hold an OCI layout besides, and keep their digests.
"""

import json
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct

from retinue import strictjson
from retinue.client.errors import Unsupported
from retinue.client.layout import LayoutError, LayoutSource, blob_name
from retinue.client.layout_folder import LayoutFolder, open_layout
from retinue.client.tar import PART, TarFiles, gunzipped, new_archive, taken
from retinue.files import Root
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.readers.table import read
from retinue.oci.stores import BlobMissing, Search, Source

MAX_LIST = 16 * 1024 * 1024
MAX_CONFIG = 8 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_UNPACKED = frozenset({names.OCI_LAYER, "application/vnd.docker.image.rootfs.diff.tar"})
_GZIPPED = frozenset({names.OCI_LAYER_GZIP, "application/vnd.docker.image.rootfs.diff.tar.gzip"})


@asynccontextmanager
async def read_docker_archive(path: Path) -> AsyncIterator[Source]:
    """Raises LayoutError for a file that is no such archive."""
    files = TarFiles(path)
    try:
        where = f"docker-archive:{path}"
        if files.size("oci-layout") is not None and files.size("index.json") is not None:
            yield LayoutSource(files, where)
        else:
            yield DockerArchiveSource(files, where)
    finally:
        files.close()


class DockerArchiveSource:
    """Images of an archive without manifests, as OCI images. All layers are hashed at once."""

    def __init__(self, files: TarFiles, where: str) -> None:
        self._files = files
        self.where = where
        self._members: dict[Digest, str] = {}
        self._layers: dict[str, dict[str, Any]] = {}
        self._images: dict[Digest, Manifest] = {}
        self._tags: dict[str, Digest] = {}
        for image in self._list():
            self._add(image)

    def __str__(self) -> str:
        return self.where

    async def resolve(self, tag: str) -> Digest | None:
        """`tag`, or `name:tag` in full; raises LayoutError for a tag of several images."""
        if tag in self._tags:
            return self._tags[tag]
        found = {d for name, d in self._tags.items() if name.rpartition(":")[2] == tag}
        if len(found) > 1:
            raise LayoutError(self.where, f"{tag!r} names several images; name one in full")
        return next(iter(found), None)

    async def manifests(
        self, digests: Collection[Digest]
    ) -> Mapping[Digest, Manifest | Unreadable | None]:
        return {digest: self._images.get(digest) for digest in digests}

    async def papers(self, subjects: Collection[Digest]) -> Mapping[Digest, Search]:
        """None: the format has no place for papers."""
        return {subject: Search((), {}) for subject in subjects}

    async def tags(self) -> AsyncGenerator[str, None]:
        for tag in sorted({name.rpartition(":")[2] for name in self._tags}):
            yield tag

    @asynccontextmanager
    async def blob(self, digest: Digest, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        if digest not in self._members:
            raise BlobMissing(digest)
        yield self._files.chunks(self._members[digest], start)

    def roots(self) -> list[Digest]:
        """All images, in the order of the archive."""
        return list(self._images)

    def _list(self) -> Iterator[Mapping[str, Any]]:
        raw = self._files.read("manifest.json", MAX_LIST)
        if raw is None:
            raise LayoutError(self.where, "manifest.json is missing: is it from `docker export`?")
        try:
            images = strictjson.loads(raw, max_bytes=MAX_LIST)
        except strictjson.InvalidJson as problem:
            raise LayoutError(self.where, f"manifest.json is unreadable: {problem}") from problem
        if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
            raise LayoutError(self.where, "manifest.json is no list of images")
        return iter(images)

    def _add(self, image: Mapping[str, Any]) -> None:
        config, layers, tags = image.get("Config"), image.get("Layers"), image.get("RepoTags")
        texts = [config, *(layers or ()), *(tags or ())]
        if not isinstance(layers, list) or not all(isinstance(text, str) for text in texts):
            raise LayoutError(self.where, "manifest.json lists no Config and Layers")
        document = {
            "schemaVersion": 2,
            "mediaType": names.OCI_MANIFEST,
            "config": self._config(str(config)),
            "layers": [self._layer(name) for name in layers],
        }
        manifest = read(json.dumps(document, separators=(",", ":")).encode(), names.OCI_MANIFEST)
        self._images[manifest.digest] = manifest
        self._tags |= dict.fromkeys(tags or (), manifest.digest)

    def _config(self, name: str) -> dict[str, Any]:
        raw = self._files.read(name, MAX_CONFIG)
        if raw is None:
            raise LayoutError(self.where, f"{name} is missing")
        return self._described(name, names.OCI_CONFIG)

    def _layer(self, name: str) -> dict[str, Any]:
        if name not in self._layers:
            first = next(iter(self._files.parts(name)), b"")
            packed = first.startswith(_GZIP)
            media_type = names.OCI_LAYER_GZIP if packed else names.OCI_LAYER
            self._layers[name] = self._described(name, media_type)
        return self._layers[name]

    def _described(self, name: str, media_type: str) -> dict[str, Any]:
        hasher, size = digests.hasher("sha256"), 0
        for part in self._files.parts(name):
            hasher.update(part)
            size += len(part)
        digest = Digest(f"sha256:{hasher.hexdigest()}")
        self._members[digest] = name
        return {"mediaType": media_type, "digest": digest, "size": size}


class _Image(Struct):
    manifest: Manifest
    tags: list[str] = []


class DockerArchiveSink(LayoutFolder):
    """Images on their way into an archive. `name` is the repository that their tags belong to."""

    no_papers = "have no place in a docker-archive: use oci-archive:FILE"

    def __init__(self, root: Root, where: str, name: str) -> None:
        super().__init__(root)
        self.where = where
        self._name_of_tags = name
        self.images: dict[Digest, _Image] = {}

    async def put_manifest(self, manifest: Manifest) -> None:
        """Raises Unsupported for an index, and for layers that Docker cannot load."""
        if manifest.config is None or manifest.subject is not None:
            remedy = "choose one image with --platform, or use oci-archive:FILE"
            raise Unsupported(self.where, f"hold {manifest.media_type} {manifest.digest}", remedy)
        odd = [b for b in manifest.blobs[1:] if b.media_type not in _UNPACKED | _GZIPPED]
        if odd:
            what = f"hold a layer of type {odd[0].media_type!r}"
            raise Unsupported(self.where, what, "use oci-archive:FILE")
        await super().put_manifest(manifest)
        self.images[manifest.digest] = _Image(manifest)

    async def put_tag(
        self, tag: str, digest: Digest, *, expected: Digest | None = None, new: bool = False
    ) -> None:
        await super().put_tag(tag, digest, expected=expected, new=new)
        for image in self.images.values():
            name = f"{self._name_of_tags}:{tag}"
            image.tags = [kept for kept in image.tags if kept != name]
            image.tags += [name] if image.manifest.digest == digest else []


@asynccontextmanager
async def write_docker_archive(path: Path, name: str) -> AsyncIterator[DockerArchiveSink]:
    """A sink that becomes an archive when the block ends well. Raises LayoutError if it exists."""
    if path.exists():
        raise taken(path)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        async with open_layout(folder, make=True):
            pass  # an empty layout, to be opened again as what it is used for
        async with DockerArchiveSink(Root(folder), f"docker-archive:{path}", name) as sink:
            yield sink
        _pack(path, folder, sink)
    finally:
        shutil.rmtree(folder)


def _pack(path: Path, folder: Path, sink: DockerArchiveSink) -> None:
    listed: list[dict[str, Any]] = []
    members: dict[str, tuple[Digest, bool]] = {}
    for image in sink.images.values():
        config, *layers = image.manifest.blobs
        at = f"{digests.encoded(config.digest)}.json"
        members[at] = config.digest, False
        inside = {f"{digests.encoded(b.digest)}/layer.tar": b for b in layers}
        members |= {n: (b.digest, b.media_type in _GZIPPED) for n, b in inside.items()}
        order = [f"{digests.encoded(b.digest)}/layer.tar" for b in layers]
        listed.append({"Config": at, "RepoTags": image.tags, "Layers": order})
    with new_archive(path) as writer, tempfile.TemporaryFile() as list_file:
        for member, (digest, packed) in members.items():
            with (folder / blob_name(digest)).open("rb") as file, _content(file, packed) as content:
                content.seek(0, 2)
                size = content.tell()
                content.seek(0)
                writer.add(member, size, content)
        size = list_file.write(json.dumps(listed, separators=(",", ":")).encode())
        list_file.seek(0)
        writer.add("manifest.json", size, list_file)


def _content(file: BinaryIO, packed: bool) -> BinaryIO:
    """The file itself, or a temporary one with what is packed in it."""
    if not packed:
        return file
    unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        for part in gunzipped("a layer", iter(lambda: file.read(PART), b"")):
            unpacked.write(part)
    except BaseException:
        unpacked.close()
        raise
    return unpacked
