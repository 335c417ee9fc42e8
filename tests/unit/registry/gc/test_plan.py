"""What is dead, as a pure function (storage rule 13)."""

from collections.abc import Mapping, Sequence
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.walk import TooMany
from retinue.registry.gc import plan
from retinue.registry.gc.plan import (
    BATCH,
    HeldBlob,
    Plan,
    Standing,
    Terms,
    ascend,
    make_plan,
    plan_blobs,
)

NOW = 1_000_000
TERMS = Terms(grace=100, paper_grace=700, untagged=1_000)
KEEPING = Terms(grace=100, paper_grace=700, untagged=None)


def named(name: object) -> Digest:
    return digests.of(str(name).encode())


A, B, C, D = map(named, "ABCD")


def climb(
    wanted: Sequence[Digest], all_of_them: Mapping[Digest, Standing], terms: Terms
) -> tuple[Plan, int]:
    """The plan, and how many manifests were asked about."""
    walk = ascend(wanted, terms, NOW)
    asked = next(walk)
    count = len(asked)
    try:
        while True:
            asked = walk.send([all_of_them[each] for each in asked if each in all_of_them])
            count += len(asked)
    except StopIteration as stop:
        return make_plan(wanted, stop.value, terms, NOW), count


def planned(*standings: Standing, terms: Terms = TERMS) -> Plan:
    by_digest = {one.digest: one for one in standings}
    return climb([standings[0].digest], by_digest, terms)[0]


@pytest.mark.parametrize(
    "standing",
    [
        Standing(A, tagged=True),
        Standing(A, locked=True),
        Standing(A, tagged=True, paper=True),
    ],
)
def test_a_tag_and_a_lock_keep_for_good(standing: Standing) -> None:
    assert planned(standing) == Plan((), {}, (A,))


def test_untagged_manifests_are_kept_where_no_policy_says_otherwise() -> None:
    assert planned(Standing(A), terms=KEEPING) == Plan((), {}, (A,))


def test_a_paper_is_no_untagged_manifest() -> None:
    assert planned(Standing(A, paper=True), terms=KEEPING).batches == ((A,),)


@pytest.mark.parametrize(
    ("standing", "until"),
    [
        (Standing(A, touched=NOW - 999), NOW + 1),
        (Standing(A, pushed=NOW - 999), NOW + 1),
        (Standing(A, pulled=NOW - 1), NOW + 999),
        (Standing(A, waits=NOW + 5), NOW + 5),
        (Standing(A, paper=True, touched=NOW - 699), NOW + 1),
        (Standing(A, paper=True, subjects=(B,), touched=NOW - 699), NOW + 1),
    ],
)
def test_what_is_young_is_looked_at_again_when_its_time_comes(
    standing: Standing, until: int
) -> None:
    assert planned(standing) == Plan((), {A: until}, ())


def test_a_paper_whose_dead_subject_is_present_has_the_grace_of_others() -> None:
    paper = Standing(A, paper=True, subjects=(B,), touched=NOW - 100)
    assert planned(paper, Standing(B)).batches == ((B, A),)
    assert planned(paper).later == {A: NOW + 600}


def test_a_paper_whose_subject_is_in_another_repository_is_kept_and_looked_at_again() -> None:
    paper = Standing(A, paper=True, subjects=(B,), elsewhere=True)
    assert planned(paper) == Plan((), {A: NOW + 700}, ())
    assert planned(paper, Standing(B)).batches == ((B, A),)  # what is here counts first


def test_a_keeper_far_above_keeps() -> None:
    chain = (
        Standing(A, parents=(B,)),
        Standing(B, paper=True, subjects=(C,)),
        Standing(C, parents=(D,)),
    )
    assert planned(*chain, Standing(D, tagged=True)) == Plan((), {}, (A,))
    assert planned(*chain, Standing(D)).batches == ((D, C, B, A),)


def test_a_keeper_that_is_not_there_keeps_nothing() -> None:
    assert planned(Standing(A, parents=(B,))).batches == ((A,),)


def test_those_who_only_keep_each_other_are_dead_together() -> None:
    one = Standing(A, paper=True, parents=(B,), subjects=(B,))
    other = Standing(B, parents=(A,))
    [batch] = planned(one, other).batches
    assert set(batch) == {A, B}


def test_a_circle_that_a_root_reaches_lives() -> None:
    one, other = Standing(A, parents=(B,)), Standing(B, parents=(A, C))
    assert planned(one, other, Standing(C, tagged=True)).batches == ()


def test_an_absent_candidate_is_settled() -> None:
    assert climb([A], {}, TERMS)[0] == Plan((), {}, (A,))


def test_the_walk_goes_no_further_than_a_root() -> None:
    above = {named(n): Standing(named(n)) for n in range(50)}
    young = Standing(A, tagged=True, parents=tuple(above))
    _, asked = climb([A], {A: young, **above}, TERMS)
    assert asked == 1


