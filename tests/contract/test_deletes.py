"""Deleting, and what tags say about other manifests, on both databases."""

import pytest

from builders import CONFIG, LAYER, artifact, describe, image, index, pointer
from counting import Counted
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.tags import cosign_tag, fallback_tag
from retinue.registry.catalog.db import Change
from rig import HOUR, NAME, Rig, statement

PAYLOAD = b'{"critical":{}}'
GRACE = 24 * HOUR


def cosign(subject: Manifest, suffix: str) -> str:
    tag = cosign_tag(subject.digest, suffix)
    assert tag is not None
    return tag


def signature(*marks: str) -> Manifest:
    """As cosign makes it: one layer for each signature, all over the same payload."""
    layers = [
        describe(PAYLOAD, "application/vnd.dev.cosign.simplesigning.v1+json", annotations={"s": m})
        for m in marks
    ]
    config = b"config of " + " ".join(marks).encode()
    return artifact(
        kind="application/vnd.example.signature",
        config=describe(config, names.OCI_CONFIG),
        layers=layers,
    )


async def sign(rig: Rig, subject: Manifest, *marks: str, suffix: str = "sig") -> Manifest:
    made = signature(*marks)
    await rig.blob(b"config of " + " ".join(marks).encode())
    await rig.blob(PAYLOAD)
    await rig.push(made, cosign(subject, suffix))
    return made


async def papers(rig: Rig, subject: Manifest) -> set[Digest]:
    """By any way, as our own lists show them."""
    raw = digests.to_bytes(subject.digest)
    found = await rig.rows("select digest from paper where subject = :subject", raw)
    if not found:
        return set()
    return {digests.from_bytes(bytes(row[0])) for row in found}  # type: ignore[call-overload]


async def candidates(rig: Rig, kind: int = 1) -> dict[Digest, int]:
    found = await rig.rows("select digest, due from candidate where kind = " + str(kind))
    return {digests.from_bytes(bytes(d)): int(due) for d, due in found}  # type: ignore[call-overload]


# ---- tags


async def test_rule_12_delete_of_a_tag_leaves_the_manifest(rig: Rig) -> None:
    await rig.basics()
    pushed = await rig.push(image(), "v1", "v2")
    assert (await rig.delete("v1")).status == 202
    assert [await rig.status(each) for each in ("v1", "v2", pushed)] == [404, 200, 200]
    again = await rig.delete("v1")
    assert (again.status, again.code) == (404, "MANIFEST_UNKNOWN")
    assert (await rig.delete("v1", name="no/such")).status == 404


async def test_delete_of_a_tag_can_be_conditional(rig: Rig) -> None:
    await rig.basics()
    await rig.push(image(), "v1")
    path = f"/v2/{NAME}/manifests/v1"
    answer = await rig.call("DELETE", path, headers={"if-match": '"sha256:other"'})
    assert (answer.status, await rig.status("v1")) == (412, 200)
    answer = await rig.call("DELETE", path, headers={"if-match": f'"{image().digest}"'})
    assert (answer.status, await rig.status("v1")) == (202, 404)


async def test_untagging_starts_the_grace_anew(rig: Rig) -> None:
    await rig.basics()
    pushed = await rig.push(image(), "v1")
    rig.now += 10 * GRACE
    await rig.delete("v1")
    assert (await candidates(rig))[pushed] == rig.now + GRACE
    assert await rig.rows("select touched from manifest") == [(rig.now,)]


# ---- manifests


