"""What holds of every decision: less evidence never allows, strangers change nothing, and an answer
lasts until it says."""

import os
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from policies import (
    CRITICAL,
    DAY,
    HOUR,
    IMAGE,
    NOW,
    PARENT,
    SUBJECT,
    TRUST,
    anchor,
    attestation,
    digest,
    fact,
    policy,
    rule,
    scan,
    signatures,
    time,
)
from references import SPELLINGS
from retinue.attest.anchors import Trust
from retinue.cli.judging import image_of
from retinue.oci.platform import Platform
from retinue.oci.reference import parse
from retinue.papers.facts import Claim, Fact, Findings, Verdict
from retinue.papers.kinds import Kind
from retinue.papers.revocations import Revocation as Entry
from retinue.papers.revocations import Revocations
from retinue.policy.decide import decide
from retinue.policy.decision import Decision, Operation, Request
from retinue.policy.globs import Glob, parse_image
from retinue.policy.model import (
    Attestation,
    Condition,
    Coverage,
    Mode,
    Policy,
    Revocation,
    Rule,
    Select,
    Tags,
    Unmatched,
)
from retinue.policy.schemas import Schema

SIGNERS = ("ci", "release", "security")
CHILD = digest("child")
SUBJECTS = (SUBJECT, PARENT, CHILD)
HOURS = st.integers(-72, 72).map(lambda n: NOW + n * HOUR)
MAYBE = st.none() | HOURS
DEMAND = Schema({"required": ["scanner"]}, "vuln.json")
WHOLES: tuple[dict[str, Claim], ...] = (
    {},  # could not be read
    {DEMAND.name: ()},
    {DEMAND.name: ("is wrong",)},
)


@st.composite
def anchors(draw: st.DrawFn) -> Trust:
    made = []
    for name in SIGNERS:
        since, until = draw(MAYBE), draw(MAYBE)
        revoked = draw(MAYBE)
        window = {"since": since, "until": until, "revoked": revoked}
        made.append(anchor(name, "b*", **window, compromised=draw(st.booleans())))
    return Trust(tuple(made), TRUST.times)


@st.composite
def evidence(draw: st.DrawFn, signers: tuple[str, ...] = SIGNERS) -> Fact:
    signer = draw(st.sampled_from(signers))
    kind = draw(
        st.sampled_from((Kind.SIGNATURE, Kind.SIGNATURE, Kind.VULNERABILITIES, Kind.TAG_STATEMENT))
    )
    times = tuple(time(at) for at in draw(st.lists(HOURS, max_size=2)))
    name = f"{draw(st.integers(0, 9))} {kind} {signer}"
    subject = draw(st.sampled_from(SUBJECTS))
    common: dict[str, Any] = {
        "subject": subject,
        "times": times,
        "expires": draw(st.none() | st.none() | HOURS),
        "not_after": draw(st.none() | st.none() | HOURS),
        "paper": digest(f"{name} {draw(st.integers(0, 3))}"),
        "signature": f"{name} {subject}",
    }
    if kind is Kind.VULNERABILITIES:
        common["claims"] = {CRITICAL: draw(st.integers(0, 1)), **draw(st.sampled_from(WHOLES))}
        return scan(signer, **common)
    if kind is Kind.TAG_STATEMENT:
        claims = {
            "tag": "v1",
            "tag.time": draw(HOURS).isoformat(),
            "tag.expires": draw(HOURS).isoformat(),
        }
        return fact(signer, kind=kind, claims=claims, **common)
    annotations = draw(st.sampled_from(({}, {"tag": "v1"})))
    return fact(signer, annotations=annotations, **common)


@st.composite
def attestations(draw: st.DrawFn, selects: tuple[Select, ...]) -> Attestation:
    return attestation(
        by=tuple(draw(st.sets(st.sampled_from(SIGNERS), min_size=1))),
        select=draw(st.sampled_from(selects)),
        max_age=draw(st.sampled_from((None, DAY, 3 * DAY))),
        where=draw(st.sampled_from(((), (Condition(CRITICAL, "==", 0),)))),
        demands=draw(st.sampled_from(((), (), (DEMAND,)))),
    )


@st.composite
def rules(draw: st.DrawFn, name: str, selects: tuple[Select, ...], tags: tuple[Tags, ...]) -> Rule:
    of = draw(st.lists(st.sampled_from(SIGNERS), min_size=1, unique=True))
    return rule(
        name,
        mode=draw(st.sampled_from((Mode.ENFORCE, Mode.ENFORCE, Mode.WARN))),
        index=draw(st.sampled_from(Coverage)),
        tag=draw(st.sampled_from(tags)),
        signatures=signatures(draw(st.integers(1, 2)), *of),
        attestations=tuple(draw(st.lists(attestations(selects), max_size=2))),
    )


