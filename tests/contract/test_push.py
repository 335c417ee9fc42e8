"""PUT of manifests, on both databases."""

import json
from urllib.parse import quote

import pytest

from builders import EMPTY, artifact, blobs_of, describe, dump, image, index, pointer, with_papers
from counting import Counted
from retinue.oci import digest as digests
from retinue.oci import names
from rig import NAME, Rig, Wire, quarantine

MANIFESTS = f"/v2/{NAME}/manifests/"


async def test_a_manifest_by_tag_is_served_byte_for_byte(rig: Rig) -> None:
    await rig.basics()
    pushed = image()
    answer = await rig.put(pushed, "latest")
    assert (answer.status, answer.headers["docker-content-digest"]) == (201, pushed.digest)
    assert answer.location == f"{MANIFESTS}{pushed.digest}"
    got = await rig.call("GET", f"{MANIFESTS}latest")
    assert (got.body, got.headers["content-type"]) == (pushed.raw, pushed.media_type)


async def test_a_digest_that_is_not_that_of_the_bytes_is_refused(rig: Rig) -> None:
    await rig.basics()
    pushed = image()
    headers = {"content-type": pushed.media_type}
    answer = await rig.call("PUT", f"{MANIFESTS}{pushed.digest}", pushed.raw + b"  ", headers)
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    answer = await rig.call("PUT", f"{MANIFESTS}sha256:bad", pushed.raw, headers)
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


async def test_rule_15_content_type_must_be_the_media_type_of_the_body(rig: Rig) -> None:
    await rig.basics()
    answer = await rig.call(
        "PUT", f"{MANIFESTS}v1", image().raw, {"content-type": names.DOCKER_MANIFEST}
    )
    assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")


async def test_parameters_of_content_type_are_dropped(rig: Rig) -> None:
    await rig.basics()
    headers = {"content-type": f"{names.OCI_MANIFEST}; charset=utf-8"}
    answer = await rig.call("PUT", f"{MANIFESTS}v1", image().raw, headers)
    assert answer.status == 201
    got = await rig.call("GET", f"{MANIFESTS}v1")
    assert got.headers["content-type"] == names.OCI_MANIFEST


async def test_without_content_type_the_body_says_what_it_is(rig: Rig) -> None:
    await rig.basics()
    answer = await rig.call("PUT", f"{MANIFESTS}v1", image().raw)
    assert answer.status == 201
    answer = await rig.call("PUT", f"{MANIFESTS}v1", b'{"schemaVersion":2}')
    assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")


async def test_rule_15_the_media_type_belongs_to_repository_and_digest(rig: Rig) -> None:
    await rig.basics()
    document = {
        "schemaVersion": 2,
        "config": describe(b"{}", names.OCI_EMPTY),
        "layers": [],
    }
    body = dump(document)
    for media_type, status in ((names.OCI_MANIFEST, 201), (names.OCI_ARTIFACT, 400)):
        answer = await rig.call("PUT", f"{MANIFESTS}v1", body, {"content-type": media_type})
        assert answer.status == status


async def test_rule_15_sha256_and_sha512_of_the_same_bytes_are_two_objects(rig: Rig) -> None:
    await rig.basics()
    first = image()
    other = digests.of(first.raw, "sha512")
    await rig.push(first, "v1")
    headers = {"content-type": first.media_type}
    answer = await rig.call("PUT", f"{MANIFESTS}{other}?tag=v2", first.raw, headers)
    assert (answer.headers["docker-content-digest"], answer.tags) == (other, ("v2",))
    await rig.delete(first.digest)
    assert await rig.status("v1") == 404
    got = await rig.call("GET", f"{MANIFESTS}v2")
    assert (got.body, got.headers["docker-content-digest"]) == (first.raw, other)


async def test_a_manifest_above_the_limit_is_refused_with_413(rig: Rig) -> None:
    rig.restart(max_manifest=2048)
    headers = {"content-type": names.OCI_MANIFEST}
    wire = Wire([b"x" * 1024] * 3)
    answer = await rig.call("PUT", f"{MANIFESTS}v1", wire, headers)
    assert answer.status == 413
    answer = await rig.call("PUT", f"{MANIFESTS}v1", b"x", {**headers, "content-length": "4096"})
    assert answer.status == 413


