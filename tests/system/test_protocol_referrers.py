"""Lists of papers (distribution-spec end-12), and what their clients rely on."""

import json
from base64 import b64encode
from collections.abc import Iterator
from zlib import crc32

import pytest

from builders import CONFIG, LAYER, artifact, blobs_of, describe, image, index, pointer
from protocol import ALGORITHMS, Client, next_page, refused
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.manifest import Manifest
from retinue.oci.tags import cosign_tag
from serving import Serving

algorithms = pytest.mark.parametrize("algorithm", ALGORITHMS)
UNKNOWN = {each: digests.of(b"never pushed", each) for each in ALGORITHMS}
EMPTY = {"schemaVersion": 2, "mediaType": names.OCI_INDEX, "manifests": []}
PAGE = 4 << 20
SBOM, SIGNATURE = "application/spdx+json", "application/vnd.example.signature"


@pytest.fixture
def client(registry: Serving) -> Iterator[Client]:
    client = Client(registry)
    yield client
    client.close()


@pytest.fixture
def name(request: pytest.FixtureRequest, client: Client) -> str:
    """A repository for each test, that holds the parts of images and papers."""
    name = f"referrers/{crc32(request.node.nodeid.encode()):x}"
    client.push_all(name, blobs_of().values())
    client.push_all(name, [CONFIG, LAYER], algorithm="sha512")
    return name


def entry(paper: Manifest, kind: str | None, **annotations: str) -> dict[str, object]:
    """What a list must say about a paper."""
    found = pointer(paper)
    if kind is not None:
        found["artifactType"] = kind
    if annotations:
        found["annotations"] = annotations
    return found


# ---- nothing known


@algorithms
@pytest.mark.parametrize("query", ["", "?artifactType=a/b", "?artifactType=" + "x" * 5000])
def test_unknown_subjects_and_repositories_have_no_papers(
    client: Client, name: str, algorithm: str, query: str
) -> None:
    for repository in (name, f"{name}/unheard/of"):
        path = f"/v2/{repository}/referrers/{UNKNOWN[algorithm]}{query}"
        answer = client.get(path)
        assert (answer.status, json.loads(answer.body)) == (200, EMPTY)
        assert answer.headers["content-type"] == names.OCI_INDEX
        assert answer.headers.get("oci-filters-applied") == ("artifactType" if query else None)
        assert "link" not in answer.headers
        head = client.head(path)
        assert (head.status, head.headers["content-length"]) == (200, str(len(answer.body)))


@pytest.mark.parametrize(
    "subject", ["latest", "sha256:abc", "sha1:" + "a" * 40, "blake3:" + "a" * 64]
)
def test_a_subject_is_a_digest(client: Client, name: str, subject: str) -> None:
    refused(client.get(f"/v2/{name}/referrers/{subject}"), 400, "DIGEST_INVALID")


# ---- entries and filters


def papers(subject: Manifest, algorithm: str) -> list[tuple[Manifest, dict[str, object]]]:
    about = describe(subject.raw, subject.media_type, algorithm)
    notes = {"org.example.note": 'ünïcödé \n " \\ 😀', "empty": ""}
    sbom = artifact(about, kind=SBOM, annotations=notes, algorithm=algorithm)
    typed = image(subject=about, artifactType=SIGNATURE, algorithm=algorithm)
    by_config = image(subject=about, algorithm=algorithm)
    untyped = index(subject=about, algorithm=algorithm)
    listing = index(subject=about, artifactType=SBOM, annotations={"a": "b"}, algorithm=algorithm)
    return [
        (sbom, entry(sbom, SBOM, **notes)),
        (typed, entry(typed, SIGNATURE)),
        (by_config, entry(by_config, names.OCI_CONFIG)),
        (untyped, entry(untyped, None)),
        (listing, entry(listing, SBOM, a="b")),
    ]


def by_digest(entries: list[dict[str, object]]) -> list[dict[str, object]]:
    return sorted(entries, key=lambda each: str(each["digest"]))


@algorithms
@pytest.mark.parametrize("order", ["subject first", "subject last", "no subject"])
def test_every_entry_is_the_descriptor_with_type_and_annotations(
    client: Client, name: str, algorithm: str, order: str
) -> None:
    subject = image(algorithm=algorithm, annotations={"subject": "1"})
    wanted = papers(subject, algorithm)
    pushed = [paper for paper, _ in wanted]
    if order != "no subject":
        pushed.insert(0 if order == "subject first" else len(pushed), subject)
    for manifest in pushed:
        client.push(name, manifest)
    listed = client.referrers(name, subject.digest)
    assert by_digest(listed) == by_digest([each for _, each in wanted])
    assert client.referrers(f"{name}/elsewhere", subject.digest) == []


