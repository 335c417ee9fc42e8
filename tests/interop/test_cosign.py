"""cosign 2 and 3 sign and verify over our registry; nothing that they attach is lost."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from interop.conftest import Tools
from interop.test_oras_crane_regctl import discovered, image

__all__ = ["image"]
SIGN3 = ("--use-signing-config=false", "--tlog-upload=false")


@pytest.fixture
def key(tools: Tools) -> str:
    tools.run("cosign3", "generate-key-pair")
    return "cosign.key"


def by_digest(tools: Tools, name: str) -> str:
    return f"{name.rpartition(':')[0]}@{tools.run('crane', 'digest', '--insecure', name).strip()}"


def test_cosign_3_signs_with_bundles_as_referrers(tools: Tools, image: str, key: str) -> None:
    subject = by_digest(tools, image)
    tools.run(
        "cosign3", "sign", "--yes", *SIGN3, "--allow-insecure-registry", "--key", key, subject
    )

    tools.run(
        "cosign3",
        "verify",
        "--allow-insecure-registry",
        "--insecure-ignore-tlog",
        "--key",
        "cosign.pub",
        subject,
    )

    assert len(discovered(tools, image)) == 1


def test_cosign_2_signs_with_a_tag(tools: Tools, image: str, key: str) -> None:
    subject = by_digest(tools, image)
    tools.run(
        "cosign2",
        "sign",
        "--yes",
        "--tlog-upload=false",
        "--allow-insecure-registry",
        "--key",
        key,
        subject,
    )

    tools.run(
        "cosign2",
        "verify",
        "--allow-insecure-registry",
        "--insecure-ignore-tlog",
        "--key",
        "cosign.pub",
        subject,
    )

    repository = image.rpartition(":")[0]
    tags = tools.run("crane", "ls", "--insecure", repository).split()
    assert sorted(tags) == [subject.partition("@")[2].replace(":", "-") + ".sig", "v1"]


def test_eight_signers_at_once_lose_nothing(tools: Tools, image: str, key: str) -> None:
    subject = by_digest(tools, image)

    def sign(number: int) -> str:
        return tools.run(
            "cosign3",
            "sign",
            "--yes",
            *SIGN3,
            "--allow-insecure-registry",
            "-a",
            f"n={number}",
            "--key",
            key,
            subject,
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sign, range(8)))

    assert len(discovered(tools, image)) == 8
