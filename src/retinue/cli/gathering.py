"""An image with all that it keeps, as far as it can be seen: what tree, download and delete show."""

from collections.abc import Mapping

from msgspec import Struct

from retinue.client.transfer import together
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel, Way
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.stores import Search, Source
from retinue.oci.walk import Walk, kept

MAX_REACHED = 200_000
OBJECT_TYPES = frozenset({names.OCI_OBJECT, names.OCI_OBJECT_JWT})


class Retinue(Struct):
    """`papers` are (paper, ways) by subject, in the order they were found.

    `blind` is what could not be looked at, by subject and way; empty means that all was seen.
    """

    root: Digest
    found: dict[Digest, Manifest | Unreadable | None] = {}
    papers: dict[Digest, dict[Digest, set[str]]] = {}
    blind: dict[Digest, Mapping[Way, str]] = {}

    def parts(self, digest: Digest) -> list[Digest]:
        """A manifest's children, without those that are papers of another child."""
        manifest = self.found.get(digest)
        if not isinstance(manifest, Manifest):
            return []
        said = {link.source for link in manifest.links if link.way is Way.INDEX}
        children = dict.fromkeys(child.digest for child in manifest.children)
        return [child for child in children if child not in said]

    def papers_of(self, digest: Digest) -> list[Digest]:
        return list(self.papers.get(digest, ()))

    def all_papers(self) -> list[Digest]:
        """Every paper once; papers of papers after these."""
        return list(dict.fromkeys(p for found in self.papers.values() for p in found))


async def gather(store: Source, root: Digest) -> Retinue:
    """Everything that the root keeps. What is missing or unreadable is shown as such."""
    walk = Walk([root], kept, MAX_REACHED)
    retinue = Retinue(root)
    while digests := walk.frontier():
        manifests, searches = await _look(store, list(digests))
        links = [link for search in searches.values() for link in search.links]
        for manifest in manifests.values():
            if isinstance(manifest, Manifest):
                links += manifest.links
        retinue.found |= manifests
        retinue.blind |= {d: search.blind for d, search in searches.items() if search.blind}
        _note(retinue, links)
        walk.learn(
            links,
            [digest for digest, manifest in manifests.items() if manifest is None],
            {d: m.reason for d, m in manifests.items() if isinstance(m, Unreadable)},
        )
    reached = set(walk.reached)
    retinue.papers = {s: found for s, found in retinue.papers.items() if s in reached}
    _name_objects(retinue)
    return retinue


async def _look(
    store: Source, digests: list[Digest]
) -> tuple[Mapping[Digest, Manifest | Unreadable | None], Mapping[Digest, Search]]:
    """Manifests and papers at once."""

    async def manifests() -> None:
        found.update(await store.manifests(digests))

    async def papers() -> None:
        searches.update(await store.papers(digests))

    found: dict[Digest, Manifest | Unreadable | None] = {}
    searches: dict[Digest, Search] = {}
    await together([manifests(), papers()])
    return found, searches


def _note(retinue: Retinue, links: list[Link]) -> None:
    for link in links:
        if link.rel is Rel.SUBJECT:
            ways = retinue.papers.setdefault(link.target, {}).setdefault(link.source, set())
            ways.add(link.way)


def _name_objects(retinue: Retinue) -> None:
    """Relations and pointers of generic objects are a way of their own (docs/concepts.md)."""
    for found in retinue.papers.values():
        for paper, ways in found.items():
            manifest = retinue.found.get(paper)
            if isinstance(manifest, Manifest) and manifest.media_type in OBJECT_TYPES:
                ways.discard(Way.REFERRERS)
                ways.add("object")