@st.composite
def policies(
    draw: st.DrawFn,
    selects: tuple[Select, ...] = tuple(Select),
    tags: tuple[Tags, ...] = tuple(Tags),
) -> Policy:
    count = draw(st.integers(0, 2))
    terms = Revocation(("security",), own=True, list="list", max_age=2 * DAY)
    return policy(
        *(draw(rules(f"r{i}", selects, tags)) for i in range(count)),
        unmatched=draw(st.sampled_from(Unmatched)),
        trust=draw(anchors()),
        deny=draw(st.sampled_from(({}, {}, {PARENT: "bad"}, {SUBJECT: "bad"}))),
        revocation=draw(st.sampled_from((None, terms))),
    )


@st.composite
def lists(draw: st.DrawFn) -> Revocations | None:
    if draw(st.integers(0, 4)) == 0:
        return None
    entries = draw(
        st.lists(
            st.builds(
                Entry,
                st.sampled_from([f"key:{name}" for name in SIGNERS]),
                st.just("gone"),
                st.sampled_from((None, *SUBJECTS)),
                before=MAYBE,
                compromise=st.booleans(),
            ),
            max_size=1,
        )
    )
    issued, expires = NOW - draw(st.integers(0, 40)) * HOUR, NOW + draw(st.integers(1, 40)) * HOUR
    signed = draw(st.none() | evidence(("security",)))
    return Revocations("list", 7, issued, expires, tuple(entries), "sha256:1", signed=signed)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    return Request(
        IMAGE,
        SUBJECT,
        Operation.PULL,
        tag=draw(st.sampled_from((None, "v1"))),
        parents=draw(st.sampled_from(({}, {PARENT: 1}, {PARENT: 5}))),
        children=draw(st.sampled_from(({}, {CHILD: Platform("linux", "amd64")}))),
    )


EXAMPLES = settings(deadline=None, max_examples=int(os.environ.get("POLICY_EXAMPLES", "25")))
FACTS = st.lists(evidence(), max_size=8)
NO_ADVERSE = policies((Select.ANY,), (Tags.IGNORE,))


def answer(
    by: Policy,
    facts: list[Fact],
    listed: Revocations | None,
    asked: Request,
    *,
    blind: bool = False,
    now: datetime = NOW,
) -> Decision:
    ways = {"referrers": "answered 500"} if blind else {}
    return decide(by, Findings(tuple(facts), ways), listed, asked, now)


@EXAMPLES
@given(NO_ADVERSE, FACTS, lists(), requests(), st.data())
def test_without_a_paper_that_no_adverse_rule_reads_nothing_becomes_allowed(
    by: Policy, facts: list[Fact], listed: Revocations | None, asked: Request, data: st.DataObject
) -> None:
    kept = data.draw(st.lists(st.sampled_from(facts), unique_by=id) if facts else st.just([]))
    if answer(by, kept, listed, asked).allowed:
        assert answer(by, facts, listed, asked).allowed


@EXAMPLES
@given(st.sampled_from(sorted(SPELLINGS)), st.data(), FACTS, st.booleans())
def test_two_references_to_one_repository_get_the_same_decision(
    place: str, data: st.DataObject, facts: list[Fact], excepted: bool
) -> None:
    glob = parse_image(data.draw(st.sampled_from((place, f"{place[:-1]}*", f"**{place[-3:]}"))))
    images, but = ((Glob("**"),), (glob,)) if excepted else ((glob,), ())
    asking = rule(images=images, excepted=but, signatures=signatures())
    by = policy(asking, unmatched=Unmatched.ALLOW)
    one, other = (data.draw(st.sampled_from(SPELLINGS[place])) for _ in range(2))

    asked = [Request(image_of(parse(each)), SUBJECT, Operation.PULL) for each in (one, other)]

    assert answer(by, facts, None, asked[0]) == answer(by, facts, None, asked[1])
    assert answer(by, [], None, asked[0]).allowed is excepted


@EXAMPLES
@given(policies(), FACTS, lists(), requests(), st.data())
def test_blinding_never_allows(
    by: Policy, facts: list[Fact], listed: Revocations | None, asked: Request, data: st.DataObject
) -> None:
    kept = data.draw(st.lists(st.sampled_from(facts), unique_by=id) if facts else st.just([]))

    blinded = answer(by, kept, listed, asked, blind=True)

    if blinded.allowed:
        assert answer(by, facts, listed, asked).allowed


