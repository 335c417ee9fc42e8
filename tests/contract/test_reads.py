"""What clients read, on both databases, over the application as it is served."""

import json
from typing import Any

import pytest

from builders import artifact, image, with_papers
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.registry import worker
from rig import HOUR, NAME, Rig

ABSENT = digests.of(b"absent")
LARGE = bytes(range(256)) * 1024


def text(manifest: Any) -> dict[str, str]:
    return {"content-type": manifest.media_type, "docker-content-digest": manifest.digest}


# ---- manifests (end-3)


@pytest.mark.parametrize("by", ["tag", "digest"])
async def test_a_manifest_comes_back_byte_for_byte_with_exact_headers(rig: Rig, by: str) -> None:
    await rig.basics()
    manifest = image()
    await rig.push(manifest, "v1")
    answer = await rig.call(
        "GET", f"/v2/{NAME}/manifests/{'v1' if by == 'tag' else manifest.digest}"
    )
    assert answer.status == 200
    assert manifest.raw == answer.body
    assert answer.headers["content-type"] == manifest.media_type
    assert answer.headers["docker-content-digest"] == manifest.digest
    assert answer.headers["etag"] == f'"{manifest.digest}"'
    assert answer.headers["content-length"] == str(len(manifest.raw))


async def test_head_of_a_manifest_has_the_headers_of_get_and_no_body(rig: Rig) -> None:
    await rig.basics()
    await rig.push(image(), "v1")
    got = await rig.call("GET", f"/v2/{NAME}/manifests/v1")
    head = await rig.call("HEAD", f"/v2/{NAME}/manifests/v1")
    assert head.body == b""
    drop = {"x-request-id"}
    assert {k: v for k, v in got.headers.items() if k not in drop} == {
        k: v for k, v in head.headers.items() if k not in drop
    }


@pytest.mark.parametrize(
    ("name", "reference", "status", "code"),
    [
        (NAME, "nope", 404, "MANIFEST_UNKNOWN"),
        (NAME, ABSENT, 404, "MANIFEST_UNKNOWN"),
        (NAME, "sha256:baddigeststring", 400, "DIGEST_INVALID"),
        (NAME, "blake3:" + "0" * 64, 400, "DIGEST_INVALID"),
        (NAME, "-bad tag-", 404, "MANIFEST_UNKNOWN"),
        ("no/where", "v1", 404, "NAME_UNKNOWN"),
        ("Upper/Case", "v1", 400, "NAME_INVALID"),
        ("a" * 256, "v1", 400, "NAME_INVALID"),
        ("a\0b", "v1", 404, "UNSUPPORTED"),
        (NAME, "v\0", 404, "UNSUPPORTED"),
    ],
)
async def test_what_is_unknown_or_malformed_says_which(
    rig: Rig, name: str, reference: str, status: int, code: str
) -> None:
    await rig.basics()
    answer = await rig.call("GET", f"/v2/{name}/manifests/{reference}")
    assert (answer.status, answer.code) == (status, code)


async def test_head_of_what_is_unknown_has_no_body(rig: Rig) -> None:
    answer = await rig.call("HEAD", f"/v2/{NAME}/manifests/v1")
    assert (answer.status, answer.body) == (404, b"")


async def test_a_client_that_has_the_manifest_is_told_so(rig: Rig) -> None:
    await rig.basics()
    digest = await rig.push(image(), "v1")
    path = f"/v2/{NAME}/manifests/v1"
    same = await rig.call("GET", path, headers={"if-none-match": f'"{digest}"'})
    other = await rig.call("GET", path, headers={"if-none-match": f'"{ABSENT}"'})
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", f'"{digest}"')
    assert "content-length" not in same.headers
    assert other.status == 200


async def test_presence_is_read_each_time_though_bytes_are_remembered(rig: Rig) -> None:
    """Storage rule 11: a process caches bytes by digest, never presence."""
    await rig.basics()
    digest = await rig.push(image(), "v1")
    path = f"/v2/{NAME}/manifests/{digest}"
    assert (await rig.call("GET", path)).status == 200
    assert (await rig.delete(digest)).status == 202
    assert (await rig.call("GET", path)).status == 404


