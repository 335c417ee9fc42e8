"""The walk: closure, order, reverse closure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import artifact, image, index
from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel, Way, keeps
from retinue.oci.walk import BATCH, LINKS_PER_DIGEST, Incomplete, TooMany, Walk, keepers, kept

Graph = Collection[Link]


def name(number: int) -> Digest:
    return digests.parse(f"sha256:{number:064x}")


A, B, C, D, E = map(name, range(1, 6))


def ref(source: Digest, target: Digest) -> Link:
    return Link(source, target, Rel.REFERENCE, source)


def blob(source: Digest, target: Digest) -> Link:
    return Link(source, target, Rel.BLOB, source)


def about(paper: Digest, subject: Digest, witness: str | None = None) -> Link:
    way = Way.REFERRERS if witness is None else Way.COSIGN
    return Link(paper, subject, Rel.SUBJECT, witness or paper, way)


def down(graph: Graph, digest: Digest) -> list[Link]:
    """What a store answers: the links a manifest states, and those of its papers."""
    return [
        link
        for link in graph
        if link.source == digest or (link.rel is Rel.SUBJECT and link.target == digest)
    ]


def up(graph: Graph, digest: Digest) -> list[Link]:
    return [
        link
        for link in graph
        if link.target == digest or (link.rel is Rel.SUBJECT and link.source == digest)
    ]


def run(
    walk: Walk,
    graph: Graph,
    ask: Any = down,
    absent: Collection[Digest] = (),
    unreadable: Mapping[Digest, str] | None = None,
) -> list[Sequence[Digest]]:
    """The driver of the module's documentation; returns the frontiers."""
    asked = []
    while digests_ := walk.frontier():
        asked.append(digests_)
        links = [link for digest in digests_ if digest not in absent for link in ask(graph, digest)]
        walk.learn(links, absent, unreadable)
    return asked


def closure(graph: Graph, *roots: Digest) -> Walk:
    walk = Walk(roots, kept, 1000)
    run(walk, graph)
    return walk


def test_a_walk_of_nothing_is_finished() -> None:
    walk = Walk((), kept, 0)
    assert (walk.frontier(), walk.reached, walk.order()) == ((), (), ())


def test_parents_bring_in_parts_and_subjects_bring_in_papers_and_their_papers() -> None:
    graph = [ref(A, B), blob(B, C), about(D, A), about(E, D)]
    walk = closure(graph, A)
    assert walk.order() == (B, A, D, E)
    assert walk.blobs == (C,)
    assert set(walk.reached) == {A, B, C, D, E}


def test_a_paper_does_not_bring_in_its_subject() -> None:
    walk = closure([about(B, A), blob(B, C)], B)
    assert set(walk.reached) == {B, C}


def test_a_link_between_others_counts_only_once_its_keeper_is_reached() -> None:
    stated = about(C, B, "sha256-x.sig")
    walk = Walk([A], kept, 10)
    walk.frontier()
    walk.learn([stated, about(E, D, "tag")])
    assert walk.reached == (A,)
    walk = Walk([A], kept, 10)
    walk.frontier()
    walk.learn([stated, ref(A, B)])
    assert walk.reached == (A, B, C)


def test_a_waiting_chain_of_links_is_followed_at_once() -> None:
    chain = [ref(x, y) for x, y in pairwise([A, B, C, D, E])]
    walk = Walk([A], kept, 10)
    walk.frontier()
    walk.learn(reversed(chain))
    assert walk.reached == (A, B, C, D, E)
    assert walk.frontier() == (B, C, D, E)


def test_blobs_are_leaves_and_never_asked_about() -> None:
    asked = run(Walk([A], kept, 10), [blob(A, B), ref(A, C), blob(C, D)])
    assert asked == [(A,), (C,)]


