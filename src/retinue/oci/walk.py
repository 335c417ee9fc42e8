"""The only traversal of links. It does no I/O: digests to ask about go out, links come in.

A driver:

    walk = Walk(roots, kept, limit=100_000)
    while digests := walk.frontier():
        links, absent, unreadable = await ask(digests)
        walk.learn(links, absent, unreadable)
    for digest in walk.order(): ...

For `kept` the driver answers with the links that each digest states and those of its papers (the
closure: what to copy, what lives); for `keepers`, with the links that end at each digest and its own
SUBJECT links (what keeps it alive).
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from retinue.errors import RetinueError
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel, keeps

BATCH = 500
"""The most digests in one frontier: one query, or so many requests in flight."""
LINKS_PER_DIGEST = 64
"""How many links a walk remembers for every digest that its limit allows."""


class Incomplete(RetinueError):
    """The walk does not know everything: `waiting` were not asked about, `absent` are not there
    (with authority), `unreadable` are there but cannot be read (and why)."""

    def __init__(
        self,
        waiting: tuple[Digest, ...],
        absent: tuple[Digest, ...],
        unreadable: Mapping[Digest, str],
    ) -> None:
        parts = [
            f"{len(found)} {what} ({', '.join(list(found)[:3])})"
            for found, what in (
                (waiting, "not asked about"),
                (absent, "missing"),
                (unreadable, "unreadable"),
            )
            if found
        ]
        super().__init__("not everything could be reached: " + "; ".join(parts))
        self.waiting = waiting
        self.absent = absent
        self.unreadable = unreadable


class TooMany(RetinueError):
    """More hangs together than the walk may hold; nothing is decided from a part of it."""

    def __init__(self, limit: int, what: str) -> None:
        super().__init__(
            f"more than {limit} {what} hang together; raise the limit if that is right"
        )
        self.limit = limit
        self.what = what


def kept(link: Link) -> Digest:
    """Downward: from a parent to its parts, from a subject to its papers."""
    return keeps(link)[1]


def keepers(link: Link) -> Digest:
    """Upward: from a part to its parents, from a paper to its subject."""
    return keeps(link)[0]


class Walk:
    """A closure in progress.

    `keeps` names the end of a link that the other end brings in, or None where the walk should not
    go. A link counts once that other end is reached, in whatever order links arrive: what an index
    or a tag states between others brings in nothing by itself. Blobs reached as such are leaves and
    never asked about. `limit` bounds the digests reached; over it, TooMany is raised.
    """

    def __init__(
        self, roots: Iterable[Digest], keeps: Callable[[Link], Digest | None], limit: int
    ) -> None:
        self._keeps = keeps
        self._limit = limit
        self._leaf: dict[Digest, bool] = {}
        self._waiting: dict[Digest, None] = {}
        self._asked: tuple[Digest, ...] = ()
        self._links: dict[Link, None] = {}
        self._pending: dict[Digest, list[tuple[Digest, bool]]] = {}
        self._absent: dict[Digest, None] = {}
        self._unreadable: dict[Digest, str] = {}
        self._reach((root, False) for root in roots)

    def frontier(self) -> Sequence[Digest]:
        """What to ask about next, at most BATCH digests; empty: finished."""
        if not self._asked:
            self._asked = tuple(_first(self._waiting, BATCH))
        return self._asked

    def learn(
        self,
        links: Iterable[Link],
        absent: Collection[Digest] = (),
        unreadable: Mapping[Digest, str] | None = None,
    ) -> None:
        """The answer for the whole frontier; what is neither absent nor unreadable was read.

        A leaf may be said to be absent too.
        """
        for digest in self._asked:
            self._waiting.pop(digest, None)
        self._asked = ()
        self._absent.update((d, None) for d in absent if d in self._leaf)
        self._unreadable.update(
            (d, why) for d, why in (unreadable or {}).items() if d in self._leaf
        )
        for link in links:
            self._follow(link)

    @property
    def reached(self) -> Sequence[Digest]:
        """All digests so far, blobs and absent ones included, in the order of discovery."""
        return tuple(self._leaf)

    @property
    def blobs(self) -> Sequence[Digest]:
        """The leaves: reached as blobs, and not as anything else."""
        return tuple(digest for digest, leaf in self._leaf.items() if leaf)

    @property
    def absent(self) -> Sequence[Digest]:
        return tuple(self._absent)

    @property
    def unreadable(self) -> Mapping[Digest, str]:
        return dict(self._unreadable)

    def order(self) -> Sequence[Digest]:
        """The manifests: parts before wholes, subjects before papers. Raises Incomplete.

        It depends on the links alone, not on the order in which they came. Where both rules cannot
        hold (a tag or an index says that a part of a whole is a paper about that whole), parts come
        before wholes, and the paper before its subject. Digests make a circle of references
        impossible; should one be fed in, its members come in the order of their digests.
        """
        if self._waiting or self._absent or self._unreadable:
            raise Incomplete(tuple(self._waiting), tuple(self._absent), self.unreadable)
        nodes = sorted(digest for digest, leaf in self._leaf.items() if not leaf)
        return tuple(_in_order(nodes, self._links))

    def _follow(self, link: Link) -> None:
        found = self._keeps(link)
        if found is None or link in self._links:
            return
        if len(self._links) >= self._limit * LINKS_PER_DIGEST:
            raise TooMany(self._limit * LINKS_PER_DIGEST, "links")
        self._links[link] = None
        other = link.source if found == link.target else link.target
        step = (found, link.rel is Rel.BLOB and found == link.target)
        if other in self._leaf:
            self._reach([step])
        else:
            self._pending.setdefault(other, []).append(step)

    def _reach(self, steps: Iterable[tuple[Digest, bool]]) -> None:
        """Add what is reached, as a leaf or not, and all that had waited for it."""
        ahead = deque(steps)
        while ahead:
            digest, leaf = ahead.popleft()
            if self._leaf.get(digest, True) and not leaf and digest not in self._waiting:
                self._waiting[digest] = None
            self._leaf[digest] = leaf and self._leaf.get(digest, True)
            if len(self._leaf) > self._limit:
                raise TooMany(self._limit, "digests")
            ahead += self._pending.pop(digest, ())


def _first(digests: Iterable[Digest], count: int) -> Iterator[Digest]:
    return (digest for digest, _ in zip(digests, range(count), strict=False))


def _in_order(nodes: Sequence[Digest], links: Iterable[Link]) -> Iterator[Digest]:
    """Every link asks for its target first; inside of a circle only those to parts do."""
    inside = set(nodes)
    first: dict[Digest, set[Digest]] = {}
    parts: dict[Digest, set[Digest]] = {}
    for link in links:
        if link.source in inside and link.target in inside:
            first.setdefault(link.source, set()).add(link.target)
            if link.rel is not Rel.SUBJECT:
                parts.setdefault(link.source, set()).add(link.target)
    for circle in _circles(nodes, first):
        if len(circle) == 1:
            yield circle[0]
        else:
            within = {d: parts.get(d, set()) & set(circle) for d in circle}
            for inner in _circles(sorted(circle), within):
                yield from sorted(inner)


def _circles(
    nodes: Sequence[Digest], first: Mapping[Digest, Collection[Digest]]
) -> Iterator[list[Digest]]:
    """Strongly connected components, what is asked for first coming first (Tarjan, no recursion)."""
    number: dict[Digest, int] = {}
    low: dict[Digest, int] = {}
    open_: dict[Digest, None] = {}
    for root in nodes:
        if root in number:
            continue
        path = [(root, iter(sorted(first.get(root, ()))))]
        number[root] = low[root] = len(number)
        open_[root] = None
        while path:
            node, ahead = path[-1]
            for target in ahead:
                if target not in number:
                    number[target] = low[target] = len(number)
                    open_[target] = None
                    path.append((target, iter(sorted(first.get(target, ())))))
                    break
                if target in open_:
                    low[node] = min(low[node], number[target])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == number[node]:
                    yield _close(node, open_)


def _close(root: Digest, open_: dict[Digest, None]) -> list[Digest]:
    members: list[Digest] = []
    while not members or members[-1] != root:
        members.append(open_.popitem()[0])
    return members