def test_batches_are_bounded_and_a_circle_goes_whole() -> None:
    ring = [named(n) for n in range(BATCH + 50)]
    standings = {d: Standing(d, parents=(ring[i - 1],)) for i, d in enumerate(ring)}
    loose = {named(f"x{n}"): Standing(named(f"x{n}")) for n in range(BATCH + 1)}
    found, _ = climb([*ring, *loose], standings | loose, TERMS)
    assert sorted(map(len, found.batches)) in (
        [1, BATCH, BATCH + 50],
        sorted([BATCH, 1, BATCH + 50]),
    )
    assert any(set(batch) == set(ring) for batch in found.batches)


def test_a_subject_and_its_papers_go_together_however_many() -> None:
    papers = {named(n): Standing(named(n), paper=True, subjects=(A,)) for n in range(BATCH + 50)}
    loose = {named(f"x{n}"): Standing(named(f"x{n}")) for n in range(BATCH)}
    standings = {A: Standing(A), **loose, **papers}
    found, _ = climb([*papers, *loose], standings, TERMS)
    whole = next(batch for batch in found.batches if A in batch)
    assert (whole[0], set(whole)) == (A, {A, *papers})


def test_papers_of_a_subject_that_is_gone_go_together() -> None:
    papers = {named(n): Standing(named(n), paper=True, subjects=(A,)) for n in range(BATCH + 50)}
    found, _ = climb([*papers], papers, TERMS)
    assert [set(batch) for batch in found.batches] == [set(papers)]


def test_a_walk_that_is_too_wide_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MOST", 10)
    standings = {A: Standing(A, parents=tuple(named(n) for n in range(20)))}
    with pytest.raises(TooMany):
        climb([A], standings, TERMS)


Graph = Mapping[Digest, Standing]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    nodes = [named(n) for n in range(draw(st.integers(1, 12)))]
    some = st.lists(st.sampled_from(nodes), max_size=3, unique=True).map(tuple)
    return {
        node: Standing(
            node,
            tagged=draw(st.integers(0, 5)) == 0,
            paper=draw(st.booleans()),
            touched=draw(st.sampled_from([0, NOW])) if draw(st.integers(0, 5)) == 0 else 0,
            parents=tuple(each for each in draw(some) if each != node),
            subjects=tuple(each for each in draw(some) if each != node),
        )
        for node in nodes
    }


def alive(graph: Graph, terms: Terms) -> set[Digest]:
    """The two sentences downward from the roots, by repetition."""
    found = {digest for digest, one in graph.items() if plan.root(one, graph, terms, NOW)}
    while True:
        more = {d for d, one in graph.items() if set(one.keepers()) & found} | found
        if more == found:
            return found
        found = more


@given(graphs(), st.sampled_from([TERMS, KEEPING]))
def test_walking_up_finds_what_walking_down_leaves_out(graph: Graph, terms: Terms) -> None:
    found, _ = climb(list(graph), graph, terms)
    dead = [digest for batch in found.batches for digest in batch]
    assert set(dead) == set(graph) - alive(graph, terms)
    assert len(dead) == len(set(dead))


@given(graphs())
def test_no_two_transactions_delete_what_belongs_together(graph: Graph) -> None:
    with mock.patch.object(plan, "BATCH", 2):
        found, _ = climb(list(graph), graph, TERMS)
    number = {digest: n for n, batch in enumerate(found.batches) for digest in batch}
    for digest, at in number.items():
        assert {number.get(each, at) for each in graph[digest].keepers()} <= {at}


@given(graphs())
def test_from_any_candidate_the_answer_is_the_same(graph: Graph) -> None:
    living = alive(graph, TERMS)
    for digest in graph:
        found, _ = climb([digest], graph, TERMS)
        dead = {each for batch in found.batches for each in batch}
        assert (digest in dead) is (digest not in living)
        assert not dead & living


@given(graphs())
def test_whoever_keeps_goes_no_later_than_what_it_kept(graph: Graph) -> None:
    plan_all, _ = climb(list(graph), graph, TERMS)
    at = {digest: n for n, batch in enumerate(plan_all.batches) for digest in batch}
    for digest, number in at.items():
        assert all(at[keeper] <= number for keeper in graph[digest].keepers() if keeper in graph)


def test_blobs_go_when_nothing_links_them_and_their_grace_has_passed() -> None:
    held = [
        HeldBlob(A, touched=NOW - 100, waits=0, linked=False),
        HeldBlob(B, touched=NOW - 99, waits=0, linked=False),
        HeldBlob(C, touched=0, waits=NOW + 7, linked=False),
        HeldBlob(D, touched=0, waits=0, linked=True),
    ]
    gone = named("gone")
    assert plan_blobs([A, B, C, D, gone], held, TERMS, NOW) == Plan(
        ((A,),), {B: NOW + 1, C: NOW + 7}, (D, gone)
    )
