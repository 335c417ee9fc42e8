"""The containers tools: push, inspect, copy, pull, list, delete."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interop.conftest import Tools
from serving import Serving

PLAIN = "--src-tls-verify=false"
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'


@pytest.fixture
def skopeo(tools: Tools) -> tuple[str, ...]:
    policy = tools.home / "policy.json"
    policy.write_text(POLICY)
    return ("skopeo", "--policy", str(policy))


def test_skopeo_copies_in_and_out_byte_for_byte(
    tools: Tools, skopeo: tuple[str, ...], host: str, layout: Path
) -> None:
    image = f"docker://{host}/team/app:v1"
    tools.run(*skopeo, "copy", "--dest-tls-verify=false", f"oci:{layout}:v1", image)
    tools.run(
        *skopeo, "copy", PLAIN, "--dest-tls-verify=false", image, f"docker://{host}/other/app:v2"
    )
    tools.run(*skopeo, "copy", PLAIN, f"docker://{host}/other/app:v2", "oci:back:v1")
    original = (layout / "blobs/sha256").iterdir()

    back = {p.name for p in (tools.home / "back/blobs/sha256").iterdir()}

    assert back == {p.name for p in original}


def test_skopeo_inspects_and_lists(
    tools: Tools, skopeo: tuple[str, ...], host: str, layout: Path
) -> None:
    image = f"docker://{host}/team/app:v1"
    tools.run(*skopeo, "copy", "--dest-tls-verify=false", f"oci:{layout}:v1", image)

    seen = tools.json(*skopeo, "inspect", "--tls-verify=false", image)
    tags = tools.json(*skopeo, "list-tags", "--tls-verify=false", f"docker://{host}/team/app")

    assert (seen["Os"], seen["Architecture"], seen["RepoTags"]) == ("linux", "amd64", ["v1"])
    assert tags["Tags"] == ["v1"]


def test_skopeo_pushes_docker_manifests(
    tools: Tools, skopeo: tuple[str, ...], host: str, layout: Path
) -> None:
    image = f"docker://{host}/team/docker:v1"
    tools.run(
        *skopeo, "copy", "--format", "v2s2", "--dest-tls-verify=false", f"oci:{layout}:v1", image
    )

    raw = tools.json(*skopeo, "inspect", "--raw", "--tls-verify=false", image)

    assert raw["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"


def test_skopeo_deletes(tools: Tools, skopeo: tuple[str, ...], host: str, layout: Path) -> None:
    image = f"docker://{host}/team/app:v1"
    tools.run(*skopeo, "copy", "--dest-tls-verify=false", f"oci:{layout}:v1", image)

    tools.run(*skopeo, "delete", "--tls-verify=false", image)

    tools.run(*skopeo, "inspect", "--tls-verify=false", image, fails=True)


@pytest.fixture
def store(tools: Tools) -> Iterator[tuple[str, ...]]:
    """A storage of its own for podman and buildah, without overlay mounts; paths must be short."""
    (tools.home / ".config/containers").mkdir(parents=True)
    (tools.home / ".config/containers/policy.json").write_text(POLICY)
    with tempfile.TemporaryDirectory(prefix="rt-") as short:
        yield "--root", f"{short}/s", "--runroot", f"{short}/r", "--storage-driver", "vfs"


@pytest.mark.parametrize("program", ["podman", "buildah"])
def test_podman_and_buildah_pull_tag_and_push(
    program: str,
    tools: Tools,
    skopeo: tuple[str, ...],
    store: tuple[str, ...],
    host: str,
    layout: Path,
) -> None:
    tools.run(
        *skopeo,
        "copy",
        "--dest-tls-verify=false",
        f"oci:{layout}:v1",
        f"docker://{host}/team/app:v1",
    )

    tools.run(program, *store, "pull", "--tls-verify=false", f"{host}/team/app:v1")
    tools.run(
        program,
        *store,
        "push",
        "--tls-verify=false",
        f"{host}/team/app:v1",
        f"docker://{host}/team/{program}:v2",
    )
    tools.run(program, *store, "rmi", f"{host}/team/app:v1")
    tools.run(program, *store, "pull", "--tls-verify=false", f"{host}/team/{program}:v2")
    seen = tools.json(
        *skopeo, "inspect", "--tls-verify=false", f"docker://{host}/team/{program}:v2"
    )

    assert seen["Architecture"] == "amd64"


def test_podman_logs_in_and_wrong_passwords_are_refused(
    tools: Tools, start: Callable[..., Serving], store: tuple[str, ...], tmp_path: Path
) -> None:
    import bcrypt

    users = tmp_path / "users"
    users.write_text("ann:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode() + "\n")
    host = start(htpasswd=str(users)).host

    tools.run(
        "podman",
        *store,
        "login",
        "--tls-verify=false",
        "-u",
        "ann",
        "--password-stdin",
        host,
        text="secret",
    )
    tools.run(
        "podman",
        *store,
        "login",
        "--tls-verify=false",
        "-u",
        "ann",
        "--password-stdin",
        host,
        text="wrong",
        fails=True,
    )
