"""oras, crane and regctl: push, pull, copy, attach, discover, delete."""

import json
from pathlib import Path

import pytest

from interop.conftest import Tools

PAPER = "application/vnd.example.sbom"


@pytest.fixture
def image(tools: Tools, host: str, layout: Path) -> str:
    """An image that oras copied in from a layout."""
    name = f"{host}/team/app:v1"
    tools.run("oras", "cp", "--from-oci-layout", f"{layout}:v1", "--to-plain-http", name)
    return name


def attach(tools: Tools, image: str, text: str = "{}") -> str:
    (tools.home / "sbom.json").write_text(text)
    told = tools.json(
        "oras",
        "attach",
        "--plain-http",
        "--format",
        "json",
        "--artifact-type",
        PAPER,
        image,
        "sbom.json:application/json",
    )
    return str(told["digest"])


def discovered(tools: Tools, image: str) -> set[str]:
    tree = tools.json("oras", "discover", "--plain-http", "--format", "json", image)
    return {each["digest"] for each in tree.get("referrers") or tree.get("manifests") or []}


def test_oras_pushes_and_pulls_files(tools: Tools, host: str) -> None:
    (tools.home / "notes.txt").write_text("kept\n")
    tools.run("oras", "push", "--plain-http", f"{host}/team/files:1", "notes.txt:text/plain")
    (tools.home / "out").mkdir()

    tools.run("oras", "pull", "--plain-http", "-o", "out", f"{host}/team/files:1")

    assert (tools.home / "out/notes.txt").read_text() == "kept\n"


def test_oras_attaches_discovers_and_deletes(tools: Tools, image: str) -> None:
    first, second = attach(tools, image, "1"), attach(tools, image, "2")
    assert discovered(tools, image) == {first, second}

    tools.run(
        "oras",
        "manifest",
        "delete",
        "--plain-http",
        "--force",
        image.rpartition(":")[0] + f"@{first}",
    )

    assert discovered(tools, image) == {second}


def test_oras_copies_recursively_with_papers(tools: Tools, image: str, host: str) -> None:
    paper = attach(tools, image)
    there = f"{host}/other/app:v1"

    tools.run("oras", "cp", "-r", "--from-plain-http", "--to-plain-http", image, there)

    assert discovered(tools, there) == {paper}


def test_oras_deletes_an_image_with_its_papers(tools: Tools, image: str) -> None:
    """oras resolves the tag and deletes the digest; papers go with their subject."""
    paper = attach(tools, image)

    tools.run("oras", "manifest", "delete", "--plain-http", "--force", image)

    for gone in (image, f"{image.rpartition(':')[0]}@{paper}"):
        tools.run("oras", "manifest", "fetch", "--plain-http", gone, fails=True)


def test_oras_lists_repositories_and_tags(tools: Tools, image: str, host: str) -> None:
    assert tools.run("oras", "repo", "ls", "--plain-http", host).split() == ["team/app"]
    assert tools.run("oras", "repo", "tags", "--plain-http", f"{host}/team/app").split() == ["v1"]


def test_crane_pushes_pulls_copies_and_validates(
    tools: Tools, host: str, layout: Path, image: str
) -> None:
    tools.run("crane", "pull", "--insecure", "--format", "oci", image, "pulled")
    tools.run("crane", "push", "--insecure", "pulled", f"{host}/team/crane:v1")
    tools.run("crane", "copy", "--insecure", f"{host}/team/crane:v1", f"{host}/far/crane:v2")
    tools.run("crane", "validate", "--insecure", "--remote", f"{host}/far/crane:v2")

    digests = {
        tools.run("crane", "digest", "--insecure", name) for name in (image, f"{host}/far/crane:v2")
    }

    assert len(digests) == 1


def test_crane_tags_lists_and_deletes(tools: Tools, host: str, image: str) -> None:
    tools.run("crane", "tag", "--insecure", image, "v2")
    assert tools.run("crane", "ls", "--insecure", f"{host}/team/app").split() == ["v1", "v2"]
    assert tools.run("crane", "catalog", "--insecure", host).split() == ["team/app"]

    digest = tools.run("crane", "digest", "--insecure", image).strip()
    tools.run("crane", "delete", "--insecure", f"{host}/team/app@{digest}")

    tools.run("crane", "digest", "--insecure", image, fails=True)
    assert tools.run("crane", "ls", "--insecure", f"{host}/team/app").split() == []


@pytest.fixture
def regctl(tools: Tools, host: str) -> tuple[str, ...]:
    tools.run("regctl", "registry", "set", "--tls", "disabled", host)
    return ("regctl",)


def test_regctl_attaches_and_lists_artifacts(
    tools: Tools, host: str, image: str, regctl: tuple[str, ...]
) -> None:
    tools.run(
        *regctl, "artifact", "put", "--artifact-type", PAPER, "--subject", image, text="a paper"
    )

    found = tools.json(*regctl, "artifact", "list", image, "--format", "{{ json .Manifest }}")

    assert [each["artifactType"] for each in found["manifests"]] == [PAPER]


def test_regctl_copies_with_referrers_and_deletes_a_tag(
    tools: Tools, host: str, image: str, regctl: tuple[str, ...]
) -> None:
    paper = attach(tools, image)
    there = f"{host}/far/app:v1"
    tools.run(*regctl, "image", "copy", "--referrers", "--digest-tags", image, there)
    assert discovered(tools, there) == {paper}

    tools.run(*regctl, "tag", "rm", there)

    assert tools.run(*regctl, "tag", "ls", f"{host}/far/app").split() == []


def test_regctl_round_trips_sha512(
    tools: Tools, host: str, image: str, regctl: tuple[str, ...]
) -> None:
    there = f"{host}/team/app:long"
    tools.run(*regctl, "image", "mod", "--digest-algo", "sha512", "--create", there, image)

    manifest = json.loads(tools.run(*regctl, "manifest", "get", "--format", "raw-body", there))

    assert manifest["config"]["digest"].startswith("sha512:")
    tools.run("crane", "validate", "--insecure", "--remote", image)


def test_regctl_deletes_a_manifest_by_digest(
    tools: Tools, host: str, image: str, regctl: tuple[str, ...]
) -> None:
    digest = tools.run(*regctl, "manifest", "head", image).strip()

    tools.run(*regctl, "manifest", "delete", f"{host}/team/app@{digest}")

    tools.run(*regctl, "manifest", "head", image, fails=True)