@algorithms
def test_filters(client: Client, name: str, algorithm: str) -> None:
    subject = image(algorithm=algorithm, annotations={"subject": "2"})
    wanted = papers(subject, algorithm)
    for paper, _ in wanted:
        client.push(name, paper)
    for kind in (SBOM, SIGNATURE, names.OCI_CONFIG, "application/vnd.example.none"):
        for quoted in (kind, kind.replace("/", "%2F").replace("+", "%2B")):
            if "+" in quoted:  # a plus in a query is a space
                continue
            query = f"?artifactType={quoted}"
            answer = client.get(f"/v2/{name}/referrers/{subject.digest}{query}")
            assert answer.headers["oci-filters-applied"] == "artifactType"
            listed = client.referrers(name, subject.digest, query)
            kept = [each for _, each in wanted if each.get("artifactType") == kind]
            assert by_digest(listed) == by_digest(kept)
    unfiltered = client.get(f"/v2/{name}/referrers/{subject.digest}?artifactType=")
    assert len(json.loads(unfiltered.body)["manifests"]) == len(wanted)
    assert "oci-filters-applied" not in unfiltered.headers


@algorithms
def test_lists_follow_pushes_and_deletions_at_once(
    client: Client, name: str, algorithm: str
) -> None:
    subject = image(algorithm=algorithm, annotations={"subject": "3"})
    about = describe(subject.raw, subject.media_type, algorithm)
    listed: set[str] = set()
    made = [
        artifact(about, annotations={"number": str(number)}, algorithm=algorithm)
        for number in range(4)
    ]
    for paper in made:
        client.push(name, paper)
        listed.add(paper.digest)
        assert {each["digest"] for each in client.referrers(name, subject.digest)} == listed
    for paper in made:
        assert client.delete(f"/v2/{name}/manifests/{paper.digest}").status == 202
        listed.remove(paper.digest)
        assert {each["digest"] for each in client.referrers(name, subject.digest)} == listed


# ---- pages


def test_a_list_is_one_page_up_to_four_mebibytes_and_then_pages(client: Client, name: str) -> None:
    subject = image(annotations={"subject": "4"})
    size = 3_900_000 // 4
    made = [
        artifact(subject, kind=kind, annotations={"number": str(number), "filler": "x" * size})
        for number in range(3)
        for kind in (SBOM, SIGNATURE)
    ]
    for paper in made[:4]:
        client.push(name, paper)
    path = f"/v2/{name}/referrers/{subject.digest}"
    assert "link" not in page(client, path)[1]
    for paper in made[4:]:
        client.push(name, paper)
    assert "link" in page(client, path)[1]
    for kind, wanted in ((None, made), (SBOM, made[::2])):
        query = f"?artifactType={kind.replace('+', '%2B')}" if kind else ""
        found = walked(client, path + query)
        assert sorted(found) == sorted(each.digest for each in wanted)


def page(client: Client, path: str) -> tuple[list[str], dict[str, str], str | None]:
    answer = client.get(path)
    assert (answer.status, answer.headers["content-type"]) == (200, names.OCI_INDEX)
    assert len(answer.body) <= PAGE + 1024
    listed = [each["digest"] for each in json.loads(answer.body)["manifests"]]
    return listed, dict(answer.headers), next_page(answer)


def walked(client: Client, path: str) -> list[str]:
    """All pages; each says that it is filtered if the first one does."""
    found, headers, following = page(client, path)
    filtered = headers.get("oci-filters-applied")
    while following is not None:
        listed, headers, following = page(client, following)
        assert headers.get("oci-filters-applied") == filtered
        assert listed
        found += listed
    return found


def test_small_papers_by_the_hundred_are_one_page(client: Client, name: str) -> None:
    """Clients that never follow a link see all of them."""
    subject = image(annotations={"subject": "5"})
    made = [artifact(subject, annotations={"number": str(number)}) for number in range(300)]
    for paper in made:
        client.push(name, paper)
    found, headers, _ = page(client, f"/v2/{name}/referrers/{subject.digest}")
    assert sorted(found) == sorted(each.digest for each in made)
    assert "link" not in headers


# ---- manifests that come along


def test_small_manifests_come_along_when_asked_for(client: Client, name: str) -> None:
    subject = image(annotations={"subject": "6"})
    small = artifact(subject, annotations={"number": "1"})
    large = artifact(subject, annotations={"number": "x" * 5000})
    for each in (subject, small, large):
        client.push(name, each)
    path = f"/v2/{name}/referrers/{subject.digest}"

    plain, asked = client.get(path), client.get(f"{path}?embed=manifests")

    assert "data" not in plain.body.decode()
    listed = json.loads(asked.body)["manifests"]
    data = {each["digest"]: each.pop("data", None) for each in listed}
    assert data == {small.digest: b64encode(small.raw).decode(), large.digest: None}
    assert {**json.loads(asked.body), "manifests": listed} == json.loads(plain.body)


