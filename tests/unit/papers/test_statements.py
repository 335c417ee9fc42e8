"""Statements on tags are found from every image that the tag had, and can be taken back there too."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from paperkit import CREATED, IMAGE, OTHER, signer, stored, trusting
from policies import policy, rule, signatures
from retinue.attest.sign import sign_statement, signature_statement
from retinue.oci.manifest import Manifest
from retinue.oci.memory import MemoryStore
from retinue.papers.attach import attach_bundle, attach_bundles
from retinue.papers.collect import collect
from retinue.papers.facts import Findings, Wanted
from retinue.papers.judge import derive
from retinue.papers.predicates import TagStatement
from retinue.papers.revocations import Revocation
from retinue.papers.statements import keep_statement, tag_statement
from retinue.papers.tagplace import keeping_tag, keeps_place, place_of
from retinue.policy.decide import decide
from retinue.policy.decision import Decision, Operation, Request
from retinue.policy.globs import Glob
from retinue.policy.model import Tags
from retinue.policy.rules.tag import places

NAME = "reg.acme/app"
HOUR = timedelta(hours=1)
PLACE = place_of(NAME, "v1").manifest


def statement(subject: Manifest, at: datetime) -> TagStatement:
    return TagStatement(NAME, "v1", subject.digest, at, CREATED + 1000 * HOUR)


async def sign(store: MemoryStore, subject: Manifest, at: datetime) -> list[Any]:
    """Sign an image, and that the tag is there now."""
    said = statement(subject, at)
    texts = [signature_statement(subject.digest, {}), tag_statement(subject, said)]
    bundles = [sign_statement(each, signer("ci")) for each in texts]
    await attach_bundles(store, subject, bundles, created=at, signer=trusting("ci"))
    return list(await keep_statement(store, said, bundles[1], created=at, signer=trusting("ci")))


ASKING = policy(
    rule(images=(Glob("**"),), tag=Tags.STATEMENT, signatures=signatures(1, "ci")),
    trust=trusting("ci"),
)


async def found(store: MemoryStore, subject: Manifest, request: Request) -> Findings:
    collected = await collect(store, subject, parents=places(ASKING, request))
    return derive(collected, ASKING.trust, Wanted())


async def decided(store: MemoryStore, subject: Manifest, **more: Any) -> Decision:
    request = Request(NAME, subject.digest, Operation.PULL, tag="v1")
    findings = await found(store, subject, request)
    return decide(ASKING, Findings(findings.facts, more.get("blind", {})), None, request, CREATED)


async def test_a_newer_statement_on_another_image_is_found() -> None:
    store = await stored()
    await sign(store, OTHER, CREATED - HOUR)
    assert (await decided(store, OTHER)).allowed
    await sign(store, IMAGE, CREATED)
    assert (await decided(store, IMAGE)).allowed
    moved_back = await decided(store, OTHER)
    assert (moved_back.allowed, moved_back.undecided) == (False, False)


async def test_statements_of_one_second_have_an_order() -> None:
    store = await stored()
    await sign(store, OTHER, CREATED - timedelta(microseconds=2))
    await sign(store, IMAGE, CREATED - timedelta(microseconds=1))
    assert (await decided(store, IMAGE)).allowed
    assert not (await decided(store, OTHER)).allowed


async def test_where_the_place_cannot_be_looked_at_it_is_undecided() -> None:
    store = await stored()
    await sign(store, IMAGE, CREATED)
    blind = {f"{PLACE.digest} by referrers": "answered 500"}
    assert (await decided(store, IMAGE, blind=blind)).undecided


async def test_what_was_stated_before_may_go_and_nothing_else() -> None:
    store = await stored()
    assert await sign(store, OTHER, CREATED - HOUR) == []
    later = statement(OTHER, CREATED + HOUR)
    bundle = sign_statement(tag_statement(OTHER, later), signer("ci"))
    strange = sign_statement(
        tag_statement(OTHER, statement(OTHER, CREATED - 2 * HOUR)), signer("stranger")
    )
    for each in (bundle, strange):
        await attach_bundle(store, PLACE, each, created=CREATED)
    (older,) = await sign(store, IMAGE, CREATED)
    facts = derive(await collect(store, PLACE), trusting("ci", "stranger"), Wanted()).facts
    (gone,) = (fact for fact in facts if fact.paper == older)
    assert (gone.principal, gone.claims["tag.digest"]) == ("key:ci", OTHER.digest)
    assert gone.claims["tag.time"] == "2026-06-01T11:00:00Z"


async def test_what_is_revoked_about_an_image_is_revoked_at_the_place_too() -> None:
    store = await stored()
    await sign(store, IMAGE, CREATED)
    facts = derive(await collect(store, PLACE), trusting("ci"), Wanted()).facts
    (fact,) = facts
    assert Revocation("key:ci", "wrong", IMAGE.digest).voids(fact, None)
    assert not Revocation("key:ci", "wrong", OTHER.digest).voids(fact, None)


async def test_the_place_is_kept_by_a_tag() -> None:
    store = await stored()
    await sign(store, IMAGE, CREATED)
    tags = [tag async for tag in store.tags()]
    assert tags == [keeping_tag(PLACE.digest)]
    assert keeps_place(tags[0])
    assert not keeps_place("statements-1")


@pytest.mark.parametrize(
    ("tag", "rules", "wanted"),
    [
        ("v1", {"tag": Tags.SIGNED}, [NAME]),
        ("v1", {"tag": Tags.IGNORE}, []),
        (None, {"tag": Tags.SIGNED}, []),
        ("v1", {"tag": Tags.SIGNED, "remap": {"reg.acme/": "up.io/"}}, ["up.io/app"]),
    ],
)
def test_places_are_looked_for_where_a_rule_asks(
    tag: str | None, rules: dict[str, Any], wanted: list[str]
) -> None:
    asked = signatures(1, "ci", remap=rules.pop("remap", {}))
    by = policy(rule(images=(Glob("**"),), signatures=asked, **rules))
    request = Request(NAME, IMAGE.digest, Operation.PULL, tag=tag)
    assert [each.digest for each in places(by, request)] == [
        place_of(name, "v1").manifest.digest for name in wanted
    ]
