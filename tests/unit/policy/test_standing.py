"""Whatever a signature decides passes the same check: windows, compromise, clocks, places."""

from typing import Any

import pytest
from msgspec.structs import replace

from policies import (
    DAY,
    HOUR,
    NOW,
    TRUST,
    anchor,
    fact,
    judged,
    policy,
    rule,
    signatures,
    time,
    whys,
)
from retinue.attest.anchors import AnchorKey, KeyAnchor, Trust
from retinue.papers.facts import Fact
from retinue.papers.kinds import Kind
from retinue.papers.revocations import Revocation as Entry
from retinue.papers.revocations import Revocations
from retinue.policy.model import Policy, Revocation
from retinue.policy.rules.revocation import objection_to

LIST = Revocation(("security",), list="reg.acme/trust")
PAPERS = Revocation(("security",), own=True)
COMPROMISED: dict[str, Any] = {"revoked": NOW - DAY, "compromised": True}
SUPERSEDED: dict[str, Any] = {"revoked": NOW - DAY}
ENDED: dict[str, Any] = {"until": NOW - DAY}
DEAD = [COMPROMISED, SUPERSEDED, ENDED, {"since": NOW + DAY}]


def terms(revoking: Revocation, window: dict[str, Any], **more: Any) -> Policy:
    """A policy whose revoker's key has a window."""
    trust = Trust((anchor("ci"), anchor("release"), anchor("security", **window)), TRUST.times)
    asked = rule(signatures=signatures(1, "ci", "release"), **more)
    return policy(asked, trust=trust, revocation=revoking)


def listing(*entries: Entry, **more: Any) -> Revocations:
    return Revocations(
        "reg.acme/trust", 2, NOW - HOUR, NOW + DAY, entries, "sha256:2",
        signed=fact("security", "list", kind=Kind.REVOCATION, **more),
    )  # fmt: skip


def revoking(by: str, of: str = "key:ci", **more: Any) -> Fact:
    claims = {"revokes.signer": of, "revokes.reason": "withdrawn"}
    return fact(by, kind=Kind.REVOCATION, claims=claims, **more)


@pytest.mark.parametrize("window", DEAD)
def test_a_list_that_a_dead_key_signed_is_none(window: dict[str, Any]) -> None:
    """A stolen key would else sign the next version without the entries."""
    by = terms(LIST, window)

    decision = judged(by, fact("ci"), revocations=listing())

    assert (decision.allowed, decision.undecided) == (False, True)
    assert "its key" in whys(decision, "revocation list")[0]
    assert objection_to(by, listing(), NOW) is not None
    assert objection_to(terms(LIST, {}), listing(), NOW) is None


def test_a_list_that_nobody_verified_is_none() -> None:
    unread = replace(listing(), signed=None)

    assert judged(terms(LIST, {}), fact("ci"), revocations=unread).undecided
    assert objection_to(terms(LIST, {}), unread, NOW) is not None


def test_a_list_by_somebody_who_is_no_revoker_is_none() -> None:
    foreign = replace(listing(), signed=fact("ci", "list"))

    assert judged(terms(LIST, {}), fact("ci"), revocations=foreign).undecided


@pytest.mark.parametrize(("clocks", "allowed"), [(None, True), (frozenset({"tlog"}), False)])
def test_a_list_is_as_old_as_clocks_say_that_the_rule_believes(
    clocks: frozenset[str] | None, allowed: bool
) -> None:
    stamped = listing(at=NOW - 2 * DAY)
    by = terms(LIST, COMPROMISED, trusted_time=clocks)

    assert judged(by, fact("ci"), revocations=stamped).allowed is allowed
    assert (objection_to(by, stamped, NOW) is None) is allowed


def test_a_list_does_not_vouch_for_a_key_that_it_revokes() -> None:
    itself = listing(Entry("key:security", "stolen"))

    assert judged(terms(LIST, {}), fact("ci"), revocations=itself).undecided


