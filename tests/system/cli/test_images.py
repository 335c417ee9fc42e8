"""The verbs as a user runs them, against a real registry."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from running import Ask
from serving import Serving

SBOM = "application/vnd.cyclonedx+json"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "rootfs"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
    (tmp_path / "sbom.json").write_text('{"bomFormat":"CycloneDX"}')
    (tmp_path / "note").write_text("a note")
    return tmp_path


@pytest.fixture
def name(registry: Serving, request: pytest.FixtureRequest) -> str:
    """A repository of the test's own."""
    test = re.sub(r"[^a-z0-9]+", "-", request.node.name).strip("-")
    return f"{registry.host}/cli/{test}"


@pytest.fixture
def pushed(here: Path, ask: Ask, name: str) -> str:
    """An image at tag 1 with an SBOM and a note about the SBOM; returns its digest."""
    image = ask("push", "--image", "rootfs", "--entrypoint=/bin/sh", f"{name}:1", "--json")
    assert image.code == 0, image.err
    [digest] = image.json["digests"]
    sbom = ask("attach", f"{name}:1", "sbom.json", "--type", SBOM)
    assert sbom.code == 0, sbom.err
    note = ask("attach", f"{name}@{sbom.lines[0]}", "note", "--type", "text/plain")
    assert note.code == 0, note.err
    return str(digest)


def papers_of(ask: Ask, reference: str) -> int:
    ran = ask("tree", reference, "--json")
    assert (ran.code, ran.json["blind"]) == (0, {}), ran.err
    return int(ran.json["papers"])


def rehash(layout: Path) -> int:
    blobs = list(layout.glob("blobs/*/*"))
    for blob in blobs:
        assert hashlib.new(blob.parent.name, blob.read_bytes()).hexdigest() == blob.name
    return len(blobs)


def test_push_of_a_folder_is_reproducible(pushed: str, ask: Ask, name: str) -> None:
    again = ask("push", "--image", "rootfs", "--entrypoint=/bin/sh", f"{name}:2", "--json").json
    assert again["digests"] == [pushed]
    assert again["bytes_sent"] == 0
    other = ask("push", "--image", "rootfs", f"{name}:3", "--platform", "linux/arm64", "--json")
    assert other.json["digests"] != [pushed]


def test_tree_shows_papers_and_their_papers(pushed: str, ask: Ask, name: str) -> None:
    ran = ask("tree", f"{name}:1")
    assert ran.code == 0
    assert [line.split()[0].strip("└─ ") or line.split()[1] for line in ran.lines[1:]] == [
        "image",
        "sbom",
        "paper",
    ]
    [sbom] = ask("tree", f"{name}:1", "--json").json["tree"]["papers"]
    assert (sbom["kind"], sbom["ways"], len(sbom["papers"])) == ("sbom", ["referrers"], 1)


def test_an_image_without_papers_says_so(pushed: str, here: Path, ask: Ask, name: str) -> None:
    assert ask("push", f"{name}/bare:1", "note").code == 0
    ran = ask("tree", f"{name}/bare:1")
    assert (ran.code, ran.lines[-1]) == (0, "no papers (signatures, SBOMs, provenance)")


def test_copy_brings_papers_to_another_repository(pushed: str, ask: Ask, name: str) -> None:
    ran = ask("copy", f"{name}:1", f"{name}/copied", "--json")
    assert ran.code == 0
    assert ran.json["tags"] == {"1": pushed}
    assert ran.json["blobs"]["mounted"] == 5
    assert papers_of(ask, f"{name}/copied:1") == 2


def test_copy_leaves_papers_behind_only_when_told(pushed: str, ask: Ask, name: str) -> None:
    assert ask("copy", f"{name}:1", f"{name}/bare:x", "--without-papers").code == 0
    assert papers_of(ask, f"{name}/bare:x") == 0


