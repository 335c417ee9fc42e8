"""Papers in an OCI layout: attached, appended, revoked and found as in a registry."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from builders import blobs_of
from paperkit import CREATED, IMAGE, signature, signer, trusting
from retinue.attest.sign import sign_simple, sign_statement
from retinue.attest.target import Target
from retinue.client.layout_folder import LayoutFolder, open_layout
from retinue.oci.links import Way
from retinue.papers.append import append_signature
from retinue.papers.attach import attach_bundle, put
from retinue.papers.collect import collect
from retinue.papers.facts import Wanted
from retinue.papers.judge import derive
from retinue.papers.revocationlist import Seen, next_version, verify_list
from retinue.papers.revocations import Revocation
from retinue.papers.revoke import fetch_list, publish_list
from retinue.papers.ways.making import Made

NAME = "reg.acme/trust/revocations"


@pytest.fixture
async def layout(tmp_path: Path) -> AsyncIterator[LayoutFolder]:
    async with open_layout(tmp_path / "layout", make=True) as opened:
        await put(opened, Made(IMAGE, blobs_of()))
        await opened.put_tag("1", IMAGE.digest)
        yield opened


async def pause(_: int) -> None:
    return


async def ways(layout: LayoutFolder, *keys: str) -> set[tuple[str | None, Way]]:
    collected = await collect(layout, IMAGE)
    assert collected.blind == {}
    facts = derive(collected, trusting(*keys), Wanted()).facts
    return {(fact.principal, fact.way) for fact in facts}


async def test_a_bundle_and_a_signature_at_a_tag_are_found(layout: LayoutFolder) -> None:
    await attach_bundle(layout, IMAGE, signature("ci"), created=CREATED)
    target = Target(IMAGE.digest, IMAGE.media_type, IMAGE.raw)
    for name in ("release", "third"):
        signed = sign_simple(target, "app", {}, signer(name))
        await append_signature(layout, IMAGE, signed, pause=pause)
    assert await ways(layout, "ci", "release", "third") == {
        ("key:ci", Way.REFERRERS),
        ("key:release", Way.COSIGN),
        ("key:third", Way.COSIGN),
    }


async def test_signing_again_changes_nothing(layout: LayoutFolder) -> None:
    trust = trusting("ci")
    await attach_bundle(layout, IMAGE, signature("ci"), created=CREATED, signer=trust)
    again = await attach_bundle(layout, IMAGE, signature("ci"), created=CREATED, signer=trust)
    assert not again.new
    assert await ways(layout, "ci") == {("key:ci", Way.REFERRERS)}


class Remembered(dict[str, Seen]):
    def seen(self, name: str) -> Seen | None:
        return self.get(name)

    def remember(self, name: str, seen: Seen) -> None:
        self[name] = seen


async def test_a_revocation_list_can_be_in_a_layout(layout: LayoutFolder) -> None:
    verify = partial(verify_list, name=NAME, revokers=trusting("boss"))
    entry = Revocation("key:ci", "lost")
    statement = next_version(
        NAME, None, add=[entry], issued=CREATED, expires=CREATED + timedelta(days=1)
    )
    await publish_list(layout, NAME, sign_statement(statement, signer("boss")), CREATED)
    found = await fetch_list(layout, NAME, verify, Remembered())
    assert found is not None
    assert found.entries == (entry,)