async def test_rule_12_delete_by_digest_takes_tags_and_papers_of_papers(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    paper = artifact(subject)
    about_paper = artifact(paper)
    for manifest in (subject, paper, about_paper):
        await rig.push(manifest)
    await rig.push(subject, "v1", "v2")
    assert (await rig.delete(subject.digest)).status == 202
    everything = ("v1", "v2", subject.digest, paper.digest, about_paper.digest)
    assert [await rig.status(each) for each in everything] == [404] * 5
    assert await rig.referrers(subject.digest) == set()
    for table in ("manifest", "link", "paper", "tag"):
        assert await rig.rows(f"select 1 from {table}") == []
    again = await rig.delete(subject.digest)
    assert (again.status, again.code) == (404, "MANIFEST_UNKNOWN")


async def test_a_paper_with_a_tag_of_its_own_stays_with_its_papers(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    kept, gone = artifact(subject, kind="application/x.kept"), artifact(subject)
    about_kept = artifact(kept)
    await rig.push(subject, "v1")
    await rig.push(kept, "keep-me")
    await rig.push(gone)
    await rig.push(about_kept)
    await rig.delete(subject.digest)
    states = [await rig.status(each.digest) for each in (kept, about_kept, gone)]
    assert states == [200, 200, 404]
    assert await rig.referrers(subject.digest) == {kept.digest}
    await rig.push(subject, "v1")
    assert await papers(rig, subject) == {kept.digest}


async def test_a_paper_about_two_manifests_stays_with_the_other(rig: Rig) -> None:
    await rig.basics()
    one, two = image(), artifact(kind="application/x.two")
    await rig.push(one, "v1")
    await rig.push(two, "v2")
    paper = artifact(one)
    await rig.push(paper, cosign(two, "att"))
    await rig.delete(one.digest)
    assert await rig.status(paper.digest) == 200
    await rig.delete(two.digest)
    assert await rig.status(paper.digest) == 404


async def test_rule_12_what_a_parent_refers_to_is_refused(rig: Rig) -> None:
    await rig.basics()
    child = image()
    await rig.push(child)
    parent = index(child)
    await rig.push(parent, "v1")
    answer = await rig.delete(child.digest)
    assert (answer.status, answer.code) == (405, "UNSUPPORTED")
    assert answer.json["errors"][0]["detail"]["by"] == parent.digest
    await rig.delete(parent.digest)
    assert (await rig.delete(child.digest)).status == 202


async def test_rule_12_a_locked_manifest_is_refused_and_locked_papers_stay(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    paper = artifact(subject)
    for manifest in (subject, paper):
        await rig.push(manifest)
    await _lock(rig, paper)
    assert (await rig.delete(paper.digest)).status == 405
    await rig.delete(subject.digest)
    assert await rig.status(paper.digest) == 200


async def _lock(rig: Rig, manifest: Manifest) -> None:
    sql = statement("update manifest set locked = 1 where digest = :digest")

    def change() -> Change[None]:
        yield sql, (digests.to_bytes(manifest.digest),)

    await rig.catalog.commit(change)


async def test_what_a_deletion_lets_go_of_becomes_a_candidate(rig: Rig) -> None:
    await rig.basics()
    child, orphan = image(), artifact(index(image()))
    parent = index(child)
    await rig.push(child)
    await rig.push(parent, "v1")
    await rig.push(orphan, "kept")
    rig.now += 10 * GRACE
    await rig.delete(parent.digest)
    waiting = await candidates(rig)
    assert waiting[child.digest] == rig.now + GRACE
    assert waiting[orphan.digest] == rig.now + 7 * GRACE
    assert (await candidates(rig, kind=3))[parent.digest] == rig.now


async def test_statements_of_a_deletion_do_not_grow_with_its_papers(rig: Rig) -> None:
    counted = Counted(rig.catalog)
    rig.catalog = counted
    rig.restart()
    await rig.basics()
    subject = image()
    taken = []
    for count in (1, 30):
        await rig.push(subject, "v1")
        for number in range(count):
            await rig.push(artifact(subject, annotations={"n": str(number)}))
        counted.taken()
        await rig.delete(subject.digest)
        taken.append(counted.taken())
    assert taken[0] == taken[1]


# ---- blobs


async def test_rule_12_a_blob_is_let_go_of_by_this_repository_alone(rig: Rig) -> None:
    digest = await rig.blob(PAYLOAD)
    await rig.blob(PAYLOAD, name="other/app")
    path = f"/v2/{NAME}/blobs/{digest}"
    assert (await rig.call("DELETE", path)).status == 202
    assert (await rig.call("HEAD", path)).status == 404
    assert (await rig.call("HEAD", f"/v2/other/app/blobs/{digest}")).status == 200
    again = await rig.call("DELETE", path)
    assert (again.status, again.code) == (404, "BLOB_UNKNOWN")
    assert digest in await candidates(rig, kind=3)


async def test_rule_12_a_blob_that_is_linked_is_refused(rig: Rig) -> None:
    await rig.basics()
    await rig.push(image(), "v1")
    path = f"/v2/{NAME}/blobs/{digests.of(LAYER)}"
    answer = await rig.call("DELETE", path)
    assert (answer.status, answer.code) == (405, "UNSUPPORTED")
    assert (await rig.call("HEAD", path)).status == 200
    await rig.delete(image().digest)
    assert (await rig.call("DELETE", path)).status == 202


@pytest.mark.parametrize("kind", ["manifests", "blobs"])
async def test_a_digest_that_is_none_is_400(rig: Rig, kind: str) -> None:
    answer = await rig.call("DELETE", f"/v2/{NAME}/{kind}/sha256:bad")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


# ---- implied tags


async def test_rule_14_a_cosign_tag_makes_a_paper_that_the_oci_list_leaves_out(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    await rig.push(subject, "v1")
    made = await sign(rig, subject, "alice")
    assert await papers(rig, subject) == {made.digest}
    assert await rig.referrers(subject.digest) == set()
    assert await rig.rows("select ways, listed from paper") == [(4, 0)]


async def test_rule_14_a_replaced_signature_stays_until_its_layers_are_in_a_successor(
    rig: Rig,
) -> None:
    await rig.basics()
    subject = image()
    await rig.push(subject, "v1")
    alice = await sign(rig, subject, "alice")
    bob = await sign(rig, subject, "bob")
    assert await papers(rig, subject) == {alice.digest, bob.digest}
    both = await sign(rig, subject, "alice", "bob")
    assert await papers(rig, subject) == {both.digest}
    assert {alice.digest, bob.digest} <= (await candidates(rig)).keys()


async def test_rule_14_eight_signers_at_once_are_all_known(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    await rig.push(subject, "v1")
    await sign(rig, subject, "first")
    made = [await sign(rig, subject, "first", f"signer {number}") for number in range(8)]
    assert await papers(rig, subject) == {each.digest for each in made}


@pytest.mark.parametrize("suffix", ["att", "sbom"])
async def test_rule_14_elsewhere_the_current_tag_decides(rig: Rig, suffix: str) -> None:
    await rig.basics()
    subject = image()
    await rig.push(subject, "v1")
    await sign(rig, subject, "old", suffix=suffix)
    new = await sign(rig, subject, "new", suffix=suffix)
    assert await papers(rig, subject) == {new.digest}


async def test_rule_14_delete_of_such_a_tag_drops_all_that_it_ever_said(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    await rig.push(subject, "v1")
    alice = await sign(rig, subject, "alice")
    bob = await sign(rig, subject, "bob")
    rig.now += 10 * GRACE
    assert (await rig.delete(cosign(subject, "sig"))).status == 202
    assert await papers(rig, subject) == set()
    waiting = await candidates(rig)
    assert {waiting[each.digest] for each in (alice, bob)} == {rig.now + GRACE}


async def test_rule_14_deleting_the_image_takes_replaced_signatures_along(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    await rig.push(subject, "v1")
    made = [await sign(rig, subject, who) for who in ("alice", "bob")]
    await rig.delete(subject.digest)
    assert [await rig.status(each.digest) for each in made] == [404, 404]
    assert await rig.rows("select name from tag") == []


async def test_rule_14_a_fallback_index_adds_nothing_but_a_way(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    true, stranger = artifact(subject), artifact(kind="application/x.stranger")
    await rig.push(subject, "v1")
    for paper in (true, stranger):
        await rig.push(paper)
    await rig.push(index(true, stranger), fallback_tag(subject.digest))
    assert await rig.referrers(subject.digest) == {true.digest}
    assert await papers(rig, subject) == {true.digest}
    assert await rig.rows("select ways from paper") == [(3,)]


async def test_rule_14_writers_of_the_fallback_index_lose_no_papers(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    await rig.push(subject, "v1")
    made = [artifact(subject, annotations={"n": str(n)}) for n in range(8)]
    for paper in made:
        await rig.push(paper)
        await rig.push(index(paper), fallback_tag(subject.digest))
    assert await rig.referrers(subject.digest) == {each.digest for each in made}


async def test_an_entry_that_comes_after_its_fallback_index_is_found_by_both_ways(
    rig: Rig,
) -> None:
    rig.restart(sparse=True)
    await rig.basics()
    subject = image()
    paper = artifact(subject)
    await rig.push(index(pointer(paper)), fallback_tag(subject.digest))
    await rig.push(paper)
    assert await rig.rows("select ways from paper") == [(3,)]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_deleting_the_image_takes_its_fallback_index_along(rig: Rig, algorithm: str) -> None:
    await rig.basics()
    for data in (LAYER, CONFIG):
        await rig.blob(data, algorithm=algorithm)
    subject = image(algorithm=algorithm)
    paper = artifact(subject)
    await rig.push(subject)
    await rig.push(paper)
    listing = index(paper)
    await rig.push(listing, fallback_tag(subject.digest))
    assert (await rig.delete(subject.digest)).status == 202
    states = [await rig.status(each.digest) for each in (subject, paper, listing)]
    assert states == [404, 404, 404]


async def test_rule_13_an_index_that_contains_what_its_tag_is_about(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    await rig.push(subject, "v1")
    both = index(subject)
    await rig.push(both, fallback_tag(subject.digest))
    assert (await rig.delete(subject.digest)).status == 202
    assert await rig.status(both.digest) == 404
