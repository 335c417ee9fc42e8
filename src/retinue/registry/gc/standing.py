"""How manifests stand in one repository: what rows, tags and bytes say about who keeps them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct

from retinue.oci import digest as digests
from retinue.oci import tags
from retinue.oci.digest import Digest
from retinue.oci.tags import ImpliedTag
from retinue.oci.walk import TooMany
from retinue.registry.catalog import collect, deletions
from retinue.registry.catalog.collect import MOST_LINKS, Said, Times
from retinue.registry.catalog.db import Change
from retinue.registry.catalog.deletions import Deletion
from retinue.registry.gc.plan import Standing

T = TypeVar("T")
Keepers = Mapping[Digest, Sequence[Digest]]

BODIES = 50
"""Manifests that are read from their bytes at a time; each has at most a few MiB."""


class Named(Struct, frozen=True):
    """Who carries an ordinary tag, and the implied tags that others carry."""

    ordinary: frozenset[Digest]
    implied: Sequence[tuple[Digest, ImpliedTag]]


def stand(repository: int, asked: Collection[Digest]) -> Change[tuple[Standing, ...]]:
    """Those of `asked` that are present, in a bounded number of statements. Raises TooMany."""
    found = yield from collect.times(repository, asked)
    present = [one.digest for one in found]
    if not present:
        return ()
    named = yield from _named(repository, present)
    parents = _grouped(_bounded((yield from collect.parents(repository, present))))
    said = _bounded((yield from collect.said(repository, present)))
    subjects = yield from _subjects(repository, said, named)
    papers = yield from collect.lists_of_papers(repository, present)
    papers |= {one.source for one in said if _makes_a_paper(one)}
    papers |= {digest for digest, _ in named.implied}
    about = {subject for digest in papers for subject in subjects.get(digest, ())}
    away = (yield from collect.elsewhere(repository, about)) if about else set[Digest]()
    going = {one.subject: one for one in (yield from deletions.under_way(repository, about))}
    standing = partial(_standing, named.ordinary, papers, parents, subjects, away, going)
    return tuple(map(standing, found))


def _standing(
    ordinary: Collection[Digest],
    papers: Collection[Digest],
    parents: Keepers,
    subjects: Keepers,
    away: Collection[Digest],
    going: Mapping[Digest, Deletion],
    times: Times,
) -> Standing:
    about = subjects.get(times.digest, ())
    ended = [going[subject].before for subject in about if subject in going]
    return Standing(
        times.digest,
        tagged=times.digest in ordinary,
        locked=times.locked,
        paper=times.digest in papers,
        touched=times.touched,
        pushed=times.pushed,
        pulled=times.pulled,
        waits=times.waits,
        parents=tuple(parents.get(times.digest, ())),
        subjects=tuple(about),
        elsewhere=any(subject in away for subject in about),
        going=any(before is None or times.touched <= before for before in ended),
    )


def _bounded(found: Sequence[T]) -> Sequence[T]:
    if len(found) > MOST_LINKS:
        raise TooMany(MOST_LINKS, "links")
    return found


def _grouped(pairs: Iterable[tuple[Digest, Digest]]) -> Keepers:
    found: dict[Digest, dict[Digest, None]] = defaultdict(dict)
    for kept, keeper in pairs:
        found[kept][keeper] = None
    return {kept: tuple(keepers) for kept, keepers in found.items()}


def _named(repository: int, present: Collection[Digest]) -> Change[Named]:
    ordinary = yield from collect.ordinary(repository, present)
    implied: list[tuple[Digest, ImpliedTag]] = []
    for digest, name in _bounded((yield from collect.special(repository, present))):
        tag = tags.implied(name)
        # `sha256-<itself>` is about nothing else: people name images so to keep them.
        if tag is None or tag.names(digest):
            ordinary.add(digest)
        else:
            implied.append((digest, tag))
    return Named(frozenset(ordinary), implied)


def _makes_a_paper(said: Said) -> bool:
    """A replaced `.att` or `.sbom` is history, an untagged manifest like others (rule 14)."""
    tag = _tag(said)
    return tag is None or tag.suffix not in {"att", "sbom"}


def _tag(said: Said) -> ImpliedTag | None:
    return None if ":" in said.witness else tags.implied(said.witness)


def _subjects(repository: int, said: Sequence[Said], named: Named) -> Change[Keepers]:
    """Who keeps these as papers: what is said of them, as far as it still counts."""
    by_tag = [one for one in said if _tag(one) is not None]
    current = yield from collect.current(repository, {one.witness for one in by_tag})
    moved = {
        (one.source, current[one.witness])
        for one in by_tag
        if current.get(one.witness, one.source) != one.source
    }
    held = yield from _successors(repository, moved)
    counts = [one for one in said if _counts(one, current, held)]
    pairs = [(one.source, one.target) for one in counts]
    return _grouped([*pairs, *(yield from _implied(repository, named.implied))])


def _counts(
    said: Said, current: Mapping[str, Digest], held: Collection[tuple[Digest, Digest]]
) -> bool:
    """Storage rule 14: what a tag that was moved on still says of what it named before."""
    tag = _tag(said)
    if tag is None or tag.suffix is None:
        return True
    now = current.get(said.witness, said.source)
    if now == said.source:
        return True
    return tag.suffix == "sig" and (said.source, now) not in held


def _implied(
    repository: int, carried: Sequence[tuple[Digest, ImpliedTag]]
) -> Change[list[tuple[Digest, Digest]]]:
    cut = {_prefix(tag) for _, tag in carried if tag.subject is None}
    beginning = yield from collect.beginning(repository, cut)
    found: list[tuple[Digest, Digest]] = []
    for digest, tag in carried:
        about = beginning[_prefix(tag)] if tag.subject is None else [tag.subject]
        found.extend((digest, subject) for subject in about)
    return found


def _prefix(tag: ImpliedTag) -> bytes:
    whole = digests.parse(f"sha256:{tag.prefix}")
    return b"\x02" + digests.to_bytes(whole)[1:]


def _successors(
    repository: int, moved: Collection[tuple[Digest, Digest]]
) -> Change[set[tuple[Digest, Digest]]]:
    """Pairs of a replaced manifest and a successor that holds every one of its layers."""
    held: set[tuple[Digest, Digest]] = set()
    todo = sorted(moved)
    for start in range(0, len(todo), BODIES // 2):
        pairs = todo[start : start + BODIES // 2]
        wanted = {digest for pair in pairs for digest in pair}
        found = yield from collect.readable(repository, wanted)
        for old, new in pairs:
            before, after = found.get(old), found.get(new)
            if before is not None and after is not None and tags.supersedes(after, before):
                held.add((old, new))
    return held