async def test_a_large_manifest_is_read_off_the_loop_and_stored(rig: Rig) -> None:
    await rig.basics()
    large = artifact(annotations={str(number): "x" * 10_000 for number in range(60)})
    await rig.push(large, "large")
    assert (await rig.call("GET", f"{MANIFESTS}large")).body == large.raw


async def test_rule_6_a_manifest_that_was_cut_off_is_not_stored(rig: Rig) -> None:
    await rig.basics()
    headers = {"content-type": names.OCI_MANIFEST}
    answer = await rig.call("PUT", f"{MANIFESTS}v1", Wire([image().raw], whole=False), headers)
    assert answer.status != 201
    assert await rig.status("v1") == 404


@pytest.mark.parametrize(
    ("media_type", "body", "status"),
    [
        (names.OCI_MANIFEST, image().raw, 201),
        (names.OCI_MANIFEST, image().raw[:-1], 400),
        (names.OCI_MANIFEST, image().raw[: image().raw.index(b"}") + 1], 400),
        (names.OCI_OBJECT_JWT, b"e30.e30.e30", 400),
    ],
    ids=["whole", "half", "half that ends like a whole", "JWS"],
)
async def test_rule_6_over_http_2_a_manifest_by_tag_shows_its_end(
    rig: Rig, media_type: str, body: bytes, status: int
) -> None:
    """Without a length a cut looks like an end there."""
    await rig.basics()
    headers = {"content-type": media_type}
    answer = await rig.call("PUT", f"{MANIFESTS}v1", Wire([body], version="2"), headers)
    assert answer.status == status
    assert (b"Content-Length" in answer.body) == (status == 400 and not body.endswith(b"}"))
    assert await rig.status("v1") == (200 if status == 201 else 404)


@pytest.mark.parametrize("tag", ["-dash", "a" * 129, "a b", "ä"])
async def test_a_tag_that_is_none_is_refused(rig: Rig, tag: str) -> None:
    await rig.basics()
    made = image()
    headers = {"content-type": made.media_type}
    answer = await rig.call("PUT", MANIFESTS + tag, made.raw, headers)
    assert answer.status == 400
    path = f"{MANIFESTS}{made.digest}?tag={quote(tag)}"
    assert (await rig.call("PUT", path, made.raw, headers)).status == 400


async def test_a_repository_name_that_is_none_is_refused(rig: Rig) -> None:
    answer = await rig.put(image(), "v1", name="Team/App")
    assert (answer.status, answer.code) == (400, "NAME_INVALID")


# ---- visibility


async def test_rule_11_all_missing_blobs_are_named(rig: Rig) -> None:
    answer = await rig.put(image(b"one", b"two"), "v1")
    assert (answer.status, answer.code) == (404, "MANIFEST_BLOB_UNKNOWN")
    missing = {each["digest"] for each in answer.json["errors"][0]["detail"]}
    assert missing == blobs_of(b"one", b"two").keys() - {digests.of(b"{}")}
    assert await rig.rows("select id from manifest") == []


async def test_rule_11_blobs_of_other_repositories_do_not_count(rig: Rig) -> None:
    await rig.basics(name="other/app")
    assert (await rig.put(image(), "v1")).status == 404


async def test_rule_15_missing_children_are_refused_unless_configured(rig: Rig) -> None:
    await rig.basics()
    child = image()
    parent = index(child)
    answer = await rig.put(parent, "v1")
    assert (answer.status, answer.code) == (404, "MANIFEST_BLOB_UNKNOWN")
    rig.restart(sparse=True)
    await rig.push(parent, "v1")
    await rig.push(child)
    rig.restart(sparse=False)
    answer = await rig.delete(child.digest)
    assert (answer.status, answer.code) == (405, "UNSUPPORTED")


async def test_a_child_that_is_only_a_blob_is_refused(rig: Rig) -> None:
    await rig.blob(image().raw)
    answer = await rig.put(index(image()), "v1")
    assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")


async def test_rule_11_a_manifest_counts_as_a_blob(rig: Rig) -> None:
    await rig.basics()
    await rig.push(image(), "v1")
    layer = image().raw
    await rig.push(image(layer), "v2")


async def test_layers_that_are_kept_elsewhere_may_be_absent(rig: Rig) -> None:
    await rig.basics()
    foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    layers = [
        describe(b"never pushed", foreign),
        describe(b"nor this", names.OCI_LAYER, urls=["https://example.com/layer"]),
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": names.OCI_MANIFEST,
        "config": dict(EMPTY),
        "layers": layers,
    }
    answer = await rig.call("PUT", f"{MANIFESTS}v1", dump(document))
    assert answer.status == 201


