"""cosign 2 and 3 sign without keys against the development stack; what they made verifies with them
and with our verifier, which has nothing but the trusted root."""

import json
import sys
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from devstacks import root_of, running, token
from interop.conftest import Tools
from interop.test_cosign import by_digest
from interop.test_oras_crane_regctl import discovered, image
from retinue.attest.anchors import KeylessAnchor, Trust
from retinue.attest.proof import Clock, Proof
from retinue.attest.target import Target
from retinue.attest.verify import verify_bundle, verify_envelope, verify_simple
from retinue.devstack.server import Server
from retinue.oci.digest import parse

__all__ = ["image"]

WHO = "dev@example.test"
PREDICATE: Mapping[str, Any] = {"components": []}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "stack") as server:
        yield server


def folder(stack: Server) -> Path:
    return stack.state.folder.path


def trust(stack: Server) -> Trust:
    root = root_of(stack)
    return Trust((KeylessAnchor("dev", root, stack.url, identity=WHO),), (), (root,))


def raw(tools: Tools, name: str) -> bytes:
    return tools.run("crane", "manifest", "--insecure", name).encode().removesuffix(b"\n")


def manifest(tools: Tools, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(raw(tools, name))
    return found


def blob(tools: Tools, repository: str, digest: str) -> bytes:
    return tools.run(
        "oras", "blob", "fetch", "--plain-http", "-o", "-", f"{repository}@{digest}"
    ).encode()


def target(tools: Tools, subject: str) -> Target:
    digest = parse(subject.partition("@")[2])
    return Target(digest, "application/vnd.oci.image.manifest.v1+json", raw(tools, subject))


def proofs_of_bundles(tools: Tools, stack: Server, subject: str) -> list[Proof]:
    repository = subject.partition("@")[0]
    found = []
    for referrer in discovered(tools, subject):
        (layer,) = manifest(tools, f"{repository}@{referrer}")["layers"]
        bundle = blob(tools, repository, layer["digest"])
        found.append(verify_bundle(bundle, target(tools, subject), trust(stack)))
    return found


def identity(stack: Server) -> tuple[str, ...]:
    return ("--certificate-identity", WHO, "--certificate-oidc-issuer", stack.url)


def root_file(stack: Server) -> tuple[str, str]:
    return ("--trusted-root", str(folder(stack) / "trusted_root.json"))


def signing(stack: Server, config: str) -> tuple[str, ...]:
    return ("--yes", "--allow-insecure-registry", "--identity-token", token(stack, WHO),
            "--signing-config", str(folder(stack) / config), *root_file(stack))  # fmt: skip


@pytest.mark.parametrize(
    ("config", "clocks"),
    [
        ("signing_config.v0.2.json", {Clock.RFC3161}),
        ("signing_config.rekor-v1.json", {Clock.TLOG, Clock.RFC3161}),
    ],
)
def test_cosign_3_signs_and_both_verify(
    tools: Tools, stack: Server, image: str, config: str, clocks: set[Clock]
) -> None:
    subject = by_digest(tools, image)

    tools.run("cosign3", "sign", *signing(stack, config), subject)
    tools.run(
        "cosign3", "verify", "--allow-insecure-registry", *root_file(stack), *identity(stack),
        "--use-signed-timestamps", subject,
    )  # fmt: skip
    (proof,) = proofs_of_bundles(tools, stack, subject)

    assert (proof.principal, proof.logged) == (f"keyless:{stack.url} {WHO}", True)
    assert {time.clock for time in proof.times} == clocks


@pytest.mark.parametrize("config", ["signing_config.v0.2.json", "signing_config.rekor-v1.json"])
def test_cosign_3_attests_and_both_verify(
    tools: Tools, stack: Server, image: str, config: str
) -> None:
    subject = by_digest(tools, image)
    (tools.home / "sbom.json").write_text(json.dumps(PREDICATE))

    tools.run(
        "cosign3", "attest", *signing(stack, config), "--type", "cyclonedx",
        "--predicate", "sbom.json", subject,
    )  # fmt: skip
    tools.run(
        "cosign3", "verify-attestation", "--allow-insecure-registry", *root_file(stack),
        *identity(stack), "--use-signed-timestamps", "--type", "cyclonedx", subject,
    )  # fmt: skip
    (proof,) = proofs_of_bundles(tools, stack, subject)

    assert proof.statement is not None
    assert proof.statement.predicate_type == "https://cyclonedx.org/bom"


def test_cosign_3_refuses_another_identity(tools: Tools, stack: Server, image: str) -> None:
    subject = by_digest(tools, image)
    tools.run("cosign3", "sign", *signing(stack, "signing_config.v0.2.json"), subject)

    tools.run(
        "cosign3", "verify", "--allow-insecure-registry", *root_file(stack),
        "--certificate-identity", "eve@example.test", "--certificate-oidc-issuer", stack.url,
        "--use-signed-timestamps", subject, fails=True,
    )  # fmt: skip


def retinue(tools: Tools, *words: str | Path) -> str:
    return tools.run(sys.executable, "-m", "retinue", *words)


@pytest.mark.parametrize("config", ["signing_config.v0.2.json", "signing_config.rekor-v1.json"])
def test_retinue_signs_and_cosign_3_verifies(
    tools: Tools, stack: Server, image: str, config: str
) -> None:
    subject = by_digest(tools, image)
    (tools.home / "token").write_text(token(stack, WHO))
    (tools.home / "sbom.json").write_text(json.dumps(PREDICATE))
    words: tuple[str | Path, ...] = ("--yes", "--identity-token", "token", "--signing-config",
             folder(stack) / config, *root_file(stack))  # fmt: skip

    retinue(tools, "sign", *words, subject)
    retinue(tools, "attest", *words, "--type", "cyclonedx", "--predicate", "sbom.json", subject)

    given = ("--allow-insecure-registry", *root_file(stack), *identity(stack),
             "--use-signed-timestamps")  # fmt: skip
    tools.run("cosign3", "verify", *given, subject)
    tools.run("cosign3", "verify-attestation", *given, "--type", "cyclonedx", subject)
    retinue(tools, "verify", *root_file(stack), *identity(stack), subject)


def test_retinue_verifies_what_cosign_3_signed_and_nobody_else(
    tools: Tools, stack: Server, image: str
) -> None:
    subject = by_digest(tools, image)
    tools.run("cosign3", "sign", *signing(stack, "signing_config.v0.2.json"), subject)

    retinue(tools, "verify", *root_file(stack), *identity(stack), "--require-tlog", subject)
    tools.run(
        sys.executable, "-m", "retinue", "verify", *root_file(stack), "--certificate-identity",
        "eve@example.test", "--certificate-oidc-issuer", stack.url, subject, fails=True,
    )  # fmt: skip


def cosign_2(tools: Tools, stack: Server) -> tuple[str, ...]:
    """Addresses on the command line; keys and roots by the environment that it knows."""
    tools.environ = {**tools.environ, **pinned(stack)}
    return ("--yes", "--allow-insecure-registry", "--identity-token", token(stack, WHO),
            "--fulcio-url", stack.url, "--rekor-url", stack.url,
            "--timestamp-server-url", f"{stack.url}/api/v1/timestamp")  # fmt: skip


def pinned(stack: Server) -> Mapping[str, str]:
    """Files as `cosign initialize` would have fetched them."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    state, home = stack.state, folder(stack)
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    chain = "".join(stack.stack.authority.chain())
    files = {
        "SIGSTORE_ROOT_FILE": chain.encode(),
        "SIGSTORE_REKOR_PUBLIC_KEY": state.log_1.public_key().public_bytes(*form),
        "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE": state.ct_log.public_key().public_bytes(*form),
        "SIGSTORE_TSA_CERTIFICATE_FILE": b"".join(
            m.certificate.public_bytes(Encoding.PEM) for m in (state.time, state.time_root)
        ),
    }
    for name, content in files.items():
        (home / name).write_bytes(content)
    return {name: str(home / name) for name in files}


def test_cosign_2_signs_and_both_verify(tools: Tools, stack: Server, image: str) -> None:
    subject = by_digest(tools, image)
    repository, _, digest = subject.partition("@")

    tools.run("cosign2", "sign", *cosign_2(tools, stack), subject)
    tools.run(
        "cosign2", "verify", "--allow-insecure-registry", *identity(stack),
        "--rekor-url", stack.url, "--use-signed-timestamps", subject,
    )  # fmt: skip
    (layer,) = manifest(tools, f"{repository}:{digest.replace(':', '-')}.sig")["layers"]
    payload = blob(tools, repository, layer["digest"])
    proof = verify_simple(payload, layer["annotations"], target(tools, subject), trust(stack))

    assert {time.clock for time in proof.times} == {Clock.TLOG, Clock.RFC3161}


@pytest.mark.parametrize("config", ["signing_config.v0.2.json", "signing_config.rekor-v1.json"])
def test_cosign_2_signs_bundles_and_both_verify(
    tools: Tools, stack: Server, image: str, config: str
) -> None:
    subject = by_digest(tools, image)

    tools.run("cosign2", "sign", "--new-bundle-format", *signing(stack, config), subject)
    tools.run(
        "cosign2", "verify", "--allow-insecure-registry", "--new-bundle-format",
        *root_file(stack), *identity(stack), "--use-signed-timestamps", subject,
    )  # fmt: skip
    (proof,) = proofs_of_bundles(tools, stack, subject)

    assert (proof.principal, proof.logged) == (f"keyless:{stack.url} {WHO}", True)


@pytest.mark.parametrize("kind", ["dsse", "intoto"])
def test_cosign_2_attests_and_both_verify(
    tools: Tools, stack: Server, image: str, kind: str
) -> None:
    subject = by_digest(tools, image)
    repository, _, digest = subject.partition("@")
    (tools.home / "sbom.json").write_text(json.dumps(PREDICATE))

    tools.run(
        "cosign2", "attest", *cosign_2(tools, stack), "--rekor-entry-type", kind,
        "--type", "cyclonedx", "--predicate", "sbom.json", subject,
    )  # fmt: skip
    tools.run(
        "cosign2", "verify-attestation", "--allow-insecure-registry", *identity(stack),
        "--rekor-url", stack.url, "--type", "cyclonedx", "--use-signed-timestamps", subject,
    )  # fmt: skip
    (layer,) = manifest(tools, f"{repository}:{digest.replace(':', '-')}.att")["layers"]
    envelope = blob(tools, repository, layer["digest"])
    proofs = verify_envelope(envelope, target(tools, subject), trust(stack), layer["annotations"])

    assert [proof.logged for proof in proofs] == [True]
    assert kind in body_kinds(layer["annotations"])


def body_kinds(annotations: Mapping[str, str]) -> str:
    bundle = json.loads(annotations["dev.sigstore.cosign/bundle"])
    return str(json.loads(b64decode(bundle["Payload"]["body"]))["kind"])
