"""Lists: tags, papers, repositories, and what earlier drafts list, on both databases."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from builders import artifact, image, with_papers
from counting import Counted
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.registry import worker
from retinue.registry.access.gate import Gate
from retinue.registry.access.principal import ANONYMOUS, Principal
from retinue.registry.access.rules import Rules, as_like, parse_rule, ranges
from retinue.registry.catalog import reads, referrers
from retinue.registry.catalog.db import Change
from retinue.registry.http.entry import Entry
from retinue.registry.http.table import TABLE
from rig import NAME, Rig, statement

ABSENT = digests.of(b"absent")


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


@pytest.mark.parametrize("query", ["", "?embed=manifests"])
async def test_lists_past_the_size_of_a_page_are_linked(rig: Rig, query: str) -> None:
    rig.restart(referrers_page=2000)
    subject = await subject_with_papers(rig, 19)
    path, seen, pages = f"/v2/{NAME}/referrers/{subject.digest}{query}", [], 0
    while path:
        answer = await rig.call("GET", path)
        seen += [entry["digest"] for entry in answer.json["manifests"]]
        assert all(("data" in entry) == bool(query) for entry in answer.json["manifests"])
        assert len(answer.body) <= 2000 + 100
        path = answer.headers.get("link", "<>").partition(">")[0][1:]
        pages += 1
    assert sorted(paper.digest for paper in with_papers(subject, 19)) == seen
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


class Door(Gate):
    """Users are who they say; rules decide."""

    def __init__(self, *rules: str) -> None:
        self._rules = Rules([parse_rule(rule) for rule in rules])

    async def identify(self, authorization: str | None, peer: str) -> Principal:
        return Principal(authorization) if authorization else ANONYMOUS


async def test_repositories_are_listed_only_to_those_who_may_pull_from_them(rig: Rig) -> None:
    """Storage rule 11: `_catalog` filters in SQL."""
    for name in ("a_b/x", "a/x", "axb/y", "pub/z", "team/a/b", "team/c", "tea"):
        await rig.blob(b"x", name)
    door = Door("alice read team/*", "bob read a_b/*", "anonymous read pub/?", "carol read none")
    rig.entry = Entry(replace(rig.services(), access=door), TABLE)

    async def listed(user: str) -> list[str]:
        answer = await rig.call("GET", "/v2/_catalog", headers={"authorization": user})
        names: list[str] = answer.json["repositories"]
        return names

    assert await listed("alice") == ["pub/z", "team/a/b", "team/c"]
    assert await listed("bob") == ["a_b/x", "pub/z"]
    assert await listed("carol") == ["pub/z"]
    rig.entry = Entry(replace(rig.services(), access=Door("alice read *")), TABLE)
    assert await listed("alice") == ["a/x", "a_b/x", "axb/y", "pub/z", "tea", "team/a/b", "team/c"]
    assert await listed("bob") == []
    assert (await rig.call("GET", "/v2/_catalog")).status == 401


async def test_who_is_nobody_is_asked_to_log_in_at_the_first_question(rig: Rig) -> None:
    rig.entry = Entry(replace(rig.services(), access=Door("anonymous read *")), TABLE)
    nobody = await rig.call("GET", "/v2/")
    somebody = await rig.call("GET", "/v2/", headers={"authorization": "alice"})
    assert (nobody.status, nobody.headers["www-authenticate"]) == (401, 'Basic realm="retinue"')
    assert somebody.status == 200


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
    services = rig.entry._services
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


# ---- lists of many, of which few are wanted (storage rule 22)


async def test_22_names_are_looked_at_only_where_the_caller_may_see_any(rig: Rig) -> None:
    for number in range(3):
        await rig.blob(b"x", f"team-b/r{number}")
        await rig.blob(b"x", f"team-d/r{number}")
    globs = ["team-a/*", "team-b/r1", "team-c/*"]
    counted = Counted(rig.catalog)
    found = await reads.names(counted, map(as_like, globs), ranges(globs), "", 10)
    assert found == ["team-b/r1"]
    assert counted.taken() == len(globs)


async def test_22_names_are_looked_at_by_pages(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "LOOKED", 2)
    for number in range(7):
        await rig.blob(b"x", f"team/r{number}")
    wanted = ["*6", "*r4"]
    assert await reads.names(rig.catalog, map(as_like, wanted), ranges(wanted), "", 10) == [
        "team/r4",
        "team/r6",
    ]
    assert await reads.names(rig.catalog, ["%"], ranges(["*"]), "team/r1", 3) == [
        "team/r2",
        "team/r3",
        "team/r4",
    ]


async def test_22_papers_of_a_type_are_found_behind_pages_of_others(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(referrers, "ROWS", 2)
    await rig.basics()
    subject = image()
    papers = with_papers(subject, 9)
    for each in papers:
        await rig.push(each)
    rare = artifact(subject, kind="application/vnd.rare")
    await rig.push(rare)
    path = f"/v2/{NAME}/referrers/{subject.digest}"
    found = (await rig.call("GET", f"{path}?artifactType=application/vnd.rare")).json
    assert [each["digest"] for each in found["manifests"]] == [rare.digest]
    assert await rig.referrers(subject.digest) == {each.digest for each in (*papers, rare)}


@pytest.mark.parametrize(
    "harm", ["update object_bytes set body = :raw", "delete from object_bytes"]
)
@pytest.mark.parametrize("query", ["", "?artifactType=application/vnd.example"])
async def test_21_a_list_never_lacks_a_damaged_paper_in_silence(
    rig: Rig, harm: str, query: str
) -> None:
    """One whose entry is made from its bytes; 404 would send clients to a fallback tag."""
    await rig.basics()
    subject = image()
    await rig.push(subject, "v1")
    large = {"note": "n" * 9000}
    paper = artifact(subject, kind="application/vnd.example", annotations=large)
    await rig.push(paper)
    path = f"/v2/{NAME}/referrers/{subject.digest}{query}"
    whole = (await rig.call("GET", path)).body
    where = " where object = (select object from manifest where digest = :digest)"
    given = (b"?",) if ":raw" in harm else ()
    await change(rig, harm + where, *given, digests.to_bytes(paper.digest))
    rig.restart()
    for _ in range(2):  # the first finds the damage, the second what is quarantined
        answer = await rig.call("GET", path)
        assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    await rig.push(paper)
    assert (await rig.call("GET", path)).body == whole


async def change(rig: Rig, text: str, *args: object) -> None:
    sql = statement(text)

    def harm() -> Change[None]:
        yield sql, args

    await rig.catalog.commit(harm)