@EXAMPLES
@given(NO_ADVERSE, FACTS, lists(), requests(), st.data())
def test_a_paper_that_no_longer_verifies_never_allows(
    by: Policy, facts: list[Fact], listed: Revocations | None, asked: Request, data: st.DataObject
) -> None:
    worse = [
        replace(each, verdict=data.draw(st.sampled_from(Verdict)), times=each.times)
        for each in facts
    ]

    if answer(by, worse, listed, asked).allowed:
        assert answer(by, facts, listed, asked).allowed


STRANGERS = st.lists(
    evidence(("mallory",)).map(
        lambda each: replace(each, anchors=(), signature=f"stranger {each.signature}")
    )
    | evidence().map(lambda each: replace(each, verdict=Verdict.FAILED))
    | evidence().map(lambda each: replace(each, verdict=Verdict.UNREADABLE, kind=Kind.OTHER))
    | evidence().map(lambda each: replace(each, verdict=Verdict.NO_ANCHOR, kind=Kind.REVOCATION))
    | evidence().map(
        lambda each: replace(each, elsewhere="reg.mallory/papers", signature="elsewhere")
    ),
    max_size=5,
)


@EXAMPLES
@given(policies(), FACTS, STRANGERS, lists(), requests(), st.booleans())
def test_papers_of_strangers_change_nothing(
    by: Policy,
    facts: list[Fact],
    strange: list[Fact],
    listed: Revocations | None,
    asked: Request,
    blind: bool,
) -> None:
    without = answer(by, facts, listed, asked, blind=blind)
    withal = answer(by, [*strange, *facts], listed, asked, blind=blind)

    assert (withal.allowed, withal.undecided) == (without.allowed, without.undecided)
    if withal.valid_until is not None and without.valid_until is not None:
        assert withal.valid_until == without.valid_until


@EXAMPLES
@given(policies(), FACTS, lists(), requests(), st.data())
def test_attaching_again_what_is_there_refuses_nothing(
    by: Policy, facts: list[Fact], listed: Revocations | None, asked: Request, data: st.DataObject
) -> None:
    again = [
        replace(
            each,
            paper=digest(f"again {i}"),
            times=data.draw(st.sampled_from(((), each.times, (*each.times, time(NOW + 99 * DAY))))),
        )
        for i, each in enumerate(facts)
        if data.draw(st.booleans())
    ]

    if answer(by, facts, listed, asked).allowed:
        assert answer(by, [*facts, *again], listed, asked).allowed


@EXAMPLES
@given(policies(), FACTS, lists(), requests(), st.booleans(), st.floats(0, 1))
def test_an_answer_lasts_until_it_says(
    by: Policy,
    facts: list[Fact],
    listed: Revocations | None,
    asked: Request,
    blind: bool,
    part: float,
) -> None:
    first = answer(by, facts, listed, asked, blind=blind)
    end = first.valid_until or NOW + 400 * DAY
    later = NOW + part * (end - NOW - timedelta(microseconds=1))

    second = answer(by, facts, listed, asked, blind=blind, now=later)

    assert (second.allowed, second.undecided) == (first.allowed, first.undecided)
    assert second.valid_until == first.valid_until


@EXAMPLES
@given(policies(), FACTS, lists(), requests())
def test_and_then_it_changes(
    by: Policy, facts: list[Fact], listed: Revocations | None, asked: Request
) -> None:
    first = answer(by, facts, listed, asked)

    if first.valid_until is not None:
        second = answer(by, facts, listed, asked, now=first.valid_until)
        assert (second.allowed, second.undecided) != (first.allowed, first.undecided)


@EXAMPLES
@given(
    policies(),
    FACTS.flatmap(lambda facts: st.tuples(st.just(facts), st.permutations(facts))),
    lists(),
    requests(),
)
def test_the_order_of_facts_does_not_matter(
    by: Policy,
    facts: tuple[list[Fact], list[Fact]],
    listed: Revocations | None,
    asked: Request,
) -> None:
    one, other = facts

    assert answer(by, one, listed, asked) == answer(by, other, listed, asked)


@EXAMPLES
@given(policies(), FACTS, lists(), requests(), st.booleans())
def test_a_denied_digest_is_never_allowed_and_every_paper_is_traced(
    by: Policy, facts: list[Fact], listed: Revocations | None, asked: Request, blind: bool
) -> None:
    decision = answer(by, facts, listed, asked, blind=blind)

    assert not (decision.allowed and SUBJECT in by.deny)
    assert {each.paper for each in facts} <= {reason.paper for reason in decision.reasons}
    assert not (decision.allowed and decision.undecided)