def test_with_them_comes_whether_tags_attach_any(client: Client, name: str) -> None:
    subject, tag = subject_of(client, name)
    paper = artifact(pointer(subject), kind=SIGNATURE)
    client.push(name, paper)
    path = f"/v2/{name}/referrers/{subject.digest}?embed=manifests"

    said = [client.get(path).headers["retinue-attached"]]
    sign(client, name, tag, "first")
    said.append(client.get(path).headers["retinue-attached"])
    client.delete(f"/v2/{name}/manifests/{tag}")
    client.delete(f"/v2/{name}/manifests/{paper.digest}")
    answer = client.get(path)

    assert [*said, answer.headers["retinue-attached"]] == [
        "subject, tag",
        "subject",
        "subject, tag",
    ]
    assert json.loads(answer.body) == EMPTY


def test_of_a_type_none_come_along(client: Client, name: str) -> None:
    subject = image(annotations={"subject": "7"})
    client.push(name, artifact(subject, kind=SBOM))

    asked = f"/v2/{name}/referrers/{subject.digest}?artifactType=application/spdx%2Bjson"
    answer = client.get(f"{asked}&embed=manifests")

    assert answer.headers["retinue-attached"] == "subject"
    assert [set(each) for each in json.loads(answer.body)["manifests"]] == [
        {"mediaType", "digest", "size", "artifactType"}
    ]


# ---- papers that only a tag attaches


def sign(client: Client, name: str, tag: str, signature: str) -> str:
    """What a signer does at cosign's tag who did not see the others."""
    signed = image(signature.encode())
    client.push_all(name, [signature.encode()])
    client.push(name, signed, tag)
    return signed.digest


def test_papers_by_tag_alone_are_listed_when_asked_for(client: Client, name: str) -> None:
    subject, tag = subject_of(client, name)
    signatures = {sign(client, name, tag, signer) for signer in ("first", "second")}
    client.push(name, artifact(pointer(subject), kind=SIGNATURE))
    path = f"/v2/{name}/referrers/{subject.digest}"

    ordinary, asked = client.get(path), client.get(f"{path}?attached=tag")

    assert ordinary.headers["retinue-attached"] == "subject"
    assert asked.headers["retinue-attached"] == "tag"
    assert len(json.loads(ordinary.body)["manifests"]) == 1
    assert {each["digest"] for each in json.loads(asked.body)["manifests"]} == signatures
    client.delete(f"/v2/{name}/manifests/{tag}")
    assert client.referrers(name, subject.digest, "?attached=tag") == []


def test_a_paper_that_states_what_a_tag_says_too_is_in_both_lists(
    client: Client, name: str
) -> None:
    subject, tag = subject_of(client, name)
    paper = artifact(pointer(subject), kind=SIGNATURE)
    client.push(name, paper, tag)

    for query in ("", "?attached=tag"):
        listed = client.referrers(name, subject.digest, query)
        assert [each["digest"] for each in listed] == [paper.digest]


def test_papers_by_tag_of_what_is_unknown_are_none(client: Client, name: str) -> None:
    for repository in (name, f"{name}/unheard/of"):
        path = f"/v2/{repository}/referrers/{UNKNOWN['sha256']}?attached=tag"
        assert json.loads(client.get(path).body) == EMPTY
    path = f"/v2/{name}/referrers/{image().digest}?attached=tag&last=x"
    refused(client.get(path), 400, "DIGEST_INVALID")


def test_many_papers_by_tag_come_in_pages(client: Client, name: str) -> None:
    subject, tag = subject_of(client, name)
    signatures = {sign(client, name, tag, str(number)) for number in range(251)}

    found: list[str] = []
    path: str | None = f"/v2/{name}/referrers/{subject.digest}?attached=tag"
    while path is not None:
        answer = client.get(path)
        found += [each["digest"] for each in json.loads(answer.body)["manifests"]]
        path = next_page(answer)

    assert sorted(found) == sorted(signatures)


def subject_of(client: Client, name: str) -> tuple[Manifest, str]:
    """An image, and the tag of its signatures."""
    subject = image()
    client.push(name, subject)
    tag = cosign_tag(subject.digest, "sig")
    assert tag is not None
    return subject, tag


@pytest.mark.parametrize("kind", ["att", "sbom"])
def test_a_replaced_attestation_or_sbom_is_no_paper_any_more(
    client: Client, name: str, kind: str
) -> None:
    """`attest --replace` means it: only of signatures nobody takes one back by overwriting it."""
    subject, _ = subject_of(client, name)
    tag = cosign_tag(subject.digest, kind)
    assert tag is not None
    sign(client, name, tag, "first")
    second = sign(client, name, tag, "second")

    listed = client.referrers(name, subject.digest, "?attached=tag")

    assert [each["digest"] for each in listed] == [second]
