"""A repository in memory: the executable specification of Source and Sink, and a test double.

It says in the fewest words what a repository means, and takes no care of speed: every question is
answered by looking at all links.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager

from retinue.oci import digest as digests
from retinue.oci.descriptor import may_be_absent
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel, keeps
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.stores import (
    BlobMissing,
    ContentMissing,
    DigestMismatch,
    Search,
    StillLinked,
    TagMoved,
)
from retinue.oci.tags import agrees, implied, tag_links

CHUNK = 64 * 1024


class MemoryStore:
    """One repository. `siblings` are the repositories that blobs can be mounted from, by name."""

    def __init__(self, siblings: Mapping[str, "MemoryStore"] | None = None) -> None:
        self.siblings: Mapping[str, MemoryStore] = {} if siblings is None else siblings
        self.content: dict[Digest, Manifest] = {}
        self.blobs: dict[Digest, bytes] = {}
        self.names: dict[str, Digest] = {}

    # ---- Source

    async def resolve(self, tag: str) -> Digest | None:
        return self.names.get(tag)

    async def manifests(
        self, digests: Collection[Digest]
    ) -> Mapping[Digest, Manifest | Unreadable | None]:
        return {digest: self.content.get(digest) for digest in digests}

    async def papers(self, subjects: Collection[Digest]) -> Mapping[Digest, Search]:
        """By all ways: nothing is blind here. In order of the papers' digests."""
        wanted = {subject: set[Link]() for subject in subjects}
        for link in self.links():
            if link.rel is Rel.SUBJECT and link.target in wanted:
                wanted[link.target].add(link)
        return {subject: Search(_ordered(found), {}) for subject, found in wanted.items()}

    async def tags(self) -> AsyncIterator[str]:
        """All names, implied ones included, in the order of their bytes."""
        for tag in sorted(self.names):
            yield tag

    @asynccontextmanager
    async def blob(self, digest: Digest, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        """Manifests can be read as blobs too."""
        if digest in self.blobs:
            yield _chunks(self.blobs[digest][start:])
        elif digest in self.content:
            yield _chunks(self.content[digest].raw[start:])
        else:
            raise BlobMissing(digest)

    # ---- Sink

    async def lacks(self, digests: Collection[Digest]) -> set[Digest]:
        return set(digests) - self.blobs.keys() - self.content.keys()

    async def mount(self, digest: Digest, repository: str) -> bool:
        sibling = self.siblings.get(repository)
        if sibling is None or digest not in sibling.blobs:
            return False
        self.blobs[digest] = sibling.blobs[digest]
        return True

    async def put_blob(self, digest: Digest, size: int, chunks: AsyncIterator[bytes]) -> None:
        """Raises DigestMismatch for other bytes, or more or fewer of them, than announced."""
        data = bytearray()
        async for chunk in chunks:
            data += chunk
            if len(data) > size:
                break
        actual = digests.of(bytes(data), digests.algorithm(digest))
        if actual != digest or len(data) != size:
            raise DigestMismatch(digest, actual)
        self.blobs[digest] = bytes(data)

    async def put_manifest(self, manifest: Manifest) -> None:
        """Parts come before wholes: raises ContentMissing; a subject may come later, or never."""
        known = self.content.get(manifest.digest)
        if known is not None and known.media_type != manifest.media_type:
            reason = f"is already here as {known.media_type!r}"
            raise Unreadable(manifest.digest, "mediaType", reason)
        needed = [blob.digest for blob in manifest.blobs if not may_be_absent(blob)]
        children = [c.digest for c in manifest.children if c.digest not in self.content]
        missing = await self.lacks([*needed, *children])
        if missing:
            order = dict.fromkeys((*needed, *children))
            raise ContentMissing(manifest.digest, tuple(d for d in order if d in missing))
        if children:
            reason = f"{children[0]} is here, but not as a manifest"
            raise Unreadable(manifest.digest, "manifests", reason)
        self.content[manifest.digest] = manifest

    async def put_tag(
        self, tag: str, digest: Digest, *, expected: Digest | None = None, new: bool = False
    ) -> None:
        actual = self.names.get(tag)
        if (expected is not None and actual != expected) or (new and actual is not None):
            raise TagMoved(tag, expected, actual)
        if digest not in self.content:
            raise ContentMissing(digest, (digest,))
        self.names[tag] = digest

    # ---- What a repository does besides

    def links(self) -> Iterator[Link]:
        """Every link stated here: by manifests, and by tags where the papers agree."""
        for manifest in self.content.values():
            yield from manifest.links
        for tag, digest in self.names.items():
            for link in tag_links(tag, self.content[digest]):
                paper = self.content.get(link.source)
                if link.source == digest or (paper is not None and agrees(link, paper)):
                    yield link

    def delete_tag(self, tag: str) -> bool:
        """The name goes, the manifest stays. False: there was none."""
        return self.names.pop(tag, None) is not None

    def delete_manifest(self, digest: Digest) -> bool:
        """With its tags, and those of its papers, and theirs, that nothing else here keeps.

        Refused while a parent is here. Its parts stay, and wait for collection.
        """
        if digest not in self.content:
            return False
        for link in self.links():
            if link.rel is Rel.REFERENCE and link.target == digest:
                raise StillLinked(digest, link.source)
        family = self._reached({digest}, self._paper_edges())
        pinned = {at for tag, at in self.names.items() if implied(tag) is None}
        outside = (self.content.keys() - family) | (pinned - {digest})
        edges = [keeps(link) for link in self.links()] + self._paper_edges()
        kept = self._reached(outside, [edge for edge in edges if digest not in edge])
        for gone in family - kept:
            self._forget(gone)
        return True

    def delete_blob(self, digest: Digest) -> bool:
        """Refused while a manifest here has it."""
        for link in self.links():
            if link.rel is Rel.BLOB and link.target == digest and digest in self.blobs:
                raise StillLinked(digest, link.source)
        return self.blobs.pop(digest, None) is not None

    def alive(self, *, untagged: bool) -> set[Digest]:
        """What roots keep, by the two sentences.

        Roots are ordinary tags and, unless `untagged` ones are to go, manifests about nothing.
        """
        roots = {digest for tag, digest in self.names.items() if implied(tag) is None}
        if not untagged:
            roots |= {digest for digest in self.content if not self._is_paper(digest)}
        edges = [keeps(link) for link in self.links()]
        return self._reached(roots, [*edges, *self._implied_edges()])

    def collect(self, *, untagged: bool = False) -> set[Digest]:
        """Drop what is not alive, as if every grace had passed; tells what went."""
        alive = self.alive(untagged=untagged)
        dead = (self.content.keys() | self.blobs.keys()) - alive
        for digest in dead:
            self._forget(digest)
            self.blobs.pop(digest, None)
        return dead

    def _reached(
        self, start: Collection[Digest], edges: Collection[tuple[Digest, Digest]]
    ) -> set[Digest]:
        """What of this is here, and all that it keeps, and so on."""
        present = self.content.keys() | self.blobs.keys()
        reached: set[Digest] = set()
        ahead = set(start) & present
        while ahead:
            reached |= ahead
            ahead = {kept for keeper, kept in edges if keeper in ahead} & present - reached
        return reached

    def _paper_edges(self) -> list[tuple[Digest, Digest]]:
        said = [keeps(link) for link in self.links() if link.rel is Rel.SUBJECT]
        return [*said, *self._implied_edges()]

    def _implied_edges(self) -> Iterator[tuple[Digest, Digest]]:
        """An index at a fallback tag lives as long as what it lists papers of."""
        for tag, digest in self.names.items():
            name = implied(tag)
            if name is not None:
                for subject in self.content:
                    if name.names(subject):
                        yield subject, digest

    def _is_paper(self, digest: Digest) -> bool:
        about = any(link.rel is Rel.SUBJECT and link.source == digest for link in self.links())
        tagged = any(implied(tag) for tag, named in self.names.items() if named == digest)
        return about or tagged

    def _forget(self, digest: Digest) -> None:
        self.content.pop(digest, None)
        self.names = {tag: named for tag, named in self.names.items() if named != digest}


def _ordered(links: Collection[Link]) -> tuple[Link, ...]:
    return tuple(sorted(links, key=lambda link: (link.source, link.way, link.stated_by)))


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]
