"""Decisions on what real tools wrote: as many signers count as there are, and not one more."""

from datetime import UTC, datetime
from functools import cache

import pytest

import trust_vectors
from policies import policy, rule, signatures
from retinue.papers.collect import collect
from retinue.papers.facts import Findings, Wanted
from retinue.papers.judge import derive
from retinue.policy.decide import decide
from retinue.policy.decision import Decision, Operation, Request
from retinue.policy.globs import Glob
from retinue.policy.inline import SIGNED
from retinue.policy.model import Policy, Rule
from trust_vectors import Vector

NOW = datetime(2030, 1, 1, tzinfo=UTC)
load = cache(trust_vectors.load)


def signers(vector: Vector, *, elsewhere: bool) -> set[str | None]:
    """Who signed the image itself, by what is known of the vector."""
    return {
        each.by
        for each in vector.expected
        if (each.verdict, each.subject) == ("verified", vector.subject.digest)
        and each.kind in {"signature", None}
        and (elsewhere or not each.elsewhere)
    }


async def findings(vector: Vector) -> Findings:
    collected = await collect(
        vector.store, vector.subject, children=True, elsewhere=vector.elsewhere
    )
    return derive(collected, vector.trust, Wanted())


def needing(vector: Vector, k: int, *papers_in: str) -> Policy:
    of = [anchor.name for anchor in vector.trust.anchors]
    asked: Rule = rule(
        images=(Glob("**"),),
        papers_in=papers_in,
        signatures=signatures(k, *of, formats=SIGNED),
    )
    return policy(asked, trust=vector.trust)


def decided(vector: Vector, found: Findings, by: Policy) -> Decision:
    request = Request("reg.acme/app", vector.subject.digest, Operation.CLI)
    return decide(by, found, None, request, NOW)


@pytest.mark.parametrize("name", trust_vectors.names())
async def test_as_many_signers_count_as_there_are(name: str) -> None:
    vector = load(name)
    found = await findings(vector)
    known = len(signers(vector, elsewhere=False))

    for k in range(1, known + 2):
        assert decided(vector, found, needing(vector, k)).allowed is (k <= known)


@pytest.mark.parametrize("name", [n for n in trust_vectors.names() if load(n).elsewhere])
async def test_papers_elsewhere_count_where_they_are_named(name: str) -> None:
    vector = load(name)
    found = await findings(vector)
    there = len(signers(vector, elsewhere=True))

    assert decided(vector, found, needing(vector, there, *vector.elsewhere)).allowed
    assert not decided(vector, found, needing(vector, there + 1, *vector.elsewhere)).allowed


@pytest.mark.parametrize("name", trust_vectors.names())
async def test_every_paper_is_in_the_trace(name: str) -> None:
    vector = load(name)
    found = await findings(vector)

    decision = decided(vector, found, needing(vector, 1))

    assert {fact.paper for fact in found.facts} == {r.paper for r in decision.reasons if r.paper}
