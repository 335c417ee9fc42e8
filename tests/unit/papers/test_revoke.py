"""Revocation lists: signed, chained, remembered; and revocation papers."""

from datetime import timedelta
from functools import partial

import pytest
from msgspec.structs import replace

from paperkit import CREATED, IMAGE, OTHER, anchor, facts, signature, signer, stored, trusting
from retinue.attest.anchors import Trust
from retinue.attest.errors import EvidenceError, Malformed
from retinue.attest.sign import sign_statement
from retinue.oci import names
from retinue.oci.memory import MemoryStore
from retinue.oci.stores import TagMoved
from retinue.papers.attach import attach_bundle, put
from retinue.papers.content import Content
from retinue.papers.kinds import Kind
from retinue.papers.revocationlist import (
    ListDisowned,
    ListForked,
    ListLost,
    ListProblem,
    ListRolledBack,
    Seen,
    next_version,
    only,
    read_list,
    verify_list,
)
from retinue.papers.revocations import Revocation, Revocations, entitled, stated
from retinue.papers.revoke import fetch_list, publish_list, revocation_statement
from retinue.papers.ways.bundle import bundle_paper

NAME = "reg.acme/trust/revocations"
WEEK = timedelta(days=7)
BOSS = partial(verify_list, name=NAME, revokers=trusting("boss"))
ENTRY = Revocation("key:ci", "a bad build", IMAGE.digest)


class Remembered(dict[str, Seen]):
    """A client's memory."""

    def seen(self, name: str) -> Seen | None:
        return self.get(name)

    def remember(self, name: str, seen: Seen) -> None:
        self[name] = seen


def signed(previous: Revocations | None = None, *entries: Revocation, by: str = "boss") -> bytes:
    statement = next_version(NAME, previous, add=entries, issued=CREATED, expires=CREATED + WEEK)
    return sign_statement(statement, signer(by))


async def published(store: MemoryStore, *versions: Revocation) -> Revocations:
    """A list with a version for each entry."""
    found = None
    for entry in versions:
        bundle = signed(found, entry)
        await publish_list(store, NAME, bundle, CREATED)
        found = read_list(bundle, NAME)
    assert found is not None
    return found


def entry(number: int) -> Revocation:
    return Revocation("key:ci", f"reason {number}")


async def test_a_list_that_is_published_is_found() -> None:
    store, memory = MemoryStore(), Remembered()
    made = await published(store, ENTRY)
    found = await fetch_list(store, NAME, BOSS, memory)
    assert found is not None
    assert made == replace(found, signed=None)
    assert (found.version, found.entries, found.expires) == (1, (ENTRY,), CREATED + WEEK)
    assert Seen(1, found.fingerprint) == memory.seen(NAME)


async def test_all_of_an_entry_comes_back() -> None:
    full = Revocation(
        "sha256:" + "a" * 64, "lost", IMAGE.digest, "https://x.org/p", "b" * 64, CREATED, True
    )
    found = verify_list(signed(None, full), NAME, trusting("boss"))
    assert (full,) == found.entries


async def test_versions_follow_each_other() -> None:
    store = MemoryStore()
    await published(store, entry(1), entry(2), entry(3))
    found = await fetch_list(store, NAME, BOSS, Remembered())
    assert found is not None
    assert (3, (entry(1), entry(2), entry(3))) == (found.version, found.entries)


async def test_an_undone_entry_is_in_no_higher_version() -> None:
    first = verify_list(signed(None, ENTRY, entry(1)), NAME, trusting("boss"))
    statement = next_version(NAME, first, undo=[ENTRY], issued=CREATED, expires=CREATED + WEEK)
    second = read_list(sign_statement(statement, signer("boss")), NAME)
    assert (2, (entry(1),), first.fingerprint) == (
        second.version,
        second.entries,
        second.predecessor,
    )


async def test_no_list_and_none_ever_seen_is_none() -> None:
    assert await fetch_list(MemoryStore(), NAME, BOSS, Remembered()) is None


async def test_a_list_that_went_away_is_lost() -> None:
    memory = Remembered({NAME: Seen(3, "sha256:" + "0" * 64)})
    with pytest.raises(ListLost):
        await fetch_list(MemoryStore(), NAME, BOSS, memory)


async def test_strangers_cannot_sign_a_list() -> None:
    store = MemoryStore()
    await publish_list(store, NAME, signed(None, ENTRY, by="stranger"), CREATED)
    with pytest.raises(EvidenceError):
        await fetch_list(store, NAME, BOSS, Remembered())


