"""`retinue copy` keeps every paper, of an index and of its children, from anywhere to anywhere."""

import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import trust_vectors
from interop.conftest import Tools
from interop.places import Places
from interop.signers import Retinue, repository
from retinue.oci.manifest import Manifest
from trust_vectors import Vector
from vectors.trust.registry import MANIFESTS, Repository

PLACES = ["ours", "distribution", "layout", "archive"]
Relations: TypeAlias = set[tuple[str, str]]
"""Pairs of a subject and a paper, or of an index and a child."""


@pytest.fixture(scope="session")
def vector() -> Vector:
    return trust_vectors.load("everything")


@pytest.fixture(scope="session")
def new(places: Places, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A place that holds nothing yet, as `retinue` is told of it."""

    def name(place: str) -> str:
        if place == "layout":
            return f"oci:{tmp_path_factory.mktemp('layout')}/layout:v1"
        if place == "archive":
            return f"oci-archive:{tmp_path_factory.mktemp('archive')}/archive.tar:v1"
        return f"{repository(places[place])}:v1"

    return name


@pytest.fixture(scope="session")
def pushed_vector(places: Places, vector: Vector) -> str:
    """The whole vector in our registry, by requests that none of our own clients made."""
    host, _, name = repository(places["ours"]).partition("/")
    there = Repository(host, name)
    for content in vector.store.blobs.values():
        there.put_blob(content, "")
    for manifest in _in_order(vector):
        there.put(manifest.raw)
    for tag, digest in vector.store.names.items():
        there.put(vector.store.content[digest].raw, tag)
    return f"{there.image}:v1"


def _in_order(vector: Vector) -> list[Manifest]:
    """Children before those that list them."""
    return sorted(vector.store.content.values(), key=lambda manifest: len(manifest.children))


@pytest.fixture(scope="session")
def sources(pushed_vector: str) -> dict[str, str]:
    """Places that hold the vector."""
    return {"ours": pushed_vector}


@pytest.fixture
def filled(
    retinue: Retinue, pushed_vector: str, new: Callable[[str], str], sources: dict[str, str]
) -> Callable[[str], str]:
    """`filled("layout")`: a place that holds the vector, always the same one."""

    def fill(place: str) -> str:
        if place not in sources:
            sources[place] = new(place)
            retinue("copy", pushed_vector, sources[place])
        return sources[place]

    return fill


@pytest.mark.parametrize("sink", PLACES)
@pytest.mark.parametrize("source", PLACES)
def test_every_paper_arrives(
    retinue: Retinue,
    vector: Vector,
    pushed_vector: str,
    filled: Callable[[str], str],
    new: Callable[[str], str],
    source: str,
    sink: str,
) -> None:
    expected = relations(retinue, pushed_vector)
    there = new(sink)

    retinue("copy", filled(source), there)

    assert relations(retinue, there) == expected
    held = holdings(there, vector)
    assert held >= set(vector.store.content) | set(vector.store.blobs)


def test_the_vector_shows_all_its_papers(
    retinue: Retinue, vector: Vector, pushed_vector: str
) -> None:
    """What the copies are compared with is everything: no paper is missing before the first."""
    shown = {digest for pair in relations(retinue, pushed_vector) for digest in pair}

    assert shown == set(vector.store.content)


@pytest.mark.parametrize("sink", ["distribution", "olareg"])
def test_oras_finds_the_papers_that_were_copied(
    retinue: Retinue, signing: Tools, pushed_vector: str, new: Callable[[str], str], sink: str
) -> None:
    there = new(sink)
    retinue("copy", pushed_vector, there)

    assert _discovered(signing, there) == _discovered(signing, pushed_vector)
    assert len(_discovered(signing, there)) == 2


def _discovered(tools: Tools, reference: str) -> set[str]:
    tree = tools.json("oras", "discover", "--plain-http", "--format", "json", reference)
    return {each["digest"] for each in tree["referrers"]}


def relations(retinue: Retinue, reference: str) -> Relations:
    found: Relations = set()
    _walk(retinue.json("tree", reference)["tree"], found)
    return found


def _walk(node: Mapping[str, Any], found: Relations) -> None:
    for inner in (*node.get("parts", ()), *node.get("papers", ())):
        found.add((node["digest"], inner["digest"]))
        _walk(inner, found)


def holdings(reference: str, vector: Vector) -> set[str]:
    """Which of the vector's contents are there, looked up without our client."""
    scheme, _, rest = reference.partition(":")
    if scheme == "oci":
        names = {path.name for path in Path(rest.removesuffix(":v1"), "blobs/sha256").iterdir()}
    elif scheme == "oci-archive":
        with tarfile.open(rest.removesuffix(":v1")) as archive:
            names = {Path(name).name for name in archive.getnames()}
    else:
        names = _remote(reference.removesuffix(":v1"), vector)
    return {f"sha256:{name}" for name in names}


def _remote(repository_name: str, vector: Vector) -> set[str]:
    host, _, name = repository_name.partition("/")
    kinds = dict.fromkeys(vector.store.blobs, "blobs") | dict.fromkeys(
        vector.store.content, "manifests"
    )
    found = set()
    for digest, kind in kinds.items():
        request = urllib.request.Request(f"http://{host}/v2/{name}/{kind}/{digest}", method="HEAD")
        request.add_header("Accept", ", ".join(MANIFESTS))
        try:
            urllib.request.urlopen(request, timeout=30).close()
        except urllib.error.HTTPError:
            continue
        found.add(digest.removeprefix("sha256:"))
    return found


def _papers_blob(vector: Vector) -> tuple[str, str]:
    """A paper that is about the index, and a blob that only it has."""
    users: dict[str, list[str]] = {}
    for manifest in vector.store.content.values():
        for blob in manifest.blobs:
            users.setdefault(blob.digest, []).append(manifest.digest)
    paper = next(
        manifest
        for manifest in vector.store.content.values()
        if manifest.subject is not None and manifest.subject.digest == vector.subject.digest
    )
    (own,) = [each.digest for each in paper.blobs if users[each.digest] == [paper.digest]]
    return paper.digest, own


@pytest.mark.parametrize("place", ["distribution", "layout"])
def test_a_copy_that_would_lose_a_paper_fails_and_names_it(
    retinue: Retinue,
    vector: Vector,
    pushed_vector: str,
    new: Callable[[str], str],
    place: str,
) -> None:
    source, there = new(place), new("ours")
    retinue("copy", pushed_vector, source)
    paper, blob = _papers_blob(vector)
    _remove_blob(source, blob)

    told = retinue("copy", source, there, fails=True)

    assert blob in told or paper in told
    host, _, rest = there.partition("/")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(
            f"http://{host}/v2/{rest.replace(':v1', '')}/manifests/v1", timeout=9
        )


def _remove_blob(source: str, blob: str) -> None:
    if source.startswith("oci:"):
        folder = Path(source.removeprefix("oci:").removesuffix(":v1"))
        (folder / "blobs/sha256" / blob.removeprefix("sha256:")).unlink()
    else:
        host, _, name = source.removesuffix(":v1").partition("/")
        Repository(host, name).call("DELETE", f"blobs/{blob}")