async def test_damaged_bytes_are_never_sent_and_answer_as_absent_from_then_on(rig: Rig) -> None:
    """Storage rule 7: quarantined means HEAD and GET say 404, so that clients push again."""
    await rig.basics()
    manifest = image()
    await rig.push(manifest, "v1")
    await spoil(rig, manifest.digest)
    assert (await rig.call("GET", f"/v2/{NAME}/manifests/v1")).status == 404
    assert await rig.status("v1") == 404
    await rig.push(manifest, "v1")
    assert (await rig.call("GET", f"/v2/{NAME}/manifests/v1")).body == manifest.raw


async def spoil(rig: Rig, digest: str) -> None:
    """Other bytes where the object's are."""
    from retinue.registry.catalog.db import Change
    from rig import statement

    change = statement("update object_bytes set body = :body where object = :object")
    (row,) = await rig.rows(
        "select id from object where digest = :digest", digests.to_bytes(digests.parse(digest))
    )

    def spoiled() -> Change[None]:
        yield change, (b"other bytes", row[0])

    await rig.catalog.commit(spoiled)


# ---- blobs (end-2)


@pytest.mark.parametrize("data", [b"", b"small", LARGE], ids=["empty", "small", "large"])
async def test_a_blob_comes_back_with_exact_headers(rig: Rig, data: bytes) -> None:
    digest = await rig.blob(data)
    got = await rig.call("GET", f"/v2/{NAME}/blobs/{digest}")
    head = await rig.call("HEAD", f"/v2/{NAME}/blobs/{digest}")
    assert (got.status, got.body) == (200, data)
    assert (head.status, head.body) == (200, b"")
    for answer in (got, head):
        assert answer.headers["content-length"] == str(len(data))
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["docker-content-digest"] == digest
        assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("data", [LARGE[:2000], LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=500-1499", 500, 1500),
        ("bytes=500-", 500, None),
        ("bytes=-500", -500, None),
        ("bytes=1000-99999999", 1000, None),
    ],
)
async def test_a_range_of_a_blob(
    rig: Rig, data: bytes, header: str, start: int, end: int | None
) -> None:
    digest = await rig.blob(data)
    answer = await rig.call("GET", f"/v2/{NAME}/blobs/{digest}", headers={"range": header})
    wanted = data[start:end]
    assert (answer.status, answer.body) == (206, wanted)
    first = start % len(data)
    assert answer.headers["content-range"] == (
        f"bytes {first}-{first + len(wanted) - 1}/{len(data)}"
    )
    assert answer.headers["content-length"] == str(len(wanted))


@pytest.mark.parametrize("data", [LARGE[:2000], LARGE], ids=["small", "large"])
@pytest.mark.parametrize("header", ["bytes=500-0", "bytes=99999999-"])
async def test_a_range_that_selects_nothing_is_416(rig: Rig, data: bytes, header: str) -> None:
    digest = await rig.blob(data)
    answer = await rig.call("GET", f"/v2/{NAME}/blobs/{digest}", headers={"range": header})
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(data)}"


@pytest.mark.parametrize("data", [LARGE[:2000], LARGE], ids=["small", "large"])
async def test_a_part_is_sent_only_of_what_the_client_has_the_rest_of(
    rig: Rig, data: bytes
) -> None:
    digest = await rig.blob(data)
    path = f"/v2/{NAME}/blobs/{digest}"
    same = {"range": "bytes=0-9", "if-range": f'"{digest}"'}
    other = {"range": "bytes=0-9", "if-range": f'"{ABSENT}"'}
    assert (await rig.call("GET", path, headers=same)).status == 206
    assert (await rig.call("GET", path, headers=other)).status == 200


@pytest.mark.parametrize(
    ("name", "digest", "status", "code"),
    [
        (NAME, ABSENT, 404, "BLOB_UNKNOWN"),
        (NAME, "sha256:short", 400, "DIGEST_INVALID"),
        ("no/where", ABSENT, 404, "NAME_UNKNOWN"),
        ("_bad", ABSENT, 400, "NAME_INVALID"),
    ],
)
async def test_an_unknown_blob_says_why(
    rig: Rig, name: str, digest: str, status: int, code: str
) -> None:
    await rig.basics()
    answer = await rig.call("GET", f"/v2/{name}/blobs/{digest}")
    assert (answer.status, answer.code) == (status, code)


