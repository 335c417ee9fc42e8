"""Signatures by a key with a time and a log entry: cosign verifies ours, and we verify cosign's."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from devstacks import running
from interop.conftest import Tools
from interop.signers import Cosign, Retinue, password, prepare
from interop.test_cosign import by_digest
from interop.test_devstack import pinned
from interop.test_oras_crane_regctl import image
from retinue.devstack.server import Server

__all__ = ["image"]

NEW, OLD = "signing_config.v0.2.json", "signing_config.rekor-v1.json"
SBOM = ("--type", "cyclonedx")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "stack") as server:
        yield server


@pytest.fixture
def subject(tools: Tools, image: str, stack: Server) -> str:
    prepare(tools.home)
    with urlopen(f"{stack.url}/api/v1/timestamp/certchain") as answer:
        (tools.home / "tsa.pem").write_bytes(answer.read())
    return by_digest(tools, image)


def root(stack: Server) -> tuple[str, str]:
    return ("--trusted-root", str(stack.state.folder.path / "trusted_root.json"))


def config(stack: Server, name: str) -> tuple[str, ...]:
    return ("--signing-config", str(stack.state.folder.path / name), *root(stack))


def addresses(stack: Server) -> tuple[str, ...]:
    return ("--timestamp-server-url", f"{stack.url}/api/v1/timestamp", "--rekor-url", stack.url)


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("p256", lambda stack: config(stack, NEW)),
        ("p256", lambda stack: config(stack, OLD)),
        ("p256", lambda stack: (*addresses(stack), *root(stack))),
        ("ed25519", lambda stack: config(stack, OLD)),
        ("rsa2048", lambda stack: config(stack, NEW)),
    ],
    ids=["v2", "v1", "addresses", "ed25519", "rsa"],
)
def test_cosign_3_verifies_what_retinue_had_witnessed(
    tools: Tools, stack: Server, subject: str, key: str, asked: Callable[[Server], tuple[str, ...]]
) -> None:
    retinue = Retinue(tools)
    signing = ("--key", f"{key}.key", *asked(stack), subject)

    retinue("sign", *signing, key=key)
    retinue("attest", *SBOM, "--predicate", "sbom.json", *signing, key=key)

    given = ("--key", f"{key}.pub", *root(stack), "--use-signed-timestamps", subject)
    tools.run("cosign3", "verify", *given)
    tools.run("cosign3", "verify-attestation", *SBOM, *given)
    retinue("verify", "--key", f"{key}.pub", "--require-tlog", *root(stack), subject)


def test_cosign_3_refuses_what_was_not_logged(tools: Tools, stack: Server, subject: str) -> None:
    Retinue(tools)("sign", "--key", "p256.key", subject)

    tools.run("cosign3", "verify", "--key", "p256.pub", *root(stack), subject, fails=True)


@pytest.mark.parametrize("name", [NEW, OLD])
def test_retinue_verifies_what_cosign_3_had_witnessed(
    tools: Tools, stack: Server, subject: str, name: str
) -> None:
    signing = ("--yes", "--key", "p256.key", *config(stack, name))
    tools.run("cosign3", "sign", *signing, subject, env=password("p256"))
    tools.run(
        "cosign3", "attest", *SBOM, "--predicate", "sbom.json", *signing, subject,
        env=password("p256"),
    )  # fmt: skip

    retinue = Retinue(tools)
    given = ("--key", "p256.pub", "--require-tlog", *root(stack), subject)
    (judged,) = retinue.json("verify", *given)
    retinue("verify", *SBOM, *given)

    clocks = {time["clock"] for paper in judged["papers"] for time in paper["signed_at"]}
    assert clocks == ({"rfc3161"} if name == NEW else {"rfc3161", "tlog"})


def test_cosign_2_verifies_our_legacy_form(tools: Tools, stack: Server, subject: str) -> None:
    retinue = Retinue(tools)
    signing = ("--format", "legacy", "--key", "p256.key", *addresses(stack), *root(stack), subject)

    retinue("sign", *signing)
    retinue("attest", *SBOM, "--predicate", "sbom.json", *signing)

    tools.environ = {**tools.environ, **pinned(stack)}
    given = ("--key", "p256.pub", "--rekor-url", stack.url, "--use-signed-timestamps",
             "--timestamp-certificate-chain", "tsa.pem", subject)  # fmt: skip
    tools.run("cosign2", "verify", *given)
    tools.run("cosign2", "verify-attestation", *SBOM, *given)


def test_retinue_verifies_the_legacy_form_of_cosign_2(
    tools: Tools, stack: Server, subject: str
) -> None:
    tools.environ = {**tools.environ, **pinned(stack)}
    signing = ("--yes", "--key", "p256.key", *addresses(stack), subject)
    tools.run("cosign2", "sign", *signing, env=password("p256"))
    tools.run(
        "cosign2", "attest", *SBOM, "--predicate", "sbom.json", *signing, env=password("p256")
    )

    given = ("--key", "p256.pub", "--require-tlog", *root(stack), subject)
    (judged,) = Retinue(tools).json("verify", *given)
    Retinue(tools)("verify", *SBOM, *given)

    clocks = {time["clock"] for paper in judged["papers"] for time in paper["signed_at"]}
    assert clocks == {"rfc3161", "tlog"}
    assert Cosign(tools, 2, "legacy").verify(subject)
