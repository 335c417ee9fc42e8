"""cosign signs without keys against a development stack; `retinue verify` has its root, and no network."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devstacks import running, token
from interop.signers import Cosign, Image, Retinue
from retinue.devstack.server import Server

WHO = "dev@example.test"
REFUSED = 11


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "stack") as server:
        yield server


def folder(stack: Server) -> Path:
    return stack.state.folder.path


def trusting(stack: Server, who: str = WHO) -> tuple[str, ...]:
    root = ("--trusted-root", str(folder(stack) / "trusted_root.json"))
    return (*root, "--certificate-identity", who, "--certificate-oidc-issuer", stack.url)


@pytest.mark.parametrize("config", ["signing_config.v0.2.json", "signing_config.rekor-v1.json"])
def test_identities_verify_offline(
    cosign: Callable[..., Cosign],
    retinue: Retinue,
    pushed: Callable[..., Image],
    stack: Server,
    config: str,
) -> None:
    image = pushed()
    flags = (
        "--yes", "--identity-token", token(stack, WHO),
        "--signing-config", str(folder(stack) / config), *trusting(stack)[:2],
    )  # fmt: skip
    cosign(3)("sign", *flags, image.reference)
    what = ("--type", "cyclonedx", "--predicate", "sbom.json")
    cosign(3)("attest", *flags, *what, image.reference)
    stack.stop()

    retinue("verify", *trusting(stack), "--require-tlog", image.tagged)
    retinue("verify", *trusting(stack), "--type", "cyclonedx", image.tagged)
    retinue("verify", *trusting(stack, "eve@example.test"), image.tagged, code=REFUSED)
    retinue("verify", "--key", "p256.pub", image.tagged, code=REFUSED)


def test_a_signature_with_a_key_is_shown_to_be_in_a_log(
    cosign: Callable[..., Cosign], retinue: Retinue, pushed: Callable[..., Image], stack: Server
) -> None:
    logged, unlogged = pushed(), pushed()
    config = str(folder(stack) / "signing_config.v0.2.json")
    flags = ("--yes", "--key", "p256.key", "--signing-config", config, *trusting(stack)[:2])
    password = {"COSIGN_PASSWORD": "correct horse battery staple"}
    cosign(3)("sign", *flags, logged.reference, env=password)
    cosign(3).sign(unlogged.reference)
    by = ("verify", "--key", "p256.pub", *trusting(stack)[:2], "--require-tlog")

    retinue(*by, logged.tagged)
    retinue(*by, unlogged.tagged, code=REFUSED)
