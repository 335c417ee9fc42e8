"""What a copy comprises: the closure of what is wanted, or why it cannot be known."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from msgspec import Struct

from retinue.client.transfer import bounded
from retinue.errors import RetinueError
from retinue.oci.descriptor import Descriptor
from retinue.oci.digest import Digest, parse
from retinue.oci.links import Link, Rel, Way
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.platform import Platform
from retinue.oci.stores import Source
from retinue.oci.walk import Walk, kept

MAX_REACHED = 1_000_000
"""Digests that one copy may comprise."""
MANY = 16
"""References that are resolved at once."""


class CopyError(RetinueError):
    """Why nothing was tagged."""


class ReferenceUnknown(CopyError):
    """The source has no such tag or manifest."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"{reference!r} is not in the source; nothing was copied")
        self.reference = reference


class PlatformUnknown(CopyError):
    """The image is not for this platform."""

    def __init__(self, digest: Digest, wanted: Platform, offered: Sequence[Platform]) -> None:
        some = ", ".join(map(str, offered)) or "none that are named"
        super().__init__(f"{digest} is not for {wanted}; it is for {some}")
        self.digest = digest
        self.wanted = wanted
        self.offered = tuple(offered)


class PapersUnseen(CopyError):
    """There may be papers that cannot be copied, because they could not be looked for or read."""

    def __init__(self, blind: Mapping[str, str]) -> None:
        some = "; ".join(f"{what}: {why}" for what, why in list(blind.items())[:3])
        super().__init__(
            f"papers (signatures, SBOMs, provenance) would be lost: {some}; "
            "repeat, or leave all of them behind with --without-papers"
        )
        self.blind = dict(blind)


class PapersStay(CopyError):
    """Papers that are there and cannot come along."""

    def __init__(self, papers: Collection[Digest], why: str) -> None:
        some = ", ".join(list(papers)[:3])
        super().__init__(
            f"{len(papers)} papers (signatures, SBOMs, provenance) would be lost: {some} {why}; "
            "or leave all of them behind with --without-papers"
        )
        self.papers = tuple(papers)
        self.why = why


class PapersInTheWay(CopyError):
    """A tag that states papers names others in the sink, which an overwrite would lose."""

    def __init__(self, tag: str, here: Digest, ours: Digest) -> None:
        super().__init__(
            f"tag {tag!r} of the sink names {here}, which holds papers that {ours} lacks; "
            "delete it there if they are not needed, or copy with --without-papers"
        )
        self.tag = tag
        self.here = here
        self.ours = ours


class NotWhole(CopyError):
    """Parts of what should be copied are missing, or are no manifests."""

    def __init__(self, parts: Mapping[Digest, str]) -> None:
        some = "; ".join(f"{digest}: {why}" for digest, why in list(parts.items())[:3])
        super().__init__(f"the source is not whole: {some}; nothing was tagged")
        self.parts = dict(parts)


class Closure(Struct):
    """All that will be copied."""

    manifests: dict[Digest, Manifest] = {}
    links: dict[Link, None] = {}
    order: Sequence[Digest] = ()

    def blobs(self) -> dict[Digest, Descriptor]:
        found: dict[Digest, Descriptor] = {}
        for digest in self.order:
            for blob in self.manifests[digest].blobs:
                if blob.digest not in self.manifests:
                    found.setdefault(blob.digest, blob)
        return found

    def papers(self) -> list[Digest]:
        about = {link.source for link in self.links if link.rel is Rel.SUBJECT}
        return [digest for digest in self.order if digest in about]

    def listed_papers(self) -> list[tuple[Digest, Digest]]:
        """Pairs of paper and subject that every store lists: the paper itself names its subject."""
        stated = ((m.digest, m.subject.digest) for m in self.manifests.values() if m.subject)
        return [(paper, subject) for paper, subject in stated if subject in self.manifests]

    def levels(self) -> list[list[Digest]]:
        """The order cut into groups whose members do not wait for each other."""
        first: dict[Digest, list[Digest]] = {}
        for link in self.links:
            first.setdefault(link.source, []).append(link.target)
        depth: dict[Digest, int] = {}
        found: list[list[Digest]] = []
        for digest in self.order:
            depth[digest] = 1 + max((depth.get(d, -1) for d in first.get(digest, ())), default=-1)
            if depth[digest] == len(found):
                found.append([])
            found[depth[digest]].append(digest)
        return found

    def implied_tags(self) -> dict[str, list[Digest]]:
        """Cosign's tags come along, each with all that it named, what it names now last. Fallback
        tags do not: what they list says so itself, and a sink without a referrers API lists it anew
        when it is put."""
        found: dict[str, list[Digest]] = {}
        for link in self.links:
            if link.way is Way.COSIGN and link.source not in found.get(link.stated_by, ()):
                found.setdefault(link.stated_by, []).insert(0, link.source)
        return dict(sorted(found.items()))

    def replaced(self) -> list[tuple[Digest, Digest]]:
        """Pairs of paper and subject that only our kind of registry keeps: signatures that another
        writer's manifest replaced at cosign's tag."""
        former = {d for digests in self.implied_tags().values() for d in digests[:-1]}
        pairs = {(k.source, k.target) for k in self.links if k.way is Way.COSIGN}
        return sorted((paper, subject) for paper, subject in pairs if paper in former)