def test_when_a_revokers_key_ends_the_answer_ends() -> None:
    decision = judged(terms(LIST, {"until": NOW + HOUR}), fact("ci"), revocations=listing())

    assert decision.allowed
    assert decision.valid_until == NOW + HOUR


@pytest.mark.parametrize("window", DEAD)
def test_a_dead_revoker_blocks_nothing(window: dict[str, Any]) -> None:
    assert not judged(terms(PAPERS, {}), fact("ci"), revoking("security")).allowed
    assert judged(terms(PAPERS, window), fact("ci"), revoking("security")).allowed


def test_a_revocation_counts_where_the_rule_looks_for_papers() -> None:
    paper = revoking("security", elsewhere="reg.acme/others")

    assert judged(terms(PAPERS, {}), fact("ci"), paper).allowed
    there = terms(PAPERS, {}, papers_in=("reg.acme/others",))
    assert not judged(there, fact("ci"), paper).allowed


def test_the_list_can_void_a_revocation() -> None:
    both = Revocation(("security",), own=True, list="reg.acme/trust")
    paper = revoking("release", "key:release")
    listed = listing(Entry(paper.key or "", "stolen", before=NOW - DAY, compromise=True))
    old = fact("release", at=NOW - 2 * DAY)

    assert not judged(terms(both, {}), old, paper, revocations=listing()).allowed
    assert judged(terms(both, {}), old, paper, revocations=listed).allowed


@pytest.mark.parametrize(("window", "allowed"), [({}, False), (COMPROMISED, True), (ENDED, True)])
def test_an_old_key_of_a_signer_takes_nothing_back_once_it_is_dead(
    window: dict[str, Any], allowed: bool
) -> None:
    old = anchor("old", **window).keys[0]
    ci = KeyAnchor(
        "ci",
        (
            *anchor("ci").keys,
            AnchorKey(old.key, old.since, old.until, old.revoked, old.compromised),
        ),
    )
    by = policy(rule(signatures=signatures(1, "ci")), trust=Trust((ci,)), revocation=PAPERS)
    paper = replace(revoking("ci"), key=old.key.fingerprint)

    assert judged(by, fact("ci"), paper).allowed is allowed


class TestClocks:
    """A time that the rule does not believe helps nobody."""

    FOREIGN = time(NOW - 3 * DAY, "another authority")

    @pytest.mark.parametrize("own", [False, True])
    def test_it_lifts_no_compromise(self, own: bool) -> None:
        lost = Entry("key:ci", "stolen", before=NOW - DAY, compromise=True)
        clocks = frozenset({"receipts"})
        stamp = replace(self.FOREIGN, authority="receipts") if own else self.FOREIGN
        by = terms(LIST, {}, trusted_time=clocks)

        decision = judged(by, fact("ci", times=(stamp,)), revocations=listing(lost))

        assert decision.allowed is own

    @pytest.mark.parametrize("own", [False, True])
    def test_it_revives_no_certificate(self, own: bool) -> None:
        stamp = replace(self.FOREIGN, authority="receipts") if own else self.FOREIGN
        signed = fact(
            "ci",
            times=(stamp,),
            not_before=stamp.at - HOUR,
            not_after=stamp.at + HOUR,
            principal="keyless:issuer ada",
        )
        asked = rule(signatures=signatures(), trusted_time=frozenset({"receipts"}))

        assert judged(asked, signed).allowed is own


def test_what_was_signed_after_a_revocation_of_what_was_before_counts() -> None:
    entry = Entry("keyless:issuer ada", "withdrawn", before=NOW - DAY)

    def made(hours: int) -> Fact:
        start = NOW + hours * HOUR
        return fact(
            "ci",
            principal="keyless:issuer ada",
            at=start,
            not_before=start,
            not_after=start + HOUR / 6,
        )

    by = terms(LIST, {})
    assert judged(by, made(-2), revocations=listing(entry)).allowed
    assert not judged(by, made(-48), revocations=listing(entry)).allowed
