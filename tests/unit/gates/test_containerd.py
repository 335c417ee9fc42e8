"""containerd's verifier protocol, and what bypasses it."""

import json
from textwrap import dedent

import pytest

from gating import digest
from retinue.gates.containerd import (
    ALLOWED,
    DESCRIPTOR,
    MAX_REASON,
    REFUSED,
    BadCall,
    read,
    verdict,
)
from retinue.gates.doctor import Entry, Finding, examine
from retinue.gates.judging import Answer
from retinue.oci import names

NAME = "reg.acme/app:1"
DIGEST = digest("app")


def descriptor(**more: object) -> bytes:
    return json.dumps({"mediaType": names.OCI_INDEX, "digest": DIGEST, "size": 7, **more}).encode()


def test_a_call_is_what_it_says() -> None:
    call = read(NAME, DIGEST, DESCRIPTOR, descriptor())

    assert (call.name, call.digest) == (NAME, DIGEST)


@pytest.mark.parametrize(
    ("name", "wanted", "media_type", "stdin", "part"),
    [
        ("", DIGEST, DESCRIPTOR, descriptor(), "-name"),
        (NAME, "sha256:1", DESCRIPTOR, descriptor(), "-digest"),
        (NAME, DIGEST, "application/json", descriptor(), "-stdin-media-type"),
        (NAME, DIGEST, DESCRIPTOR, b"", "stdin"),
        (NAME, DIGEST, DESCRIPTOR, b"[]", "stdin"),
        (NAME, DIGEST, DESCRIPTOR, descriptor(digest=digest("other")), "stdin"),
        (NAME, DIGEST, DESCRIPTOR, descriptor(digest=None), "stdin"),
        (NAME, DIGEST, DESCRIPTOR, descriptor(mediaType="text/plain"), "stdin"),
        (NAME, DIGEST, DESCRIPTOR, descriptor(mediaType=["x"]), "stdin"),
        (NAME, DIGEST, DESCRIPTOR, b" " * 2_000_000, "stdin"),
        (NAME, DIGEST, DESCRIPTOR, b'{"digest": "a", "digest": "b"}', "stdin"),
    ],
)
def test_anything_else_is_refused(
    name: str, wanted: str, media_type: str, stdin: bytes, part: str
) -> None:
    with pytest.raises(BadCall) as caught:
        read(name, wanted, media_type, stdin)
    assert caught.value.part == part


def test_the_exit_code_is_the_answer() -> None:
    assert verdict(Answer(NAME, allowed=True, why="good")) == (ALLOWED, f"{NAME}: good")
    assert verdict(Answer(NAME, allowed=False, why="a\nb"))[0] == REFUSED


def test_the_reason_is_one_line_of_bounded_length() -> None:
    _, reason = verdict(Answer(NAME, allowed=False, why="é\n" * 40_000))

    assert "\n" not in reason
    assert len(reason.encode()) < MAX_REASON


OURS = Entry("retinue", executable=True, writable=False)
BIN_DIR = "/opt/containerd/image-verifier/bin"


def examined(text: str, *entries: Entry, folder: str = BIN_DIR) -> list[Finding]:
    def listing(path: str) -> list[Entry] | None:
        return list(entries) if path == folder else None

    return list(examine(dedent(text).encode(), listing))


def bypasses(text: str, *entries: Entry, folder: str = BIN_DIR) -> list[str]:
    return [f.text for f in examined(text, *entries, folder=folder) if f.bypass]


def test_nothing_bypasses_a_good_configuration() -> None:
    assert bypasses("version = 3", OURS) == []
    assert examined("version = 4", OURS) == []


def test_another_folder_is_looked_into() -> None:
    text = """
        version = 3
        [plugins."io.containerd.image-verifier.v1.bindir"]
        bin_dir = "/verifiers"
        """

    assert bypasses(text, OURS, folder="/verifiers") == []
    assert bypasses(text, OURS) == ["there is no folder /verifiers: every image is allowed"]


@pytest.mark.parametrize(
    ("text", "entries", "said"),
    [
        ("version = 3", (), "every image is allowed"),
        ("version = [", (OURS,), "cannot be read"),
        ("version = 2", (OURS,), "never asks verifiers"),
        ("", (OURS,), "never asks verifiers"),
        ("version = 3", (Entry("retinue", executable=True, writable=True),), "replaced by others"),
        (
            'version = 3\ndisabled_plugins = ["io.containerd.image-verifier.v1.bindir"]',
            (OURS,),
            "disabled_plugins",
        ),
        (
            'version = 3\n[plugins."io.containerd.image-verifier.v1.bindir"]\nmax_verifiers = 1',
            (Entry("a", executable=True, writable=False), OURS),
            "retinue is never asked",
        ),
        (
            'version = 3\n[plugins."io.containerd.cri.v1.images"]\nuse_local_image_pull = true',
            (OURS,),
            "use_local_image_pull",
        ),
        (
            'version = 3\n[plugins."io.containerd.cri.v1.images"]\nmax_concurrent_downloads = 5',
            (OURS,),
            "max_concurrent_downloads",
        ),
        (
            'version = 3\n[plugins."io.containerd.cri.v1.images".registry.mirrors.x]\nendpoint=["y"]',
            (OURS,),
            "registry.mirrors",
        ),
        (
            'version = 3\n[plugins."io.containerd.grpc.v1.cri"]\nsandbox_image = "x"',
            (OURS,),
            "never asks verifiers",
        ),
    ],
)
def test_what_bypasses_verifiers(text: str, entries: tuple[Entry, ...], said: str) -> None:
    (found,) = bypasses(text, *entries)

    assert said in found


def test_options_at_their_defaults_bypass_nothing() -> None:
    text = 'version = 3\n[plugins."io.containerd.cri.v1.images"]\nmax_concurrent_downloads = 3'

    assert bypasses(text, OURS) == []


def test_what_is_not_executable_stops_every_pull_and_imports_are_told_of() -> None:
    broken = Entry("retinue", executable=False, writable=False)

    findings = examined('version = 4\nimports = ["/etc/more.toml"]', broken)

    assert [f.bypass for f in findings] == [False, False]


def test_a_configuration_of_odd_shapes_is_survived() -> None:
    assert bypasses('version = "x"\nplugins = 5', OURS)