@pytest.mark.parametrize("links", [[blob(A, B), ref(A, B)], [ref(A, B), blob(A, B)]])
def test_a_blob_that_is_a_manifest_too_is_asked_about_once(links: list[Link]) -> None:
    walk = Walk([A], kept, 10)
    assert run(walk, [*links, ref(B, C)]) == [(A,), (B,), (C,)]
    assert walk.blobs == ()
    assert walk.order() == (C, B, A)


def test_a_frontier_stays_until_it_is_answered_and_has_a_bound() -> None:
    roots = [name(i) for i in range(BATCH + 3)]
    walk = Walk(roots, kept, 1000)
    assert walk.frontier() is walk.frontier()
    assert walk.frontier() == tuple(roots[:BATCH])
    walk.learn([])
    assert walk.frontier() == tuple(roots[BATCH:])
    walk.learn([])
    assert walk.frontier() == ()


def test_upward_it_finds_what_keeps_a_blob() -> None:
    graph = [ref(A, B), blob(B, C), about(D, A), ref(E, D)]
    walk = Walk([C], keepers, 10)
    run(walk, graph, up)
    assert walk.reached == (C, B, A)
    walk = Walk([D], keepers, 10)
    run(walk, graph, up)
    assert set(walk.reached) == {D, A, E}


def test_where_keeps_says_none_it_does_not_go() -> None:
    def without_papers(link: Link) -> Digest | None:
        return None if link.rel is Rel.SUBJECT else keeps(link)[1]

    walk = Walk([A], without_papers, 10)
    run(walk, [ref(A, B), about(C, A)])
    assert walk.order() == (B, A)


def test_absent_and_unreadable_are_told_apart() -> None:
    walk = Walk([A], kept, 10)
    graph = [ref(A, B), ref(A, C), blob(A, D), ref(C, E)]
    run(walk, graph, absent=[B, D, name(99)], unreadable={C: "why", name(98): "no"})
    assert (set(walk.absent), walk.unreadable) == ({B, D}, {C: "why"})
    with pytest.raises(Incomplete, match=r"2 missing .* 1 unreadable") as caught:
        walk.order()
    assert (caught.value.waiting, set(caught.value.absent)) == ((), {B, D})
    assert caught.value.unreadable == {C: "why"}
    assert set(walk.reached) == {A, B, C, D, E}


def test_there_is_no_order_before_the_end() -> None:
    walk = Walk([A, B], kept, 10)
    with pytest.raises(Incomplete, match="2 not asked about") as caught:
        walk.order()
    assert caught.value.waiting == (A, B)


def test_digests_have_a_bound() -> None:
    with pytest.raises(TooMany, match="more than 1 digests"):
        Walk([A, B], kept, 1)
    walk = Walk([A], kept, 2)
    walk.frontier()
    walk.learn([ref(A, B)])
    walk.frontier()
    with pytest.raises(TooMany) as caught:
        walk.learn([ref(A, B), ref(B, C)])
    assert (caught.value.limit, caught.value.what) == (2, "digests")


def test_links_have_a_bound() -> None:
    walk = Walk([A], kept, 1)
    walk.frontier()
    repeated = [about(A, A, f"tag{i}") for i in range(LINKS_PER_DIGEST)]
    walk.learn([*repeated, *repeated])
    with pytest.raises(TooMany, match="links"):
        walk.learn([about(A, A, "one more")])


def test_an_index_that_holds_its_own_paper_comes_after_it() -> None:
    """Only a tag or an index can say so; the paper then cannot wait for its subject."""
    graph = [ref(A, B), ref(A, C), about(B, A, "sha256-x.sig"), about(D, A), about(B, C, "tag")]
    assert closure(graph, A).order() == (C, B, A, D)


def test_a_circle_of_references_that_cannot_be_is_ordered_all_the_same() -> None:
    assert closure([ref(A, B), ref(B, C), ref(C, A), ref(D, A)], D).order() == (A, B, C, D)


