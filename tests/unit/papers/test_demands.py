"""What is demanded of a whole predicate is found out when it is read: of papers that it is about."""

import json
from typing import Any

from builders import artifact, describe
from paperkit import IMAGE, attestation, stored, trusting
from retinue.attest.statement import Statement
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.papers.attach import put
from retinue.papers.collect import collect
from retinue.papers.facts import Claim, Wanted
from retinue.papers.judge import derive
from retinue.papers.kinds import Kind
from retinue.papers.ways.making import Made

TYPE = "https://test/type"


class Empty:
    """Wants a predicate that is empty; counts how often it was asked."""

    name = "empty"

    def __init__(self) -> None:
        self.asked = 0

    def against(self, statement: Statement, predicate: Any) -> tuple[str, ...]:
        self.asked += 1
        assert json.loads(statement.predicate) == predicate
        return () if predicate == {} else ("is not empty",)


def about(kind: Kind, predicate_type: str | None) -> bool:
    return (kind, predicate_type) == (Kind.ATTESTATION, TYPE)


async def claim(predicate: bytes, wanted: Wanted, predicate_type: str = TYPE) -> Claim:
    bundle = attestation("ci", predicate, predicate_type)
    store = await stored()
    made = artifact(IMAGE, layers=[describe(bundle, names.BUNDLE)])
    await put(store, Made(made, {digests.of(bundle): bundle}))
    (fact,) = derive(await collect(store, IMAGE), trusting("ci"), wanted).facts
    return fact.claims.get(Empty.name)


async def test_what_satisfies_a_demand_claims_nothing_against_it() -> None:
    assert await claim(b"{}", Wanted(demands=((about, Empty()),))) == ()


async def test_what_does_not_says_why() -> None:
    assert await claim(b'{"a":1}', Wanted(demands=((about, Empty()),))) == ("is not empty",)


async def test_papers_of_other_types_are_not_looked_into() -> None:
    demand = Empty()

    assert await claim(b"{}", Wanted(demands=((about, demand),)), "https://test/other") is None
    assert demand.asked == 0


async def test_what_two_rules_demand_is_found_out_once() -> None:
    demand = Empty()

    assert await claim(b"{}", Wanted(demands=((about, demand), (about, demand)))) == ()
    assert demand.asked == 1


async def test_a_predicate_that_readers_may_understand_differently_claims_nothing() -> None:
    demand = Empty()

    assert await claim(b'{"a":1,"a":2}', Wanted(demands=((about, demand),))) is None
    assert demand.asked == 0
