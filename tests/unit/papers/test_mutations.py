"""Whatever becomes of the bytes of real papers: no error escapes, and nothing new is proven."""

import asyncio
from functools import cache
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import trust_vectors
from retinue.attest.anchors import Trust
from retinue.papers.collect import collect
from retinue.papers.collected import Collected
from retinue.papers.facts import Verdict, Wanted
from retinue.papers.judge import derive

PIECES = (b"null", b"[]", b"{}", b'"', b"\\", b"-1", b"1e999", b"\xff", b"\x00", b"[[", b"A" * 50)


@cache
def vector(name: str) -> tuple[Collected, Trust]:
    found = trust_vectors.load(name)
    collected = asyncio.run(
        collect(found.store, found.subject, children=True, elsewhere=found.elsewhere)
    )
    return collected, found.trust


@cache
def proven(name: str) -> frozenset[object]:
    return _proven(*vector(name))


def _proven(collected: Collected, trust: Trust) -> frozenset[object]:
    """What was established, by whom."""
    facts = derive(collected, trust, Wanted(frozenset({"/a"}))).facts
    return frozenset(
        (fact.signature, fact.principal, fact.kind, fact.predicate_type, fact.subject)
        for fact in facts
        if fact.verdict is Verdict.VERIFIED
    )


def mutated(data: bytes, random: Random) -> bytes:
    """One change somewhere."""
    at = random.randrange(len(data) + 1)
    upto = at + random.randrange(40)
    changes = (
        data[:at],
        data[:at] + data[upto:],
        data[:at] + random.choice(PIECES) + data[at:],
        data[:at] + bytes([random.randrange(256)]) + data[at + 1 :],
        data[:at] + data[at:upto] * 2 + data[upto:],
    )
    return random.choice(changes)


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(trust_vectors.names()), st.integers(0, 2**32))
def test_a_changed_payload_proves_nothing_new(name: str, seed: int) -> None:
    random = Random(seed)
    collected, trust = vector(name)
    contents = {digest: mutated(bytes(data), random) for digest, data in collected.contents.items()}
    papers = tuple(
        replace(
            paper,
            parts=tuple(
                replace(part, blob=replace(part.blob, size=len(contents[part.blob.digest])))
                if part.blob is not None and part.blob.digest in contents
                else part
                for part in paper.parts
            ),
        )
        for paper in collected.papers
    )
    found = _proven(replace(collected, contents=contents, papers=papers), trust)
    assert found <= proven(name)