async def test_only_revokers_among_those_trusted_may_sign_it() -> None:
    trust = Trust((anchor("ci"), anchor("boss")))
    with pytest.raises(EvidenceError):
        verify_list(signed(None, by="ci"), NAME, only(trust, ["boss"]))


async def test_a_list_of_another_place_is_refused() -> None:
    with pytest.raises(EvidenceError):
        verify_list(signed(), "reg.acme/dev/revocations", trusting("boss"))


async def test_something_else_by_a_revoker_is_no_list() -> None:
    with pytest.raises(EvidenceError):
        verify_list(signature("boss"), NAME, trusting("boss"))


async def test_a_rollback_is_refused() -> None:
    store, memory = MemoryStore(), Remembered()
    await published(store, entry(1), entry(2))
    await fetch_list(store, NAME, BOSS, memory)
    store.names["latest"] = store.names["v1"]
    store.delete_tag("v2")
    with pytest.raises(ListRolledBack):
        await fetch_list(store, NAME, BOSS, memory)


async def test_a_latest_that_was_put_back_hides_nothing() -> None:
    store = MemoryStore()
    await published(store, entry(1), entry(2))
    store.names["latest"] = store.names["v1"]
    found = await fetch_list(store, NAME, BOSS, Remembered())
    assert found is not None
    assert found.version == 2


async def test_another_version_of_the_same_number_is_a_fork() -> None:
    store, other, memory = MemoryStore(), MemoryStore(), Remembered()
    await published(store, entry(1))
    await published(other, entry(2))
    await fetch_list(store, NAME, BOSS, memory)
    with pytest.raises(ListForked):
        await fetch_list(other, NAME, BOSS, memory)


async def test_a_fork_further_up_is_found_by_the_chain() -> None:
    store, other, memory = MemoryStore(), MemoryStore(), Remembered()
    await published(store, entry(1))
    await published(other, entry(2), entry(3), entry(4))
    await fetch_list(store, NAME, BOSS, memory)
    with pytest.raises(ListForked):
        await fetch_list(other, NAME, BOSS, memory)


async def test_the_chain_is_walked_over_what_was_missed() -> None:
    store, memory = MemoryStore(), Remembered()
    first = await published(store, entry(1))
    memory.remember(NAME, Seen(1, first.fingerprint))
    newest = first
    for number in (2, 3, 4):
        bundle = signed(newest, entry(number))
        await publish_list(store, NAME, bundle, CREATED)
        newest = read_list(bundle, NAME)
    found = await fetch_list(store, NAME, BOSS, memory)
    assert found is not None
    assert replace(found, signed=None) == newest


async def test_a_missing_version_between_is_no_chain() -> None:
    store, memory = MemoryStore(), Remembered()
    newest = await published(store, entry(1), entry(2), entry(3))
    first = read_list(signed(None, entry(1)), NAME)
    memory.remember(NAME, Seen(1, first.fingerprint))
    store.delete_tag("v2")
    with pytest.raises(ListLost, match="version 2"):
        await fetch_list(store, NAME, BOSS, memory)
    assert newest.version == 3


async def test_two_revokers_at_once_do_not_overwrite_each_other() -> None:
    store = MemoryStore()
    await publish_list(store, NAME, signed(None, entry(1)), CREATED)
    with pytest.raises(TagMoved):
        await publish_list(store, NAME, signed(None, entry(2)), CREATED)
    found = await fetch_list(store, NAME, BOSS, Remembered())
    assert found is not None
    assert (entry(1),) == found.entries


@pytest.mark.parametrize(
    "change",
    [
        (b'"version":1', b'"version":0'),
        (b'"version":1', b'"version":true'),
        (b'"reason":', b'"unless":"x","reason":'),
        (b'"signer":"key:ci"', b'"signer":""'),
        (b'"issued":"2026-06-01T12:00:00Z"', b'"issued":"yesterday"'),
        (b'"issued":"2026-06-01T12:00:00Z"', b'"issued":"2026-06-01T12:00:00"'),
        (b'"entries":[', b'"entries":3,"x":['),
    ],
)
def test_a_list_of_another_shape_is_malformed(change: tuple[bytes, bytes]) -> None:
    statement = next_version(NAME, None, add=[ENTRY], issued=CREATED, expires=CREATED + WEEK)
    changed = statement.replace(*change)
    assert changed != statement
    with pytest.raises(Malformed):
        read_list(sign_statement(changed, signer("boss")), NAME)


def test_a_list_expires_after_it_is_issued() -> None:
    with pytest.raises(ListProblem, match="before it is issued"):
        next_version(NAME, None, issued=CREATED, expires=CREATED)