async def test_a_size_that_is_not_that_of_the_stored_content_is_refused(rig: Rig) -> None:
    await rig.basics()
    wrong = {**EMPTY, "size": 3}
    document = {
        "schemaVersion": 2,
        "mediaType": names.OCI_MANIFEST,
        "config": wrong,
        "layers": [],
    }
    answer = await rig.call("PUT", f"{MANIFESTS}v1", dump(document))
    assert (answer.status, answer.code) == (400, "SIZE_INVALID")
    await rig.push(image(), "v2")
    parent = index({**pointer(image()), "size": 1})
    assert (await rig.put(parent, "v3")).code == "SIZE_INVALID"


async def test_a_quarantined_blob_counts_as_missing_and_a_new_push_heals_it(rig: Rig) -> None:
    await rig.basics()
    await quarantine(rig)
    answer = await rig.put(image(), "v1")
    assert answer.code == "MANIFEST_BLOB_UNKNOWN"
    await rig.basics()
    await rig.push(image(), "v1")


async def test_a_quarantined_manifest_is_replaced_by_the_same_push(rig: Rig) -> None:
    await rig.basics()
    pushed = image()
    await rig.push(pushed, "v1")
    await quarantine(rig)
    await rig.basics()
    await rig.push(pushed, "v1")
    assert await rig.rows("select digest from object where quarantined is not null") == []
    assert (await rig.call("GET", f"{MANIFESTS}v1")).body == pushed.raw


# ---- tags


async def test_each_tag_parameter_is_answered(rig: Rig) -> None:
    await rig.basics()
    wanted = [f"v{number}" for number in range(12)]
    answer = await rig.put(image(), *wanted)
    assert (answer.status, answer.tags) == (201, tuple(wanted))
    assert [await rig.status(tag) for tag in wanted] == [200] * 12


async def test_more_tags_than_allowed_are_414(rig: Rig) -> None:
    await rig.basics()
    for number in (33, 100):
        answer = await rig.put(image(), *(f"v{n}" for n in range(number)))
        assert answer.status == 414
    assert await rig.rows("select name from tag") == []


async def test_tag_parameters_need_a_digest(rig: Rig) -> None:
    await rig.basics()
    answer = await rig.call("PUT", f"{MANIFESTS}v1?tag=v2", image().raw)
    assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")


async def test_if_match_moves_a_tag_only_from_where_it_was_seen(rig: Rig) -> None:
    await rig.basics(b"one")
    await rig.basics(b"two")
    one, two = image(b"one"), image(b"two")
    await rig.push(one, "v1")
    answer = await rig.put(two, "v1", headers={"if-match": f'"{two.digest}"'})
    assert (answer.status, answer.headers["etag"]) == (412, f'"{one.digest}"')
    assert await rig.status(two.digest) == 404
    answer = await rig.put(two, "v1", headers={"if-match": f'"x", "{one.digest}"'})
    assert answer.status == 201
    assert (await rig.put(one, "new", headers={"if-match": "*"})).status == 412
    assert (await rig.put(one, "v1", headers={"if-match": f'W/"{two.digest}"'})).status == 412


async def test_if_none_match_creates_a_tag_only_once(rig: Rig) -> None:
    await rig.basics()
    pushed = image()
    assert (await rig.put(pushed, "v1", headers={"if-none-match": "*"})).status == 201
    assert (await rig.put(pushed, "v1", headers={"if-none-match": "*"})).status == 412


async def test_rule_15_if_match_needs_exactly_one_tag(rig: Rig) -> None:
    await rig.basics()
    for tags in ((), ("a", "b")):
        answer = await rig.put(image(), *tags, headers={"if-match": "*"})
        assert answer.status == 400
    answer = await rig.put(image(), "a", headers={"if-match": "nonsense"})
    assert answer.status == 400


async def test_a_moved_tag_leaves_a_candidate(rig: Rig) -> None:
    await rig.basics(b"one")
    await rig.basics(b"two")
    await rig.push(image(b"one"), "v1")
    before = await rig.rows("select digest from candidate where kind = 1")
    await rig.push(image(b"two"), "v1")
    raw = digests.to_bytes(image(b"one").digest)
    assert before == []
    assert await rig.rows("select digest from candidate where kind = 1") == [(raw,)]


