"""Signed tags: a tag is neither re-pointed nor rolled back unseen."""

from datetime import datetime
from typing import Any

import pytest

from policies import DAY, HOUR, IMAGE, NOW, digest, fact, judged, rule, signatures, whys
from retinue.papers.facts import Fact
from retinue.papers.kinds import Kind
from retinue.policy.decision import Outcome
from retinue.policy.model import Tags

OLD = digest("what the tag was before")
SIGNED = rule(signatures=signatures(), tag=Tags.SIGNED)
STATED = rule(signatures=signatures(), tag=Tags.STATEMENT)
BLIND = {"referrers": "the registry answered 500"}


def stated(
    signer: str = "ci",
    tag: str = "v1",
    issued: datetime = NOW - HOUR,
    expires: datetime = NOW + DAY,
    **more: Any,
) -> Fact:
    claims = {
        "tag": tag,
        "tag.time": issued.isoformat(),
        "tag.expires": expires.isoformat(),
        **more.pop("claims", {}),
    }
    return fact(signer, kind=Kind.TAG_STATEMENT, claims=claims, **more)


def test_by_digest_the_tag_does_not_matter_and_that_is_recorded() -> None:
    decision = judged(SIGNED, fact("ci"))

    assert decision.allowed
    assert [r.outcome for r in decision.reasons if r.check == "tag"] == [Outcome.NOT_APPLICABLE]


def test_an_image_without_a_signed_tag_is_refused() -> None:
    assert not judged(SIGNED, fact("ci"), tag="v1").allowed


def test_the_signed_annotation_names_the_tag() -> None:
    annotated = fact("ci", annotations={"tag": "v1"})

    assert judged(SIGNED, annotated, tag="v1").allowed
    assert not judged(SIGNED, annotated, tag="v2").allowed
    assert not judged(STATED, annotated, tag="v1").allowed


@pytest.mark.parametrize("of", [SIGNED, STATED])
def test_a_statement_names_it(of: Any) -> None:
    assert judged(of, fact("ci"), stated(), tag="v1").allowed
    assert not judged(of, fact("ci"), stated(tag="v2"), tag="v1").allowed


def test_one_by_somebody_else_does_not() -> None:
    assert not judged(SIGNED, fact("ci"), stated("security"), tag="v1").allowed


def test_an_expired_one_does_not() -> None:
    expired = stated(expires=NOW)

    assert not judged(STATED, fact("ci"), expired, tag="v1").allowed
    assert judged(STATED, fact("ci"), expired, tag="v1", now=NOW - HOUR).valid_until == NOW


@pytest.mark.parametrize("missing", [{"tag.time": "yesterday"}, {"tag.expires": "2030-01-01"}])
def test_one_without_times_does_not(missing: dict[str, str]) -> None:
    assert not judged(STATED, fact("ci"), stated(claims=missing), tag="v1").allowed


def test_a_re_pointed_tag_is_refused() -> None:
    elsewhere = stated(subject=OLD)

    decision = judged(SIGNED, fact("ci", annotations={"tag": "v1"}), elsewhere, tag="v1")

    assert not decision.allowed
    assert "re-pointed" in whys(decision, "tag")[0]


def test_a_rolled_back_tag_is_refused() -> None:
    moved_on = stated(issued=NOW, subject=digest("newer"))

    assert not judged(STATED, fact("ci"), stated(), moved_on, tag="v1").allowed


def test_a_newer_statement_that_expired_still_says_that_the_tag_moved_on() -> None:
    moved_on = stated(issued=NOW, expires=NOW, subject=digest("newer"))

    assert not judged(STATED, fact("ci"), stated(), moved_on, tag="v1").allowed


def test_older_statements_about_other_images_do_not_matter() -> None:
    before = stated(issued=NOW - DAY, subject=OLD)

    assert judged(STATED, fact("ci"), before, stated(), tag="v1").allowed


def test_of_two_signers_the_newer_statement_rules() -> None:
    old_of_release = stated("release", issued=NOW - DAY, subject=OLD)

    assert judged(STATED, fact("ci"), old_of_release, stated(), tag="v1").allowed
    assert not judged(STATED, fact("ci"), old_of_release, stated(), tag="v1", digest=OLD).allowed


def test_as_many_vouch_for_the_tag_as_must_sign() -> None:
    two = rule(signatures=signatures(2), tag=Tags.SIGNED)
    both = [fact("ci"), fact("release")]

    assert not judged(two, *both, stated("ci"), tag="v1").allowed
    assert judged(two, *both, stated("ci"), stated("release"), tag="v1").allowed
    noted = fact("release", "noted", annotations={"tag": "v1"})
    assert judged(two, *both, stated("ci"), noted, tag="v1").allowed


def test_a_statement_for_another_image_of_the_same_tag_does_not_count() -> None:
    named = stated(claims={"tag.image": "reg.acme/other"})
    right = stated(claims={"tag.image": IMAGE})

    assert not judged(STATED, fact("ci"), named, tag="v1").allowed
    assert judged(STATED, fact("ci"), right, tag="v1").allowed


def test_a_copy_may_keep_the_name_of_its_source() -> None:
    of = signatures(remap={"reg.acme/": "up.io/"})
    named = stated(claims={"tag.image": "up.io/prod/app"})

    assert judged(rule(signatures=of, tag=Tags.STATEMENT), fact("ci"), named, tag="v1").allowed
    assert not judged(STATED, fact("ci"), named, tag="v1").allowed


def test_a_tag_may_name_the_index_of_what_is_judged() -> None:
    of_index = stated(subject=OLD)
    noted = fact("ci", "index", subject=OLD, annotations={"tag": "v1"})

    for vouching, by in ((of_index, STATED), (noted, SIGNED)):
        assert judged(by, fact("ci"), vouching, tag="v1", parents={OLD: 1}).allowed
        assert not judged(by, fact("ci"), vouching, tag="v1").allowed


def test_who_could_not_look_does_not_know_the_newest() -> None:
    decision = judged(SIGNED, fact("ci"), stated(), tag="v1", blind=BLIND)

    assert (decision.allowed, decision.undecided) == (False, True)
