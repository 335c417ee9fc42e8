"""A signature with a time says more than one without; one that is there can get a time later."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from keylesskit import URL, Local, dev, local, stack_folder, stack_state
from paperkit import CREATED, IMAGE, OTHER, attestation, signature, signer, stored, trusting
from retinue.attest.anchors import Trust
from retinue.attest.formats.bundle import read_bundle
from retinue.attest.formats.simplesigning import SimpleSignature
from retinue.attest.services import LogService, Witnesses
from retinue.attest.sign import sign_simple, signature_statement
from retinue.attest.target import Target
from retinue.attest.witnessed import sign_simple as sign_simple_witnessed
from retinue.attest.witnessed import sign_statement
from retinue.attest.witnessing import is_stamp, receipt
from retinue.oci.digest import Digest
from retinue.oci.memory import MemoryStore
from retinue.papers.append import append_signature
from retinue.papers.attach import attach_bundle, attach_receipt
from retinue.papers.collect import collect
from retinue.papers.stamping import Signatures, signatures_of
from retinue.papers.ways.artifact import name_of

__all__ = ["dev", "stack_folder", "stack_state"]

STAMP = f"{URL}/api/v1/timestamp"
LOG = LogService(URL, 1)
TARGET = Target(IMAGE.digest, IMAGE.media_type, IMAGE.raw)

Material = Mapping[str, Any]


async def pause(_: int) -> None:
    await asyncio.sleep(0)


def rooted(dev: Local) -> Trust:
    return replace(trusting("ci"), roots=(dev.root,))


def bundle(dev: Local, witnesses: Witnesses) -> bytes:
    said = signature_statement(IMAGE.digest, {})
    return sign_statement(said, signer("ci"), witnesses, send=dev.send)


def layer(dev: Local, witnesses: Witnesses) -> SimpleSignature:
    return sign_simple_witnessed(TARGET, "app", {}, signer("ci"), witnesses, send=dev.send)


CLOCK, LOGGED = Witnesses((STAMP,)), Witnesses((), (LOG,))
BOTH = Witnesses((STAMP,), (LOG,))
STEPS = [
    ((Witnesses(), CLOCK, CLOCK), [True, True, False]),
    ((CLOCK, LOGGED, BOTH), [True, True, True]),
    ((BOTH, CLOCK, LOGGED, Witnesses()), [True, False, False, False]),
]


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize(("steps", "new"), STEPS)
async def test_a_bundle_is_attached_where_it_says_more(
    dev: Local, steps: tuple[Witnesses, ...], new: list[bool], root: bool
) -> None:
    store = await stored()
    trust = rooted(dev) if root else trusting("ci")

    done = [
        await attach_bundle(store, IMAGE, bundle(dev, step), created=CREATED, signer=trust)
        for step in steps
    ]

    assert [attached.new for attached in done] == new
    assert {attached.replaced for attached in done} == {()}


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize(("steps", "new"), STEPS)
async def test_a_layer_is_appended_where_it_says_more(
    dev: Local, steps: tuple[Witnesses, ...], new: list[bool], root: bool
) -> None:
    store = await stored()
    trust = rooted(dev) if root else trusting("ci")

    done = [
        await append_signature(store, IMAGE, layer(dev, step), pause=pause, signer=trust)
        for step in steps
    ]

    assert [attached.new for attached in done] == new


async def test_what_a_stranger_stamped_is_no_reason_not_to_have_it_stamped(
    dev: Local, tmp_path: Path
) -> None:
    """With a root, that is; without one nobody can tell."""
    store, foreign = await stored(), local(tmp_path)
    await attach_bundle(store, IMAGE, bundle(foreign, CLOCK), created=CREATED)
    foreign.stack.close()

    trust = rooted(dev)
    ours = await attach_bundle(store, IMAGE, bundle(dev, CLOCK), created=CREATED, signer=trust)

    assert ours.new


def bytes_of(raw: bytes) -> bytes:
    envelope = read_bundle(raw).envelope
    assert envelope is not None
    return envelope.signatures[0]


async def there(store: MemoryStore, subject: Digest = IMAGE.digest) -> Signatures:
    collected = await collect(store, IMAGE, receipts=True)
    return signatures_of(collected, subject, lambda token, data: is_stamp(token, data, root=None))


async def test_every_signature_can_be_stamped_once(dev: Local) -> None:
    store = await stored()
    for each in (signature("ci"), signature("stranger"), attestation("ci")):
        await attach_bundle(store, IMAGE, each, created=CREATED)
    before = await there(store)

    for place, data in before.unstamped.values():
        token = receipt(data, STAMP, None, dev.send)
        await attach_receipt(store, place, token, data, created=CREATED)
    after = await there(store)

    assert (len(before.unstamped), before.stamped) == (3, frozenset())
    assert (after.unstamped, after.stamped) == ({}, frozenset(before.unstamped))


async def test_a_receipt_of_a_referrer_is_attached_to_it_and_of_a_layer_to_the_image() -> None:
    store = await stored()
    paper = await attach_bundle(store, IMAGE, signature("ci"), created=CREATED)
    await append_signature(store, IMAGE, sign_simple(TARGET, "app", {}, signer("ci")), pause=pause)

    found = await there(store)

    places = [place.digest for place, _ in found.unstamped.values()]
    assert sorted(places) == sorted([paper.digest, IMAGE.digest])


async def test_a_receipt_of_something_else_does_not_count(dev: Local) -> None:
    store = await stored()
    raw = signature("ci")
    paper = await attach_bundle(store, IMAGE, raw, created=CREATED)
    token = receipt(b"something else", STAMP, None, dev.send)
    await attach_receipt(store, store.content[paper.digest], token, bytes_of(raw), created=CREATED)

    found = await there(store)

    assert list(found.unstamped) == [name_of(bytes_of(raw))]


async def test_one_signature_in_two_papers_is_stamped_once() -> None:
    store = await stored()
    raw = signature("ci")
    await attach_bundle(store, IMAGE, raw, created=CREATED)
    await attach_bundle(store, IMAGE, raw, created=CREATED, annotations={"a": "b"})

    assert len((await there(store)).unstamped) == 1


async def test_what_is_about_others_or_cannot_be_read_is_not_stamped() -> None:
    store = await stored()
    paper = await attach_bundle(store, IMAGE, signature("ci"), created=CREATED)
    store.blobs[store.content[paper.digest].blobs[1].digest] = b"{"

    assert (await there(store)).unstamped == {}
    assert (await there(store, OTHER.digest)).unstamped == {}