async def test_a_manifest_is_served_as_a_blob_too(rig: Rig) -> None:
    """Storage rule 11."""
    await rig.basics()
    manifest = image()
    await rig.push(manifest, "v1")
    path = f"/v2/{NAME}/blobs/{manifest.digest}"
    answer = await rig.call("GET", path)
    assert (answer.status, answer.body) == (200, manifest.raw)
    assert answer.headers["content-type"] == "application/octet-stream"
    head = await rig.call("HEAD", path)
    assert head.headers["content-length"] == str(len(manifest.raw))
    assert (await rig.call("GET", f"/v2/{NAME}/manifests/v1")).headers[
        "content-type"
    ] == manifest.media_type


async def test_a_blob_of_another_repository_is_unknown_here(rig: Rig) -> None:
    digest = await rig.blob(b"elsewhere", "other/app")
    await rig.basics()
    assert (await rig.call("GET", f"/v2/{NAME}/blobs/{digest}")).status == 404


async def test_a_file_that_lost_bytes_is_quarantined_not_cut_short(rig: Rig) -> None:
    """Storage rule 7: the server itself would send a short file as a cut 200."""
    digest = await rig.blob(LARGE)
    (row,) = await rig.rows("select location from object where size = :size", len(LARGE))
    file = await rig.blobs.locate(str(row[0]))
    assert file is not None
    file.path.chmod(0o600)
    file.path.write_bytes(LARGE[:-1])
    path = f"/v2/{NAME}/blobs/{digest}"
    assert (await rig.call("GET", path)).status == 404
    assert (await rig.call("HEAD", path)).status == 404
    await rig.blob(LARGE)
    assert (await rig.call("GET", path)).body == LARGE


# ---- grace ("Collection" 2)


@pytest.mark.parametrize("what", ["manifest", "blob"])
async def test_head_renews_the_grace_only_when_half_of_it_is_gone(rig: Rig, what: str) -> None:
    await rig.basics()
    manifest = image()
    await rig.push(manifest)
    blob = await rig.blob(b"loose")
    digest, table = (manifest.digest, "manifest") if what == "manifest" else (blob, "repo_blob")
    path = f"/v2/{NAME}/{'manifests' if what == 'manifest' else 'blobs'}/{digest}"
    select = f"select touched from {table} where digest = :digest"
    begun = rig.now
    for hours, touched in ((11, begun), (13, begun + 13 * HOUR)):
        rig.now = begun + hours * HOUR
        assert (await rig.call("HEAD", path)).status == 200
        assert [(touched,)] == await rig.rows(select, digests.to_bytes(digest))


# ---- tags (end-8)


async def test_tags_are_listed_by_code_point(rig: Rig) -> None:
    await rig.basics()
    tags = ["b", "A", "a", "_", "1.10", "1.2", "B-1", "latest"]
    await rig.push(image(), *tags)
    answer = await rig.call("GET", f"/v2/{NAME}/tags/list")
    assert answer.json == {"name": NAME, "tags": sorted(tags)}
    assert "link" not in answer.headers


async def test_pages_of_tags_are_linked_to_the_end(rig: Rig) -> None:
    await rig.basics()
    tags = [f"t{number}" for number in range(7)]
    await rig.push(image(), *tags)
    path, seen = f"/v2/{NAME}/tags/list?n=3", []
    for _ in range(3):
        answer = await rig.call("GET", path)
        seen.append(answer.json["tags"])
        path = answer.headers.get("link", "<>").partition(">")[0][1:]
    assert seen == [tags[:3], tags[3:6], tags[6:]]
    assert path == ""


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("n=0", []),
        ("n=7", ["a", "b", "c"]),
        ("n=3", ["a", "b", "c"]),
        ("last=a", ["b", "c"]),
        ("last=aa", ["b", "c"]),
        ("n=1&last=b", ["c"]),
        ("last=c", []),
        ("last=~", []),
    ],
)
async def test_a_page_of_tags(rig: Rig, query: str, expected: list[str]) -> None:
    await rig.basics()
    await rig.push(image(), "a", "b", "c")
    answer = await rig.call("GET", f"/v2/{NAME}/tags/list?{query}")
    assert answer.json["tags"] == expected
    assert "link" not in answer.headers


@pytest.mark.parametrize("query", ["n=-1", "n=x", "n=1e3", "last=%00", "n=1&" + "a=1&" * 80])
async def test_a_page_that_cannot_be_read_is_refused(rig: Rig, query: str) -> None:
    await rig.basics()
    assert (await rig.call("GET", f"/v2/{NAME}/tags/list?{query}")).status == 400