async def find_roots(
    source: Source, references: Sequence[str], platform: Platform | None, *, papers: bool
) -> list[Digest]:
    """What the references (tags or digests) name; with a platform, its child of each index."""

    async def resolve(reference: str) -> Digest:
        digest = parse(reference) if ":" in reference else await source.resolve(reference)
        if digest is None:
            raise ReferenceUnknown(reference)
        return digest

    digests = await bounded([partial(resolve, reference) for reference in references], MANY)
    if platform is not None:
        chosen = await source.manifests(digests)
        digests = [_choose(d, chosen[d], platform, papers=papers) for d in digests]
    return digests


def _choose(
    digest: Digest, found: Manifest | Unreadable | None, wanted: Platform, *, papers: bool
) -> Digest:
    """The child for the platform; an image that is no index is taken as it is."""
    if found is None:
        raise ReferenceUnknown(digest)
    if isinstance(found, Unreadable):
        raise NotWhole({digest: str(found)})
    if not found.children:
        return digest
    offered = [(c.digest, c.platform) for c in found.children if c.platform is not None]
    chosen = next((child for child, has in offered if has.matches(wanted)), None)
    if chosen is None:
        raise PlatformUnknown(digest, wanted, [platform for _, platform in offered])
    if papers:
        _check_index_papers(found, chosen)
    return chosen


def _check_index_papers(index: Manifest, chosen: Digest) -> None:
    """What only the index says about a child is lost without the index."""
    said = [k.source for k in index.links if k.way is Way.INDEX and k.target == chosen]
    if said:
        raise PapersStay(said, f"belong to it only by the index {index.digest}: copy that whole,")


async def find_closure(source: Source, roots: Sequence[Digest], *, papers: bool) -> Closure:
    """Everything that the roots keep. Raises PapersUnseen, NotWhole: a part is never taken for all."""
    walk = Walk(roots, kept if papers else _parts_only, MAX_REACHED)
    closure = Closure()
    blind: dict[str, str] = {}
    while digests := walk.frontier():
        found = await source.manifests(digests)
        searches = await source.papers(digests) if papers else {}
        links: list[Link] = []
        for digest, manifest in found.items():
            if isinstance(manifest, Manifest):
                closure.manifests[digest] = manifest
                links += manifest.links
        for subject, search in searches.items():
            links += search.links
            blind |= {f"{subject} by {way}": why for way, why in search.blind.items()}
        walk.learn(links, *_missing(found))
        closure.links.update(dict.fromkeys(links))
    _check_whole(walk, closure.links, blind)
    closure.order = walk.order()
    return closure


def _parts_only(link: Link) -> Digest | None:
    return None if link.rel is Rel.SUBJECT else kept(link)


def _missing(
    found: Mapping[Digest, Manifest | Unreadable | None],
) -> tuple[list[Digest], dict[Digest, str]]:
    absent = [digest for digest, manifest in found.items() if manifest is None]
    unreadable = {d: m.reason for d, m in found.items() if isinstance(m, Unreadable)}
    return absent, unreadable


def _check_whole(walk: Walk, links: Iterable[Link], blind: Mapping[str, str]) -> None:
    """What is no paper comes first: without it there is nothing to lose papers of."""
    bad = dict.fromkeys(walk.absent, "is not there") | dict(walk.unreadable)
    papers = {link.source for link in links if link.rel is Rel.SUBJECT}
    parts = {digest: why for digest, why in bad.items() if digest not in papers}
    if parts:
        raise NotWhole(parts)
    lost = {f"paper {digest}": why for digest, why in bad.items()}
    if blind or lost:
        raise PapersUnseen({**lost, **blind})
