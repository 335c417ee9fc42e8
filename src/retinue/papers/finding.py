"""The search for papers, as a stepped object: subjects go out, links and manifests come in."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NewType, TypeAlias

from msgspec import Struct

from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel, Way
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.stores import Search
from retinue.papers.collected import Paper
from retinue.papers.limits import Limits
from retinue.papers.waiting import NotLooked
from retinue.papers.ways.objects import properties_of
from retinue.papers.ways.part import SIGNED, Form, Part
from retinue.papers.ways.table import parts_of

Place = NewType("Place", str)
"""The name of a repository; HOME is the subject's own."""
HOME = Place("")

Found: TypeAlias = Manifest | Unreadable | NotLooked | None

MAX_CHILDREN = 1000
MAX_MANIFESTS = 20_000
"""Papers whose manifests are read; of more, only the names are listed."""

_PREFERENCE = (Way.REFERRERS, Way.FALLBACK, Way.COSIGN, Way.INDEX, Way.ELSEWHERE)
"""By which way a paper counts as found, if it was by several: what it states itself comes first,
so that nobody changes this by stating more."""
_NO_SUBJECTS = frozenset({Form.TIMESTAMP})
"""What nobody attaches papers to."""
_NOT_THERE = NotLooked("it is listed, but not there")


class Finding(Struct, eq=False):
    """What was found so far, and what to ask for next.

    `roots` are the manifests whose papers are wanted. See `collect` for the others.
    """

    roots: Sequence[Manifest]
    limits: Limits
    depth: int = 2
    receipts: bool = False
    blind: dict[str, str] = {}
    subjects: dict[Digest, Manifest] = {}
    _levels: dict[Digest, int] = {}
    _ahead: list[Digest] = []
    _pairs: dict[tuple[Digest, Digest], set[tuple[Place, Way]]] = {}
    _places: dict[Digest, Place] = {}
    _read: dict[Digest, Found] = {}
    _parts: dict[tuple[Digest, Digest], tuple[Part, ...]] = {}
    _bytes: int = 0

    def __post_init__(self) -> None:
        for root in self.roots:
            self._add(root, 0)

    # ---- Children

    def children(self) -> list[Digest]:
        """What the subjects list that is not known yet, level by level; empty: that is all."""
        room = MAX_CHILDREN - len(self.subjects)
        wanted = dict.fromkeys(
            child.digest
            for manifest in self.subjects.values()
            for child in manifest.children
            if child.digest not in _mentioned(manifest) and child.digest not in self._read
        )
        for child in list(wanted)[max(room, 0) :]:
            self._read[child] = None
            self.blind[f"child {child}"] = f"more than {MAX_CHILDREN} children"
        return list(wanted)[: max(room, 0)]

    def learn_children(self, found: Mapping[Digest, Found]) -> None:
        for digest, manifest in found.items():
            self._read[digest] = manifest
            if isinstance(manifest, Manifest):
                self._add(manifest, 0)
            else:
                self.blind[f"child {digest}"] = _why(manifest)

    # ---- Papers

    def frontier(self) -> list[Digest]:
        """The subjects to ask about next; empty: finished."""
        self._descend()
        ahead, self._ahead = self._ahead, []
        return ahead

    def learn(
        self,
        subjects: Sequence[Digest],
        answers: Mapping[Place, Mapping[Digest, Search] | NotLooked],
    ) -> None:
        for place, answer in answers.items():
            for subject in subjects:
                if isinstance(answer, NotLooked):
                    self.blind[_named(subject, place)] = answer.why
                else:
                    self._learn(place, subject, answer[subject])
        for manifest in list(self.subjects.values()):
            self._note(HOME, (link for link in manifest.links if link.way is Way.INDEX))

    def unread(self, count: int) -> Mapping[Place, list[Digest]]:
        """Papers whose manifests are wanted next, so many at most; empty: there are no more."""
        wanted = sorted({paper for paper, _ in self._pairs if paper not in self._read})
        if len(self._read) >= MAX_MANIFESTS or self._bytes >= self.limits.total:
            for paper in wanted:
                self._learn_manifest(paper, NotLooked("more papers than are read"))
            return {}
        places: dict[Place, list[Digest]] = {}
        for paper in wanted[:count]:
            places.setdefault(self._places[paper], []).append(paper)
        return places

    def learn_manifests(self, found: Mapping[Digest, Found]) -> None:
        for digest, manifest in found.items():
            self._learn_manifest(digest, manifest)

    def papers(self) -> tuple[Paper, ...]:
        """All that are listed, read or not, in the order of their digests."""
        found = [each for pair, ways in self._pairs.items() for each in self._papers(*pair, ways)]
        found += [
            Paper(digest, digest, Way.REFERRERS, manifest, properties_of(manifest))
            for digest, manifest in self.subjects.items()
            if properties_of(manifest)
        ]
        return tuple(sorted(found, key=lambda paper: (paper.subject, paper.digest)))

    # ----

    def _add(self, manifest: Manifest, level: int) -> None:
        if manifest.digest not in self.subjects:
            self.subjects[manifest.digest] = manifest
            self._levels[manifest.digest] = level
            self._read.setdefault(manifest.digest, manifest)
            self._ahead.append(manifest.digest)

    def _descend(self) -> None:
        """Papers that may have papers become subjects themselves."""
        for paper, subject in sorted(self._pairs):
            level = self._levels.get(subject, self.depth) + 1
            manifest = self._read.get(paper)
            if not isinstance(manifest, Manifest) or level >= self.depth:
                continue
            if paper in self.subjects or not self._may_have_papers(paper, subject):
                continue
            if len(self.subjects) >= self.limits.papers:
                self.blind[f"papers of {paper}"] = "more papers than are looked at"
            else:
                self._add(manifest, level)

    def _may_have_papers(self, paper: Digest, subject: Digest) -> bool:
        forms = {part.form for part in self._parts_of(paper, subject)}
        return bool(forms - _NO_SUBJECTS) and (self.receipts or bool(forms - SIGNED))

    def _learn(self, place: Place, subject: Digest, search: Search) -> None:
        self._note(place, search.links)
        for way, why in search.blind.items():
            self.blind[_named(subject, place, way)] = why

    def _note(self, place: Place, links: Iterator[Link] | Sequence[Link]) -> None:
        for link in links:
            if link.rel is Rel.SUBJECT and link.target in self.subjects:
                self._pairs.setdefault((link.source, link.target), set()).add((place, link.way))
                self._places[link.source] = min(place, self._places.get(link.source, place))

    def _learn_manifest(self, paper: Digest, manifest: Found) -> None:
        self._read[paper] = manifest
        if isinstance(manifest, Manifest):
            self._bytes += len(manifest.raw)
        elif not isinstance(manifest, Unreadable):
            self.blind[f"paper {paper}"] = _why(manifest)

    def _papers(
        self, paper: Digest, subject: Digest, ways: set[tuple[Place, Way]]
    ) -> Iterator[Paper]:
        """At home, or else once for each place: a rule may take papers from one of them alone."""
        places = {place for place, _ in ways}
        found = self._read.get(paper)
        manifest = found if isinstance(found, Manifest | Unreadable) else None
        parts = self._parts_of(paper, subject)
        for place in [HOME] if HOME in places else sorted(places):
            way = min((w for p, w in ways if p == place), key=_PREFERENCE.index)
            yield Paper(paper, subject, way, manifest, parts, place or None)

    def _parts_of(self, paper: Digest, subject: Digest) -> tuple[Part, ...]:
        manifest = self._read.get(paper)
        if (paper, subject) not in self._parts and isinstance(manifest, Manifest):
            self._parts[paper, subject] = parts_of(manifest, subject)
        return self._parts.get((paper, subject), ())


def _mentioned(manifest: Manifest) -> set[Digest]:
    """What an index lists as papers of its other entries."""
    return {link.source for link in manifest.links if link.way is Way.INDEX}


def _why(found: Found) -> str:
    if isinstance(found, NotLooked):
        return found.why
    return str(found or _NOT_THERE.why)


def _named(subject: Digest, place: Place, way: Way | None = None) -> str:
    by = f" by {way}" if way is not None else ""
    return f"{subject}{by}" + (f" in {place}" if place else "")