async def test_a_repository_without_tags_is_not_an_unknown_one(rig: Rig) -> None:
    await rig.basics()
    assert (await rig.call("GET", f"/v2/{NAME}/tags/list")).json["tags"] == []
    unknown = await rig.call("GET", "/v2/no/where/tags/list")
    assert (unknown.status, unknown.code) == (404, "NAME_UNKNOWN")


# ---- referrers (end-12)


async def subject_with_papers(rig: Rig, count: int) -> Any:
    await rig.basics()
    subject = image()
    await rig.push(subject, "v1")
    for paper in with_papers(subject, count):
        await rig.push(paper)
    return subject


async def test_referrers_of_anything_unknown_are_an_empty_index(rig: Rig) -> None:
    answer = await rig.call("GET", f"/v2/never/pushed/referrers/{ABSENT}")
    assert answer.status == 200
    assert answer.headers["content-type"] == names.OCI_INDEX
    assert answer.json == {"schemaVersion": 2, "mediaType": names.OCI_INDEX, "manifests": []}


async def test_referrers_of_a_bad_digest_are_refused(rig: Rig) -> None:
    answer = await rig.call("GET", f"/v2/{NAME}/referrers/sha256:bad")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


async def test_each_paper_is_listed_with_type_and_annotations(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    paper = artifact(subject, annotations={"a": "1", "ü": "2"})
    await rig.push(paper)
    answer = await rig.call("GET", f"/v2/{NAME}/referrers/{subject.digest}")
    (entry,) = answer.json["manifests"]
    assert entry["digest"] == paper.digest
    assert entry["size"] == len(paper.raw)
    assert entry["mediaType"] == paper.media_type
    assert entry["artifactType"] == paper.artifact_type
    assert entry["annotations"] == {"a": "1", "ü": "2"}


async def test_a_list_is_never_older_than_the_last_paper(rig: Rig) -> None:
    subject = await subject_with_papers(rig, 2)
    path = f"/v2/{NAME}/referrers/{subject.digest}"
    before = await rig.call("GET", path)
    late = artifact(subject, annotations={"late": "yes"})
    await rig.push(late)
    after = await rig.call("GET", path)
    await rig.delete(late.digest)
    gone = await rig.call("GET", path)
    assert [len(each.json["manifests"]) for each in (before, after, gone)] == [2, 3, 2]


async def test_a_filter_is_applied_and_said(rig: Rig) -> None:
    await rig.basics()
    subject = image()
    one = artifact(subject, kind="application/one")
    two = artifact(subject, kind="application/two")
    for each in (one, two):
        await rig.push(each)
    path = f"/v2/{NAME}/referrers/{subject.digest}?artifactType=application/two"
    answer = await rig.call("GET", path)
    assert [entry["digest"] for entry in answer.json["manifests"]] == [two.digest]
    assert answer.headers["oci-filters-applied"] == "artifactType"
    none = await rig.call("GET", path + "-b")
    assert none.json["manifests"] == []
    assert none.headers["oci-filters-applied"] == "artifactType"
    assert "oci-filters-applied" not in (await rig.call("GET", path.partition("?")[0])).headers


async def test_lists_past_the_size_of_a_page_are_linked(rig: Rig) -> None:
    rig.restart(referrers_page=1000)
    subject = await subject_with_papers(rig, 9)
    path, seen, pages = f"/v2/{NAME}/referrers/{subject.digest}", [], 0
    while path:
        answer = await rig.call("GET", path)
        seen += [entry["digest"] for entry in answer.json["manifests"]]
        path = answer.headers.get("link", "<>").partition(">")[0][1:]
        pages += 1
    assert sorted(paper.digest for paper in with_papers(subject, 9)) == seen
    assert pages > 1


async def test_a_paper_with_annotations_of_megabytes_is_listed_whole(rig: Rig) -> None:
    """Storage rule 8: entries over 8 KB are made from the manifest."""
    await rig.basics()
    subject = image()
    paper = artifact(subject, annotations={f"k{n}": "v" * 10_000 for n in range(100)})
    await rig.push(paper)
    answer = await rig.call("GET", f"/v2/{NAME}/referrers/{subject.digest}")
    (entry,) = answer.json["manifests"]
    assert entry["annotations"] == dict(paper.annotations)


# ---- the list of repositories, and what else there is


async def test_repositories_are_listed_in_order_and_paged(rig: Rig) -> None:
    for name in ("b/x", "a", "b/a"):
        await rig.blob(b"x", name)
    assert (await rig.call("GET", "/v2/_catalog")).json == {"repositories": ["a", "b/a", "b/x"]}
    page = await rig.call("GET", "/v2/_catalog?n=2")
    assert page.json["repositories"] == ["a", "b/a"]
    path = page.headers["link"].partition(">")[0][1:]
    last = await rig.call("GET", path)
    assert last.json["repositories"] == ["b/x"]
    assert "link" not in last.headers
    assert (await rig.call("GET", "/v2/_catalog?n=0")).json["repositories"] == []


async def test_extensions_are_told_for_all_and_for_one_repository(rig: Rig) -> None:
    await rig.basics()
    everywhere = (await rig.call("GET", "/v2/_oci/ext/discover")).json["extensions"]
    here = (await rig.call("GET", f"/v2/{NAME}/_oci/ext/discover")).json["extensions"]
    assert {"_oci", "_catalog"} == {each["name"] for each in everywhere}
    assert here[0]["endpoints"] == [f"/v2/{NAME}/_oci/ext/discover"]
    assert (await rig.call("GET", "/v2/no/where/_oci/ext/discover")).status == 404


async def test_pulls_are_counted_when_they_are_written_down(rig: Rig) -> None:
    await rig.basics()
    digest = await rig.push(image(), "v1")
    services = rig.services()
    rig.entry._services = services
    for _ in range(3):
        await rig.call("GET", f"/v2/{NAME}/manifests/v1")
    await rig.call("HEAD", f"/v2/{NAME}/manifests/v1")
    await worker.flush(services)
    rig.now += 5
    await rig.call("GET", f"/v2/{NAME}/manifests/{digest}")
    await worker.flush(services)
    await worker.flush(services)
    found = await rig.rows("select digest, last_pull, pulls from usage where pulls > :none", 0)
    assert found == [(digests.to_bytes(digest), rig.now, 4)]


# ---- earlier drafts


OLD_PATHS = {
    "references": "/v2/_ext/oci-artifacts/v1/{name}/manifests/{digest}/references",
    "rc1": "/v2/_ext/oci-artifacts/v1-rc1/{name}/manifests/{digest}/referrers",
    "draft": "/oras/artifacts/v1/{name}/manifests/{digest}/referrers",
    "oras": "/v2/{name}/_oras/artifacts/referrers?digest={digest}",
}


@pytest.mark.parametrize("kind", OLD_PATHS)
async def test_earlier_drafts_are_off_unless_the_configuration_says_so(rig: Rig, kind: str) -> None:
    subject = await subject_with_papers(rig, 1)
    path = OLD_PATHS[kind].format(name=NAME, digest=subject.digest)
    assert (await rig.call("GET", path)).status == 404
    rig.restart(old_discovery=True)
    assert (await rig.call("GET", path)).status == 200


async def test_earlier_drafts_list_the_same_papers(rig: Rig) -> None:
    rig.restart(old_discovery=True)
    subject = await subject_with_papers(rig, 12)
    papers = {paper.digest: json.loads(paper.raw) for paper in with_papers(subject, 12)}
    for kind, word in (("references", "nextLink"), ("rc1", "@nextLink")):
        path = OLD_PATHS[kind].format(name=NAME, digest=subject.digest)
        seen: dict[str, Any] = {}
        while path:
            body = (await rig.call("GET", path)).json
            seen |= {each["digest"]: each["manifest"] for each in body["references"]}
            path = body.get(word, "")
        assert papers == seen
    for kind, word in (("draft", "references"), ("oras", "referrers")):
        path, listed = OLD_PATHS[kind].format(name=NAME, digest=subject.digest), set()
        path += ("&" if "?" in path else "?") + "n=5"
        while path:
            answer = await rig.call("GET", path)
            listed |= {each["digest"] for each in answer.json[word]}
            assert answer.headers["oras-api-version"] == "oras/1.0"
            path = answer.headers.get("link", "<>").partition(">")[0][1:]
        assert papers.keys() == listed


async def test_the_first_draft_also_asks_by_tag(rig: Rig) -> None:
    rig.restart(old_discovery=True)
    await subject_with_papers(rig, 1)
    path = OLD_PATHS["references"].format(name=NAME, digest="v1")
    body = (await rig.call("GET", path)).json
    assert (body["tag"], len(body["references"])) == ("v1", 1)
    assert (await rig.call("GET", path.replace("v1/references", "v2/references"))).status == 404