def test_copy_of_all_tags(pushed: str, ask: Ask, name: str) -> None:
    assert ask("tag", f"{name}:1", "2", "3").code == 0
    ran = ask("copy", name, "oci:all", "--all-tags", "--json")
    assert sorted(ran.json["tags"]) == ["1", "2", "3"]
    assert ask("list", "oci:all").lines == ["1", "2", "3"]


@pytest.mark.parametrize("form", ["oci:there", "oci-archive:there.tar"])
def test_there_and_back(pushed: str, ask: Ask, name: str, form: str) -> None:
    assert ask("pull", f"{name}:1", form).code == 0
    assert papers_of(ask, form) == 2
    assert ask("push", f"{name}/back:1", form).code == 0
    assert papers_of(ask, f"{name}/back@{pushed}") == 2


def test_pull_goes_into_a_folder_of_the_repositorys_name(
    pushed: str, ask: Ask, name: str, here: Path
) -> None:
    ran = ask("pull", f"{name}:1")
    assert ran.code == 0
    assert rehash(here / name.rpartition("/")[2]) == 8


def test_a_docker_archive_takes_no_papers_silently(pushed: str, ask: Ask, name: str) -> None:
    refused = ask("pull", f"{name}:1", "docker-archive:d.tar")
    assert refused.code == 9
    assert "--without-papers" in refused.err
    assert ask("pull", f"{name}:1", "docker-archive:d.tar", "--without-papers").code == 0
    assert ask("inspect", "docker-archive:d.tar").code == 0


def test_files_go_and_come_back(here: Path, ask: Ask, name: str) -> None:
    pushed = ask(
        "push", f"{name}:f", "sbom.json:application/json", "note",
        "--artifact-type", "application/vnd.example", "--annotation", "k=v", "--json",
    )  # fmt: skip
    assert pushed.code == 0, pushed.err
    seen = ask("inspect", f"{name}:f", "--json").json
    assert seen["artifact_type"] == "application/vnd.example"
    assert seen["annotations"] == {"k": "v"}
    pulled = ask("pull", f"{name}:f", "--output", "out", "--json")
    assert [Path(f["path"]).read_text() for f in pulled.json["files"]] == [
        '{"bomFormat":"CycloneDX"}',
        "a note",
    ]


def test_an_image_has_no_files_to_pull(pushed: str, ask: Ask, name: str) -> None:
    assert ask("pull", f"{name}:1", "--output", "out").code == 2


def test_tags_and_lists(pushed: str, registry: Serving, ask: Ask, name: str) -> None:
    assert ask("tag", f"{name}:1", "b", "a").code == 0
    assert ask("list", name).lines == ["1", "a", "b"]
    assert ask("list", name, "--json").json == {"tags": ["1", "a", "b"]}
    repository = name.partition("/")[2]
    assert repository in ask("list", registry.host).lines
    every = ask("list", registry.host, "--recursive", "--json").json["repositories"]
    assert every[repository] == ["1", "a", "b"]
    assert f"{repository}:a" in ask("list", registry.host, "--recursive").lines


def test_a_list_of_what_is_not_there_says_so(ask: Ask, name: str) -> None:
    ran = ask("list", f"{name}/nope", "--json")
    assert (ran.code, ran.out) == (3, "")


def test_a_dry_run_tags_nothing(pushed: str, ask: Ask, name: str) -> None:
    assert ask("tag", f"{name}:1", "2", "--dry-run").code == 0
    assert ask("list", name).lines == ["1"]


def test_inspect_shows_parts_and_raw_bytes(pushed: str, ask: Ask, name: str) -> None:
    assert ask("inspect", f"{name}:1").lines[0] == pushed
    raw = ask("inspect", f"{name}:1", "--raw").out.encode()
    assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == pushed
    assert len(ask("inspect", f"{name}:1", "--json").json["blobs"]) == 2


def test_a_dry_run_attaches_nothing(pushed: str, ask: Ask, name: str) -> None:
    assert ask("attach", f"{name}:1", "note", "--type", "a/b", "--dry-run").code == 0
    assert papers_of(ask, f"{name}:1") == 2