async def test_pushing_the_same_again_changes_nothing_but_the_time(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    paper = artifact(subject)
    for manifest in (subject, paper):
        await rig.push(manifest, "v1" if manifest is subject else "p1")
    tables = (
        "select repository, source, kind, target, witness from link order by 2, 3, 4, 5",
        "select subject, digest, ways, listed, entry from paper",
        "select name, digest, created, updated from tag order by 1",
        "select paper_seq from repository",
        "select digest, pushed from manifest order by 1",
    )
    before = [await rig.rows(table) for table in tables]
    rig.now += 1_000_000
    await rig.push(subject, "v1")
    await rig.push(paper, "p1")
    assert [await rig.rows(table) for table in tables] == before
    touched = await rig.rows("select distinct touched from manifest")
    assert touched == [(rig.now,)]


# ---- papers


async def test_a_paper_tells_its_subject_whether_or_not_that_is_there(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    paper = artifact(subject)
    answer = await rig.put(paper)
    assert answer.headers["oci-subject"] == subject.digest
    assert await rig.referrers(subject.digest) == {paper.digest}
    await rig.push(subject, "v1")
    assert await rig.referrers(subject.digest) == {paper.digest}


async def test_an_entry_of_the_list_shows_the_paper(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    paper = artifact(subject, annotations={"who": "ä"})
    await rig.push(paper)
    answer = await rig.call("GET", f"/v2/{NAME}/referrers/{subject.digest}")
    (entry,) = answer.json["manifests"]
    assert entry == pointer(
        paper, artifactType="application/vnd.example.paper", annotations={"who": "ä"}
    )


async def test_rule_8_a_large_entry_is_out_of_line_and_listed_all_the_same(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    paper = artifact(subject, annotations={"long": "x" * 9000})
    await rig.push(paper)
    assert await rig.rows("select entry from paper") == [(None,)]
    answer = await rig.call("GET", f"/v2/{NAME}/referrers/{subject.digest}")
    assert answer.json["manifests"][0]["annotations"]["long"] == "x" * 9000


async def test_every_change_of_papers_changes_the_sequence(rig: Rig) -> None:
    await rig.basics()
    seen = set()
    subject = image()
    for number, step in enumerate((subject, *with_papers(subject, 3))):
        await rig.push(step)
        (row,) = await rig.rows("select paper_seq from repository")
        seen.add(row)
        assert len(seen) == number + 1


async def test_a_buildkit_entry_makes_its_attestation_a_paper(rig: Rig) -> None:
    await rig.basics()
    built = image()
    attested = artifact(kind="application/vnd.example.attestation")
    for manifest in (built, attested):
        await rig.push(manifest)
    mark = {
        names.ANNOTATION_BUILDKIT_TYPE: names.BUILDKIT_ATTESTATION,
        names.ANNOTATION_BUILDKIT_DIGEST: built.digest,
    }
    parent = index(built, pointer(attested, annotations=mark))
    await rig.push(parent, "v1")
    found = await rig.rows("select subject, digest, listed, artifact_type from paper")
    raws = (digests.to_bytes(built.digest), digests.to_bytes(attested.digest))
    assert found == [(*raws, 0, "application/vnd.example.attestation")]
    assert await rig.referrers(built.digest) == set()
    await rig.delete(parent.digest)
    assert await rig.rows("select subject from paper") == []


async def test_statements_of_a_push_do_not_grow_with_its_layers(rig: Rig) -> None:
    counted = Counted(rig.catalog)
    rig.catalog = counted
    rig.restart()
    taken = []
    for count in (1, 40):
        layers = [f"{count}-{number}".encode() for number in range(count)]
        await rig.basics(*layers)
        counted.taken()
        await rig.push(image(*layers), f"v{count}")
        taken.append(counted.taken())
    assert taken[0] == taken[1]
    assert taken[0] <= 12


async def test_json_that_readers_could_take_differently_is_refused(rig: Rig) -> None:
    body = json.dumps({"schemaVersion": 2})[:-1].encode() + b',"schemaVersion":2}'
    answer = await rig.call("PUT", f"{MANIFESTS}v1", body, {"content-type": names.OCI_INDEX})
    assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")
