"""Eight clients attach to one subject at once, each in its own way: every paper is listed."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeAlias

import pytest

from builders import CONFIG, LAYER, artifact, blobs_of, describe, dump, image
from protocol import Client
from retinue.oci import names
from retinue.oci.manifest import Manifest
from retinue.oci.tags import fallback_tag
from serving import Serving, on_database

CLIENTS = 8
ROUNDS = range(3)
Attach: TypeAlias = Callable[[Client, str, Manifest, Manifest], None]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """Two processes serve, on each database."""
    serving = Serving(str(tmp_path_factory.mktemp("race") / "data"), {"workers": "2"})
    with on_database(serving, request):
        yield serving


@pytest.fixture(scope="module")
def clients(site: Serving) -> Iterator[Sequence[Client]]:
    made = [Client(site) for _ in range(CLIENTS)]
    yield made
    for client in made:
        client.close()


def by_subject(client: Client, name: str, _subject: Manifest, paper: Manifest) -> None:
    """What a client does that trusts the API."""
    client.push(name, paper)


def by_fallback(client: Client, name: str, subject: Manifest, paper: Manifest) -> None:
    """What a client does that does not: read the index, add to it, write it, with no condition."""
    client.push(name, paper)
    path = f"/v2/{name}/manifests/{fallback_tag(subject.digest)}"
    answer = client.get(path)
    index = {"schemaVersion": 2, "mediaType": names.OCI_INDEX, "manifests": []}
    if answer.status == 200:
        index = json.loads(answer.body)
    entry = {
        "mediaType": paper.media_type,
        "digest": paper.digest,
        "size": len(paper.raw),
        "artifactType": paper.artifact_type,
        "annotations": dict(paper.annotations),
    }
    index["manifests"] = [*index["manifests"], entry]  # type: ignore[misc]
    assert client.put(path, dump(index), content_type=names.OCI_INDEX).status == 201


WAYS: dict[str, Sequence[Attach]] = {
    "through the API": [by_subject] * CLIENTS,
    "through the fallback tag": [by_fallback] * CLIENTS,
    "both ways": [by_subject, by_fallback] * (CLIENTS // 2),
}


@pytest.mark.parametrize(
    ("algorithm", "subject_first"),
    [("sha256", True), ("sha256", False), ("sha512", True)],
    ids=["subject first", "subject last", "sha512"],
)
@pytest.mark.parametrize("way", WAYS)
def test_all_who_attach_at_once_are_listed(
    clients: Sequence[Client], way: str, subject_first: bool, algorithm: str
) -> None:
    name = f"race/{list(WAYS).index(way)}{'a' if subject_first else 'b'}-{algorithm}"
    clients[0].push_all(name, blobs_of().values())
    clients[0].push_all(name, [CONFIG, LAYER], algorithm=algorithm)
    for number in ROUNDS:
        subject = image(algorithm=algorithm, annotations={"round": str(number)})
        if subject_first:
            clients[0].push(name, subject)
        papers = attach_at_once(clients, name, subject, WAYS[way], algorithm)
        if not subject_first:
            clients[0].push(name, subject)
        for client in clients:
            listed = client.referrers(name, subject.digest)
            assert sorted(each["digest"] for each in listed) == papers
            assert [each["artifactType"] for each in listed] == [KIND] * CLIENTS


KIND = "application/vnd.example.paper"


def attach_at_once(
    clients: Sequence[Client],
    name: str,
    subject: Manifest,
    ways: Sequence[Attach],
    algorithm: str,
) -> list[str]:
    """The digests of what was attached; it begins when all clients are ready."""
    about = describe(subject.raw, subject.media_type, algorithm)
    papers = [artifact(about, annotations={"by": str(number)}) for number in range(CLIENTS)]
    ready = Barrier(CLIENTS)

    def attach(number: int) -> None:
        ready.wait(30)
        ways[number](clients[number], name, subject, papers[number])

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(attach, range(CLIENTS)))
    return sorted(paper.digest for paper in papers)


def test_what_was_attached_at_once_goes_one_by_one_and_at_once(clients: Sequence[Client]) -> None:
    name = "race/removed"
    clients[0].push_all(name, blobs_of().values(), image())
    papers = attach_at_once(clients, name, image(), WAYS["through the API"], "sha256")
    ready = Barrier(CLIENTS)

    def remove(number: int) -> int:
        ready.wait(30)
        return clients[number].delete(f"/v2/{name}/manifests/{papers[number]}").status

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert list(pool.map(remove, range(CLIENTS))) == [202] * CLIENTS
    assert clients[0].referrers(name, image().digest) == []