def test_attaching_to_a_layout(pushed: str, ask: Ask, name: str) -> None:
    assert ask("pull", f"{name}:1", "oci:local").code == 0
    assert ask("attach", "oci:local:1", "note", "--type", "a/b").code == 0
    assert papers_of(ask, "oci:local:1") == 3
    refused = ask("attach", "oci-archive:x.tar", "note", "--type", "a/b")
    assert refused.code == 2


def test_download_by_kind_and_type(pushed: str, ask: Ask, name: str, here: Path) -> None:
    assert ask("download", f"{name}:1", "--type", "sbom", "--output", "p").lines == ["p/sbom.json"]
    assert (here / "p" / "sbom.json").read_bytes() == (here / "sbom.json").read_bytes()
    assert ask("download", f"{name}:1", "--type", "text/plain").lines == ["note"]
    assert len(ask("download", f"{name}:1", "--output", "q").lines) == 2
    assert ask("download", f"{name}:1", "--output", "r", "--dry-run").code == 0
    assert not (here / "r").exists()


def test_download_of_what_is_not_attached(pushed: str, ask: Ask, name: str) -> None:
    ran = ask("download", f"{name}:1", "--type", "vex", "--json")
    assert (ran.code, ran.json["files"]) == (3, [])
    assert "no papers of type 'vex'" in ran.err


def test_files_of_one_name_do_not_collide(pushed: str, ask: Ask, name: str, here: Path) -> None:
    (here / "note").write_text("another")
    assert ask("attach", f"{name}:1", "note", "--type", "text/plain").code == 0
    paths = ask("download", f"{name}:1", "--type", "text/plain", "--output", "p").lines
    assert {Path(path).read_text() for path in paths} == {"a note", "another"}


def test_deleting_a_tag_deletes_only_the_name(pushed: str, ask: Ask, name: str) -> None:
    assert ask("tag", f"{name}:1", "old").code == 0
    assert ask("delete", f"{name}:old", "--yes").code == 0
    assert ask("list", name).lines == ["1"]
    assert papers_of(ask, f"{name}@{pushed}") == 2


def test_deleting_an_image_takes_its_papers(pushed: str, ask: Ask, name: str) -> None:
    tree = ask("tree", f"{name}:1", "--json").json["tree"]
    sbom = tree["papers"][0]["digest"]
    shown = ask("delete", f"{name}@{pushed}", "--dry-run", "--json").json["deleted"]
    assert len(shown[0]["papers"]) == 2
    assert papers_of(ask, f"{name}:1") == 2
    assert ask("delete", f"{name}@{pushed}", "-y").code == 0
    for digest in (pushed, sbom):
        assert ask("inspect", f"{name}@{digest}").code == 3


def test_nothing_is_deleted_without_a_yes(pushed: str, ask: Ask, name: str) -> None:
    ran = ask("delete", f"{name}:1")
    assert ran.code == 1
    assert "--yes" in ran.err
    assert ask("list", name).lines == ["1"]


def test_of_several_references_none_goes_if_one_is_wrong(pushed: str, ask: Ask, name: str) -> None:
    assert ask("delete", f"{name}:1", f"{name}:nope", "--yes").code == 3
    assert ask("list", name).lines == ["1"]


def test_layouts_lose_tags_but_keep_content(pushed: str, ask: Ask, name: str) -> None:
    assert ask("pull", f"{name}:1", "oci:local").code == 0
    assert ask("delete", f"oci:local@{pushed}", "-y").code == 2
    assert ask("delete", "oci:local:1", "-y").code == 0
    assert ask("list", "oci:local").lines == []
    assert ask("inspect", f"oci:local@{pushed}").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("tree", "{}:nope"),
        ("inspect", "{}:nope"),
        ("copy", "{}:nope", "oci:x"),
        ("tag", "{}:nope", "x"),
        ("attach", "{}:nope", "note", "--type", "a/b"),
        ("download", "{}:nope"),
        ("delete", "{}:nope", "-y"),
    ],
)
def test_what_does_not_exist_ends_with_3(
    here: Path, ask: Ask, registry: Serving, words: tuple[str, ...]
) -> None:
    ran = ask(*(word.format(f"{registry.host}/cli/nothing") for word in words))
    assert (ran.code, ran.out, ran.err.count("\n")) == (3, "", 1)