def test_a_list_is_no_longer_than_can_be_read() -> None:
    def of(count: int) -> bytes:
        entries = [Revocation("x" * 2000, f"reason {number}") for number in range(count)]
        return next_version(NAME, None, add=entries, issued=CREATED, expires=CREATED + WEEK)

    with pytest.raises(ListProblem, match="too many"):
        of(1400)
    bundle = sign_statement(of(1300), signer("boss"))
    assert len(verify_list(bundle, NAME, trusting("boss")).entries) == 1300


# ---- What an entry voids


async def test_a_revoked_signature_stays_revoked_when_it_is_attached_again() -> None:
    store = await stored()
    await attach_bundle(store, IMAGE, signature("ci"), created=CREATED)
    bundle = signature("ci")
    for hour in (13, 14):
        created = CREATED.replace(hour=hour)
        await put(store, bundle_paper(IMAGE, bundle, names.PREDICATE_SIGN, created, {}))
    found = await facts(store, "ci")
    assert len(found) == 3
    assert all(ENTRY.voids(fact, None) for fact in found)


async def test_an_entry_voids_what_it_says_and_nothing_else() -> None:
    store = await stored()
    await attach_bundle(store, IMAGE, signature("ci"), created=CREATED)
    await attach_bundle(store, IMAGE, signature("release"), created=CREATED)
    await attach_bundle(store, OTHER, signature("ci", OTHER), created=CREATED)
    about = (*await facts(store, "ci", "release"), *await facts(store, "ci", subject=OTHER))
    voided = {(f.principal, f.subject) for f in about if ENTRY.voids(f, None)}
    assert {("key:ci", IMAGE.digest)} == voided


async def test_a_key_is_named_by_its_fingerprint_everywhere() -> None:
    store = await stored()
    await attach_bundle(store, IMAGE, signature("ci"), created=CREATED)
    (fact,) = await facts(store, "ci")
    assert Revocation(signer("ci").public.fingerprint, "lost").voids(fact, None)
    assert not Revocation(signer("release").public.fingerprint, "lost").voids(fact, None)


# ---- Revocation papers


async def revoking(by: str, of: str) -> MemoryStore:
    """An image that `of` signed, with a revocation of that by `by`."""
    store = await stored()
    await attach_bundle(store, IMAGE, signature(of), created=CREATED)
    statement = revocation_statement(IMAGE, Revocation(f"key:{of}", "withdrawn"))
    paper = sign_statement(statement, signer(by))
    await attach_bundle(store, IMAGE, paper, created=CREATED)
    return store


async def said(by: str, of: str, *, own: bool) -> list[Revocation]:
    """What papers revoke with effect, where `boss` may revoke anybody's signatures."""
    found = await facts(await revoking(by, of), "boss", "ci", "release")
    signed = next(fact for fact in found if fact.principal == f"key:{of}")
    pairs = [(fact, stated(fact)) for fact in found]
    return [e for fact, e in pairs if e and entitled(fact, signed, ["boss"], own=own)]


async def test_a_revokers_paper_counts_about_others() -> None:
    assert await said("boss", "ci", own=False) == [Revocation("key:ci", "withdrawn", IMAGE.digest)]


async def test_a_signer_revokes_his_own_signatures_only() -> None:
    assert len(await said("ci", "ci", own=True)) == 1
    assert await said("ci", "ci", own=False) == []
    assert await said("ci", "release", own=True) == []


async def test_a_strangers_revocation_is_nothing() -> None:
    assert await said("stranger", "ci", own=True) == []


async def test_a_name_that_another_anchor_certifies_is_not_his_own() -> None:
    found = await facts(await revoking("ci", "ci"), "ci")
    other = replace(next(f for f in found if f.kind is Kind.SIGNATURE), anchors=("other",))
    (paper,) = (fact for fact in found if stated(fact))
    assert not entitled(paper, other, ["boss"], own=True)


async def test_what_was_verified_of_a_list_is_kept_and_a_list_that_does_not_count_is_not() -> None:
    store, memory = MemoryStore(), Remembered()
    await published(store, ENTRY)
    found = await fetch_list(store, NAME, BOSS, memory)
    assert found is not None
    assert found.signed is not None
    assert (found.signed.principal, found.signed.anchors) == ("key:boss", ("boss",))
    await publish_list(store, NAME, signed(found, entry(1)), CREATED)

    def disowned(bundle: Content) -> Revocations:
        if BOSS(bundle).version == 2:
            raise ListDisowned(NAME, "its key was compromised")
        return BOSS(bundle)

    with pytest.raises(ListDisowned):
        await fetch_list(store, NAME, disowned, memory)
    assert memory[NAME].version == 1
