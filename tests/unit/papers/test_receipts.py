"""Receipts: a registry's time stamps join the signatures that they are about."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from paperkit import CREATED, IMAGE, signature, signer, stored, trusting
from retinue.attest.anchors import TimeAnchor, Trust
from retinue.attest.formats.bundle import read_bundle
from retinue.attest.proof import Clock
from retinue.attest.sign import sign_simple
from retinue.attest.target import Target
from retinue.attest.timestamp import request
from retinue.devstack.stamps import stamp
from retinue.devstack.state import State, open_state
from retinue.oci.memory import MemoryStore
from retinue.papers.append import append_signature
from retinue.papers.attach import attach_bundle, attach_receipt, put
from retinue.papers.collect import collect
from retinue.papers.facts import Fact, Verdict, Wanted
from retinue.papers.judge import derive
from retinue.papers.kinds import Kind
from retinue.papers.proving import signatures_in
from retinue.papers.receipts import times_of
from retinue.papers.ways.artifact import name_of, receipt_paper
from retinue.papers.ways.part import Form

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> State:
    return open_state(tmp_path_factory.mktemp("stack") / "state", NOW - timedelta(days=1))


def trust_with(authority: State) -> Trust:
    chain = (authority.time.certificate, authority.time_root.certificate)
    return Trust(trusting("ci").anchors, (TimeAnchor("receipts", chain),))


def token_over(authority: State, data: bytes, at: datetime = NOW) -> bytes:
    return stamp(authority, request(data), at)


def bytes_of(bundle: bytes) -> bytes:
    envelope = read_bundle(bundle).envelope
    assert envelope is not None
    return envelope.signatures[0]


async def judged(store: MemoryStore, trust: Trust) -> dict[Kind, list[Fact]]:
    collected = await collect(store, IMAGE, receipts=True)
    found: dict[Kind, list[Fact]] = {}
    for fact in derive(collected, trust, Wanted()).facts:
        found.setdefault(fact.kind, []).append(fact)
    return found


async def test_a_receipt_of_a_bundle_adds_a_time(authority: State) -> None:
    store, bundle = await stored(), signature("ci")
    paper = await attach_bundle(store, IMAGE, bundle, created=CREATED)
    token = token_over(authority, bytes_of(bundle))
    manifest = store.content[paper.digest]
    receipt = await attach_receipt(store, manifest, token, bytes_of(bundle), created=CREATED)
    found = await judged(store, trust_with(authority))
    (signed,) = found[Kind.SIGNATURE]
    assert [(time.at, time.clock, time.authority) for time in signed.times] == [
        (NOW, Clock.RFC3161, "receipts")
    ]
    (told,) = found[Kind.RECEIPT]
    assert (receipt.digest, paper.digest, Verdict.UNSIGNED, None) == (
        told.paper,
        told.subject,
        told.verdict,
        told.principal,
    )


async def test_a_receipt_of_a_signature_at_a_tag_is_attached_to_the_image(
    authority: State,
) -> None:
    store = await stored()
    target = Target(IMAGE.digest, IMAGE.media_type, IMAGE.raw)
    signed = sign_simple(target, "reg.acme/app", {}, signer("ci"))

    async def pause(_: int) -> None:
        return

    await append_signature(store, IMAGE, signed, pause=pause)
    collected = await collect(store, IMAGE)
    (part,) = collected.papers[0].parts
    (data,) = signatures_in(Form.SIMPLE, part.blob, signed.payload)
    await attach_receipt(store, IMAGE, token_over(authority, data), data, created=CREATED)
    (fact,) = (await judged(store, trust_with(authority)))[Kind.SIGNATURE]
    assert [time.at for time in fact.times] == [NOW]


async def test_a_receipt_by_nobody_we_trust_adds_nothing(authority: State, tmp_path: Path) -> None:
    store, bundle = await stored(), signature("ci")
    paper = await attach_bundle(store, IMAGE, bundle, created=CREATED)
    stranger = open_state(tmp_path / "state", NOW - timedelta(days=1))
    token = token_over(stranger, bytes_of(bundle))
    await attach_receipt(
        store, store.content[paper.digest], token, bytes_of(bundle), created=CREATED
    )
    (fact,) = (await judged(store, trust_with(authority)))[Kind.SIGNATURE]
    assert (fact.times, fact.verdict) == ((), Verdict.VERIFIED)


async def test_a_receipt_of_another_signature_adds_nothing(authority: State) -> None:
    store, bundle = await stored(), signature("ci")
    paper = await attach_bundle(store, IMAGE, bundle, created=CREATED)
    token = token_over(authority, b"another signature")
    made = receipt_paper(store.content[paper.digest], token, bytes_of(bundle), CREATED)
    await put(store, made)
    (fact,) = (await judged(store, trust_with(authority)))[Kind.SIGNATURE]
    assert fact.times == ()


async def test_junk_is_no_receipt(authority: State) -> None:
    store, bundle = await stored(), signature("ci")
    paper = await attach_bundle(store, IMAGE, bundle, created=CREATED)
    await attach_receipt(
        store, store.content[paper.digest], b"junk", bytes_of(bundle), created=CREATED
    )
    (fact,) = (await judged(store, trust_with(authority)))[Kind.SIGNATURE]
    assert fact.times == ()


def test_a_time_outside_of_the_certificates_is_left_out(authority: State) -> None:
    receipts = {name_of(b"s"): [token_over(authority, b"s")]}
    trust = trust_with(authority)
    hour = timedelta(hours=1)
    assert len(times_of([b"s"], receipts, trust, (NOW - hour, NOW + hour))) == 1
    assert times_of([b"s"], receipts, trust, (NOW + hour, None)) == ()
    assert times_of([b"s"], receipts, trust, (None, NOW - hour)) == ()