@pytest.mark.parametrize(
    "words",
    [
        ("push", "{}"),
        ("push", "{}", "note", "--image", "rootfs"),
        ("push", "{}", "note", "--entrypoint", "x"),
        ("push", "{}", "note", "--platform", "linux/amd64"),
        ("push", "{}", "oci:a", "oci:b"),
        ("push", "{}", "oci:a", "--artifact-type", "a/b"),
        ("push", "{}", "oci:a", "--annotation", "a=b"),
        ("push", "{}", "note", "--annotation", "a"),
        ("push", "{}", "--image", "rootfs", "--platform", "linux"),
        ("push", "{}@sha256:" + "0" * 64, "note"),
        ("copy", "{}:1", "oci:x@sha256:" + "0" * 64),
        ("copy", "{}:1", "oci:x", "--all-tags"),
        ("pull", "{}:1", "{}:2"),
        ("pull", "oci:x"),
        ("pull", "{}:1", "oci:x", "--output", "y"),
        ("tag", "{}:1", "not/a/tag"),
        ("delete", "{}", "-y"),
        ("list", "{}/"),
        ("tree", "UPPER/Case:1"),
        ("login", "https://{}", "-u", "a"),
    ],
)
def test_what_does_not_go_together_ends_with_2(
    here: Path, ask: Ask, registry: Serving, words: tuple[str, ...]
) -> None:
    ran = ask(*(word.format(f"{registry.host}/cli/wrong") for word in words))
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran.err


def test_a_folder_that_is_not_there_makes_no_image(ask: Ask, registry: Serving) -> None:
    ran = ask("push", "--image", "nowhere", f"{registry.host}/cli/nowhere:1")
    assert (ran.code, ran.out, "nowhere" in ran.err) == (10, "", True)


def test_a_registry_that_is_not_there_ends_with_5(ask: Ask) -> None:
    ran = ask("list", "127.0.0.1:1")
    assert (ran.code, ran.err.count("\n")) == (5, 1)


def test_a_multi_platform_image_and_one_of_it(pushed: str, ask: Ask, name: str, here: Path) -> None:
    arm = ask("push", "--image", "rootfs", "oci:multi:arm", "--platform", "linux/arm64", "--json")
    layout = here / "multi"
    [entry] = json.loads((layout / "index.json").read_text())["manifests"]
    child = {**entry, "platform": {"os": "linux", "architecture": "arm64"}}
    child.pop("annotations")
    raw = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [child],
        }
    ).encode()
    digest = hashlib.sha256(raw).hexdigest()
    (layout / "blobs" / "sha256" / digest).write_bytes(raw)
    root = {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": f"sha256:{digest}",
        "size": len(raw),
        "annotations": {"org.opencontainers.image.ref.name": "all"},
    }
    index = json.loads((layout / "index.json").read_text())
    index["manifests"].append(root)
    (layout / "index.json").write_text(json.dumps(index))
    assert ask("copy", "oci:multi:all", f"{name}:all").code == 0
    assert "linux/arm64" in ask("tree", f"{name}:all").out
    shown = ask("inspect", f"{name}:all", "--platform", "linux/arm64", "--json").json
    assert [shown["digest"]] == arm.json["digests"]
    one = ask("copy", f"{name}:all", "oci:one", "--platform", "linux/arm64", "--json")
    assert one.json["digests"] == arm.json["digests"]
    assert ask("inspect", f"{name}:all", "--platform", "linux/s390x").code == 3
