"""What real tools wrote is read as what it is, and nothing is made of what only pretends."""

from collections.abc import Iterable

import pytest

import trust_vectors
from retinue.papers.collect import collect
from retinue.papers.facts import Fact, Findings, Verdict, Wanted
from retinue.papers.judge import derive
from trust_vectors import Expected, Vector


@pytest.mark.parametrize("name", trust_vectors.names())
async def test_the_facts_are_those_expected(name: str) -> None:
    vector = trust_vectors.load(name)

    found = await findings(vector)

    assert found.blind == {}
    assert _unmatched(found.facts, vector.expected) == ([], [])


@pytest.mark.parametrize("name", trust_vectors.names())
async def test_each_signature_counts_once(name: str) -> None:
    vector = trust_vectors.load(name)

    found = await findings(vector)

    verified = [fact for fact in found.facts if fact.verdict is Verdict.VERIFIED]
    assert len({fact.signature for fact in verified}) == vector.signatures


@pytest.mark.parametrize("name", trust_vectors.names())
async def test_nothing_verifies_for_those_who_trust_another(name: str) -> None:
    vector = trust_vectors.load(name)
    collected = await collect(
        vector.store, vector.subject, children=True, elsewhere=vector.elsewhere
    )

    found = derive(collected, trust_vectors.trust(_foreign(vector)), Wanted())

    assert {fact.verdict for fact in found.facts} <= {
        Verdict.NO_ANCHOR, Verdict.UNSIGNED, Verdict.UNREADABLE, Verdict.FAILED
    }  # fmt: skip


async def findings(vector: Vector) -> Findings:
    collected = await collect(
        vector.store, vector.subject, children=True, elsewhere=vector.elsewhere
    )
    return derive(collected, vector.trust, Wanted())


def _foreign(vector: Vector) -> str:
    """The name of a key that signed nothing there; its kind is that of most signers."""
    return "other" if "other" not in vector.keys else "p384"


def _unmatched(
    facts: Iterable[Fact], expected: Iterable[Expected]
) -> tuple[list[Expected], list[Fact]]:
    """What was expected and is not there, and what is there unexpectedly."""
    missing, left = [], list(facts)
    for each in expected:
        match = next((fact for fact in left if _is(fact, each)), None)
        if match is None:
            missing.append(each)
        else:
            left.remove(match)
    return missing, left


def _is(fact: Fact, expected: Expected) -> bool:
    return (
        fact.subject == expected.subject
        and fact.format == expected.format
        and expected.kind in {None, fact.kind}
        and fact.verdict == expected.verdict
        and fact.principal == expected.by
        and expected.predicate_type in {None, fact.predicate_type}
        and expected.annotations in (None, fact.annotations)
        and expected.reference in {None, fact.reference}
        and bool(fact.elsewhere) == expected.elsewhere
        and expected.logged in {None, fact.logged}
        and expected.clocks in {None, frozenset(time.clock for time in fact.times)}
    )
