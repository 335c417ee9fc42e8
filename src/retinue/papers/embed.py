"""Statements inside of an index, as BuildKit writes them. Only when asked for: the digest changes."""

from collections.abc import Iterable, Mapping, Sequence

from retinue import strictjson
from retinue.attest.errors import Refused
from retinue.attest.statement import Statement, read_statement
from retinue.errors import RetinueError
from retinue.oci.digest import Digest, algorithm, encoded
from retinue.oci.manifest import Manifest, Unreadable
from retinue.papers.attach import Store, put
from retinue.papers.content import receive
from retinue.papers.ways.buildkit import (
    attestation_manifest,
    entry_of,
    index_around,
    with_entry,
)

MAX_CONFIG = 4 * 1024 * 1024


class NotEmbeddable(RetinueError):
    """What is at hand is neither an index nor an image, or lacks what an index has to say."""

    def __init__(self, digest: Digest, reason: str) -> None:
        super().__init__(f"{digest} cannot hold statements in an index: {reason}")
        self.digest = digest
        self.reason = reason


async def embed_statements(
    store: Store, subject: Manifest, statements: Sequence[bytes], *, artifact: bool = True
) -> Manifest:
    """An index with these statements about its images; it is put, and no tag is moved.

    A single image gets an index around it. Each statement must be about one of the images, and one
    that is there already is not added again: then the index is the one that there was. `artifact`:
    as BuildKit writes since 0.32. Raises EvidenceError, NotEmbeddable, Unreadable.
    """
    index = subject if subject.children else await _around(store, subject)
    said = _by_image(index, statements)
    images = await _present(store, said)
    for image in images.values():
        index = await _with(store, index, image, said[image.digest], artifact=artifact)
    await store.put_manifest(index)
    return index


async def _with(
    store: Store, index: Manifest, image: Manifest, statements: Sequence[bytes], *, artifact: bool
) -> Manifest:
    entry = entry_of(index, image.digest)
    before = None if entry is None else (await _present(store, [entry]))[entry]
    made = attestation_manifest(image, before, statements, artifact=artifact)
    if made.manifest.digest == entry:
        return index
    await put(store, made)
    return with_entry(index, image.digest, made.manifest)


async def _present(store: Store, digests: Iterable[Digest]) -> Mapping[Digest, Manifest]:
    """Raises NotEmbeddable for what is not there, Unreadable."""
    present: dict[Digest, Manifest] = {}
    for digest, found in (await store.manifests(list(digests))).items():
        if isinstance(found, Unreadable):
            raise found
        if found is None:
            raise NotEmbeddable(digest, "it is not in this repository")
        present[digest] = found
    return present


def _by_image(index: Manifest, statements: Sequence[bytes]) -> Mapping[Digest, list[bytes]]:
    papers = {link.source for link in index.links}
    images = [c.digest for c in index.children if c.digest not in papers - {index.digest}]
    found: dict[Digest, list[bytes]] = {}
    for raw in statements:
        statement = read_statement(raw)
        about = [image for image in images if _names(statement, image)]
        if not about:
            raise Refused("statement", f"is about none of the images of {index.digest}")
        for image in about:
            found.setdefault(image, []).append(raw)
    return found


def _names(statement: Statement, image: Digest) -> bool:
    wanted = (algorithm(image), encoded(image))
    return any(wanted in subject.digests.items() for subject in statement.subjects)


async def _around(store: Store, image: Manifest) -> Manifest:
    config = image.config
    if config is None or config.size > MAX_CONFIG:
        raise NotEmbeddable(image.digest, "it has no configuration that names its platform")
    async with store.blob(config.digest) as chunks:
        raw = await receive(config.digest, config.size, chunks)
    return index_around(image, _platform(image, bytes(raw)))


def _platform(image: Manifest, config: bytes) -> Mapping[str, str]:
    try:
        document = strictjson.loads(config)
    except strictjson.InvalidJson as problem:
        raise NotEmbeddable(image.digest, f"its configuration: {problem}") from None
    known = {
        name: document.get(name) if isinstance(document, dict) else None
        for name in ("architecture", "os", "variant")
    }
    platform = {name: value for name, value in known.items() if isinstance(value, str) and value}
    if "os" not in platform or "architecture" not in platform:
        raise NotEmbeddable(image.digest, "its configuration names no platform")
    return platform