def test_a_long_chain_needs_no_recursion() -> None:
    chain = [name(i) for i in range(5000)]
    walk = Walk([chain[0]], kept, 6000)
    walk.frontier()
    walk.learn([ref(x, y) for x, y in pairwise(chain)])
    while walk.frontier():
        walk.learn([])
    assert walk.order() == tuple(reversed(chain))


def test_real_manifests_in_order() -> None:
    one, two = image(b"1"), image(b"2")
    top = index(one, two)
    paper = artifact(top)
    second = artifact(paper)
    walk = closure([x for m in (one, two, top, paper, second) for x in m.links], top.digest)
    order = walk.order()
    assert set(order[:2]) == {one.digest, two.digest}
    assert order[2:] == (top.digest, paper.digest, second.digest)


NODES = st.integers(0, 11).map(name)
LINKS = st.builds(
    lambda a, b, rel, tagged: Link(a, b, rel, "tag" if tagged else a),
    NODES,
    NODES,
    st.sampled_from(Rel),
    st.booleans(),
)


def descending(link: Link) -> Link:
    ends = sorted((link.source, link.target))
    return Link(ends[1], ends[0], link.rel, link.stated_by)


GRAPHS = st.lists(LINKS, max_size=30)


def fixpoint(graph: Graph, roots: Iterable[Digest], edge: Any) -> set[Digest]:
    """The definition, without a frontier. Blobs reached as such keep nothing."""
    manifests = set(roots)
    while True:
        more = {
            to for link in graph for at, to in [edge(link)]
            if at in manifests and not (link.rel is Rel.BLOB and to == link.target)
        } - manifests  # fmt: skip
        if not more:
            leaves = {to for link in graph for at, to in [edge(link)] if at in manifests}
            return manifests | leaves
        manifests |= more


@given(GRAPHS, st.lists(NODES, max_size=3))
def test_it_reaches_the_closure_by_definition(graph: list[Link], roots: list[Digest]) -> None:
    walk = Walk(roots, kept, 1000)
    asked = [digest for frontier in run(walk, graph) for digest in frontier]
    assert set(walk.reached) == fixpoint(graph, roots, keeps)
    assert sorted(asked) == sorted(set(walk.reached) - set(walk.blobs))


@given(GRAPHS, st.lists(NODES, max_size=3))
def test_upward_it_reaches_the_closure_by_definition(
    graph: list[Link], roots: list[Digest]
) -> None:
    walk = Walk(roots, keepers, 100)
    run(walk, graph, up)
    expected = fixpoint(graph, roots, lambda link: keeps(link)[::-1])
    assert set(walk.reached) == expected


@given(GRAPHS, st.randoms(use_true_random=False))
def test_the_order_depends_on_the_links_alone(graph: list[Link], random: Any) -> None:
    roots = sorted({link.source for link in graph})
    shuffled = closure(random.sample(graph, len(graph)), *random.sample(roots, len(roots)))
    assert closure(graph, *roots).order() == shuffled.order()


@given(GRAPHS)
def test_parts_before_wholes_and_subjects_before_papers(graph: list[Link]) -> None:
    """Without a circle both rules hold, and nothing comes twice."""
    straight = [descending(link) for link in graph if link.source != link.target]
    roots = {link.source for link in straight}
    order = closure(straight, *roots).order()
    place = {digest: number for number, digest in enumerate(order)}
    assert len(place) == len(order)
    for link in straight:
        if link.source in place and link.target in place:
            assert place[link.target] < place[link.source]


@given(GRAPHS)
def test_with_circles_parts_still_come_before_wholes(graph: list[Link]) -> None:
    """References that make no circle hold, whatever subjects say."""
    straight = [
        descending(link) if link.rel is Rel.REFERENCE else link
        for link in graph
        if link.source != link.target
    ]
    roots = {link.source for link in straight} | {link.target for link in straight}
    order = closure(straight, *roots).order()
    assert sorted(order) == sorted(roots)
    place = {digest: number for number, digest in enumerate(order)}
    for link in straight:
        if link.rel is Rel.REFERENCE:
            assert place[link.target] < place[link.source]
