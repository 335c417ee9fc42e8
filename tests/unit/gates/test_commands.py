"""`retinue gate` and `retinue policy import`, as they are called."""

import asyncio
import io
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from builders import CONFIG, LAYER, image
from gate_callers import Caller, certify, post
from gating import pod, review
from loopback import Registry, client, fill, serving
from retinue.attest.keys.pem import load_private
from retinue.attest.sign import sign_statement, signature_statement
from retinue.cli import gate, trusting
from retinue.cli.gates import kubernetes
from retinue.cli.gates import serving as serving_gate
from retinue.cli.gates.judging import Judging
from retinue.cli.options import Parser
from retinue.cli.policy import take
from retinue.cli.problems import BadUsage
from retinue.client.client import Client
from retinue.client.guard import Guard
from retinue.client.transport import Settings, Transport
from retinue.errors import RetinueError
from retinue.gates.containerd import DESCRIPTOR
from retinue.oci.manifest import Manifest
from retinue.oci.reference import parse
from retinue.papers.attach import attach_bundle
from retinue.policy import cel
from retinue.policy.errors import ExtraMissing, ImportRefused, PolicyInvalid

SIGNED = image()
UNSIGNED = image(annotations={"signed": "no"})

Call: TypeAlias = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture(autouse=True)
def nothing_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    """Holds a signed and an unsigned image; beside the tests lies a policy that tells them apart."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    signer = load_private(private, None, "test")
    (tmp_path / "ci.pub").write_bytes(signer.public.pem)
    async with serving() as found, client() as reached:
        store = reached.remote(found.host, "app")
        await fill(store, [SIGNED, UNSIGNED], [CONFIG, LAYER])
        await store.put_tag("1", SIGNED.digest)
        await store.put_tag("2", UNSIGNED.digest)
        bundle = sign_statement(signature_statement(SIGNED.digest, {"tag": "1"}), signer)
        await attach_bundle(store, SIGNED, bundle, created=datetime(2026, 6, 1, tzinfo=UTC))
        write(tmp_path, found, "")
        yield found


def write(folder: Path, registry: Registry, more: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(
        'version = 1\nunmatched = "refuse"\n[anchors.ci]\ntype = "key"\nkeys = [{pem = "ci.pub"}]\n'
        f'[[rule]]\nname = "prod"\nimages = ["{registry.host}/**"]\n{more}\n'
        '[rule.signatures]\nof = ["ci"]\n'
    )
    return path


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command's module in a thread, as the registry lives in this one."""

    def run(module: ModuleType, words: list[str], stdin: bytes) -> int:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        parser = Parser("retinue", "test", module.__doc__ or "")
        module.arguments(parser)
        code: int = module.run(parser.parse_args(words))
        return code

    async def call(module: ModuleType, *words: object, stdin: bytes = b"") -> tuple[int, str]:
        code = await asyncio.to_thread(run, module, [str(word) for word in words], stdin)
        return code, capsys.readouterr().out

    return call


def containerd(registry: Registry, folder: Path, tag: str, manifest: Manifest) -> list[object]:
    asked = ["-name", f"{registry.host}/app:{tag}", "-digest", manifest.digest]
    policy = ["--policy", folder / "policy.toml"]
    return ["containerd", *policy, *asked, "-stdin-media-type", DESCRIPTOR]


def descriptor(manifest: Manifest) -> bytes:
    return json.dumps({"mediaType": manifest.media_type, "digest": manifest.digest}).encode()


async def test_containerd_is_told_yes_of_a_signed_image(
    registry: Registry, call: Call, tmp_path: Path
) -> None:
    code, out = await call(
        gate, *containerd(registry, tmp_path, "1", SIGNED), stdin=descriptor(SIGNED)
    )

    assert (code, out) == (0, f"{registry.host}/app:1: allowed: {SIGNED.digest}\n")


async def test_and_no_of_another_with_the_reason(
    registry: Registry, call: Call, tmp_path: Path
) -> None:
    code, out = await call(
        gate, *containerd(registry, tmp_path, "2", UNSIGNED), stdin=descriptor(UNSIGNED)
    )

    assert code == 1
    assert "prod, signatures: 0 of 1 needed from ci" in out


async def test_the_digest_is_judged_whatever_the_tag_names_by_now(
    registry: Registry, call: Call, tmp_path: Path
) -> None:
    words = containerd(registry, tmp_path, "1", UNSIGNED)

    assert (await call(gate, *words, stdin=descriptor(UNSIGNED)))[0] == 1


async def test_where_tags_must_be_signed_the_tag_must_still_be_that(
    registry: Registry, call: Call, tmp_path: Path
) -> None:
    write(tmp_path, registry, 'tag = "signed"')
    good = containerd(registry, tmp_path, "1", SIGNED)
    moved = containerd(registry, tmp_path, "2", SIGNED)

    assert (await call(gate, *good, stdin=descriptor(SIGNED)))[0] == 0
    code, out = await call(gate, *moved, stdin=descriptor(SIGNED))
    assert code == 1
    assert "by now" in out


@pytest.mark.parametrize("stdin", [b"", b"{}", descriptor(UNSIGNED)])
async def test_what_is_no_call_is_refused(
    registry: Registry, call: Call, tmp_path: Path, stdin: bytes
) -> None:
    code, out = await call(gate, *containerd(registry, tmp_path, "1", SIGNED), stdin=stdin)

    assert code == 1
    assert out.startswith("not judged, so refused: ")


async def test_without_a_policy_nothing_passes(
    registry: Registry, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "policy.toml").unlink()
    words = containerd(registry, tmp_path, "1", SIGNED)

    assert (await call(gate, *words, stdin=descriptor(SIGNED)))[0] == 1


async def test_a_gate_follows_its_policy_and_keeps_the_last_good_one(
    registry: Registry, tmp_path: Path
) -> None:
    path = write(tmp_path, registry, 'mode = "audit"')
    async with client() as reached:
        judging = Judging(reached, path)
        assert not judging.ready
        await judging.refresh()
        assert judging.ready
        assert (await judging(f"{registry.host}/app:2")).allowed
        write(tmp_path, registry, "")
        await judging.refresh()
        assert not (await judging(f"{registry.host}/app:2")).allowed
        path.write_text("broken")
        with pytest.raises(PolicyInvalid):
            await judging.refresh()
        assert (await judging.about(parse(f"{registry.host}/app:1"))).allowed


@pytest.mark.parametrize("named", [False, True])
async def test_a_gate_calls_its_own_machine_only_where_that_is_named(
    registry: Registry, call: Call, tmp_path: Path, named: bool
) -> None:
    path = write(tmp_path, registry, "")
    path.write_text(path.read_text().replace(f"{registry.host}/**", "**"))
    words = containerd(registry, tmp_path, "1", SIGNED)
    words += ["--local-registry", registry.host] * named
    before = len(registry.calls)

    code, out = await call(gate, *words, stdin=descriptor(SIGNED))

    assert (code == 0) is named
    assert ("is not asked" in out) is not named
    assert (len(registry.calls) > before) is named


async def test_a_policy_names_registries_for_as_long_as_it_holds(
    registry: Registry, tmp_path: Path
) -> None:
    guard = Guard()
    path = write(tmp_path, registry, "")
    transport = Transport(Settings(guard=guard), random=lambda: 0.5)
    async with Client(transport, lambda *_: None) as reached:
        judging = Judging(reached, path)
        assert (await judging(f"{registry.host}/app:1")).allowed
        path.write_text(path.read_text().replace(f"{registry.host}/**", "**"))
        await judging.refresh()
    assert not guard.named


async def test_a_policy_holds_at_once_even_where_its_list_cannot_be_fetched(
    registry: Registry, tmp_path: Path
) -> None:
    """It may say that the key is lost with which the list that is known was signed."""
    path = write(tmp_path, registry, "")
    async with client() as reached:
        judging = Judging(reached, path)
        await judging.refresh()
        assert (await judging(f"{registry.host}/app:1")).allowed
        terms = '[revocation]\nrevokers = ["ci"]\nlist = "127.0.0.1:1/trust/list"\n'
        path.write_text(path.read_text().replace("[[rule]]", f"{terms}[[rule]]", 1))
        with pytest.raises(RetinueError):
            await judging.refresh()
        decision = await judging(f"{registry.host}/app:1")
        assert (decision.allowed, decision.undecided) == (False, True)


EXPRESSION = """
[[rule]]
name = "clean"
images = ["**"]
on = {on}
[[rule.attestation]]
type = "vuln"
by = ["ci"]
cel = "predicate.critical == 0"
"""


def with_expression(folder: Path, registry: Registry, on: str) -> Path:
    path = write(folder, registry, "")
    path.write_text(path.read_text() + EXPRESSION.format(on=on))
    return path


async def test_a_gate_judges_by_a_policy_with_expressions_for_others_and_has_no_means_to_evaluate_them(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = with_expression(tmp_path, registry, '["cli", "promote"]')
    cel._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)  # an import fails

    async with client() as reached:
        judging = Judging(reached, path)
        await judging.refresh()
        assert (await judging(f"{registry.host}/app:1")).allowed
        assert not (await judging(f"{registry.host}/app:2")).allowed
    with pytest.raises(ExtraMissing):
        trusting.from_file(path, cel=True)


@pytest.mark.parametrize("on", ['["admission"]', '["pull", "cli"]'])
async def test_a_gate_refuses_a_policy_that_would_have_somebody_wait_for_an_expression(
    registry: Registry, call: Call, tmp_path: Path, on: str
) -> None:
    path = with_expression(tmp_path, registry, on)

    async with client() as reached:
        with pytest.raises(PolicyInvalid, match="is never evaluated on"):
            await Judging(reached, path).refresh()
    code, out = await call(
        gate, *containerd(registry, tmp_path, "1", SIGNED), stdin=descriptor(SIGNED)
    )
    assert (code, "is never evaluated on" in out) == (1, True)


@pytest.mark.parametrize("name", ["policy.cue", "policy.rego"])
async def test_programs_are_not_imported(call: Call, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("package signature")

    with pytest.raises(ImportRefused, match="CUE or Rego"):
        await call(take, tmp_path / name)


async def test_a_served_gate_reads_its_policy_again_and_stops_when_told(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = certify(tmp_path, "gate")
    said: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr(serving_gate, "note", said.put_nowait)
    parser = Parser("retinue", "test", "")
    kubernetes.arguments(parser)
    tls = ["--tls-cert", str(certificate), "--tls-key", str(key)]
    path = write(tmp_path, registry, 'mode = "audit"')
    args = parser.parse_args(["--policy", str(path), "--listen", "127.0.0.1:0", *tls])
    refreshed: asyncio.Queue[None] = asyncio.Queue()
    refresh = Judging.refresh

    async def noticed(judging: Judging) -> None:
        await refresh(judging)
        refreshed.put_nowait(None)

    monkeypatch.setattr(Judging, "refresh", noticed)
    running = asyncio.create_task(
        serving_gate._serve(args, lambda judge: kubernetes._handlers(judge, tags=True))
    )
    port = int((await said.get()).rpartition(":")[2])
    call = Caller(port, ssl.create_default_context(cafile=certificate))
    asked = post("/validate", review(pod(f"{registry.host}/app:2")))

    await refreshed.get()
    (before,) = await call(asked)
    write(tmp_path, registry, "")
    os.kill(os.getpid(), signal.SIGHUP)
    await refreshed.get()
    (after,) = await call(asked)
    os.kill(os.getpid(), signal.SIGTERM)
    await running

    assert b'"allowed": true' in before
    assert b'"allowed": false' in after


@pytest.mark.parametrize(
    "wrong", [["--listen", "nowhere"], ["--listen", "127.0.0.1:x"], ["--deadline", "0"]]
)
async def test_a_gate_that_cannot_be_served_is_said(
    registry: Registry, tmp_path: Path, wrong: list[str]
) -> None:
    certificate, key = certify(tmp_path, "gate")
    parser = Parser("retinue", "test", "")
    kubernetes.arguments(parser)
    tls = ["--tls-cert", str(certificate), "--tls-key", str(key)]
    args = parser.parse_args(["--policy", str(tmp_path / "policy.toml"), *tls, *wrong])

    with pytest.raises(BadUsage):
        await serving_gate._serve(args, lambda _: {})


async def test_names_of_files_are_no_images(registry: Registry, tmp_path: Path) -> None:
    async with client() as reached:
        with pytest.raises(RetinueError):
            await Judging(reached, tmp_path / "policy.toml")("oci:/etc")


async def test_the_doctor_looks_where_containerd_does(call: Call, tmp_path: Path) -> None:
    folder, config = tmp_path / "bin", tmp_path / "config.toml"
    config.write_text(
        f'version = 4\n[plugins."io.containerd.image-verifier.v1.bindir"]\nbin_dir = "{folder}"\n'
    )

    code, out = await call(gate, "doctor", "--config", config, "--json")
    assert code == 1
    assert [f["text"] for f in json.loads(out)] == [
        f"there is no folder {folder}: every image is allowed"
    ]

    folder.mkdir()
    folder.chmod(0o777)
    (folder / "retinue").write_text("#!/bin/sh\n")
    code, out = await call(gate, "doctor", "--config", config, "--json")
    assert code == 1
    assert [f["bypass"] for f in json.loads(out)] == [False, True]


async def test_a_cluster_image_policy_is_printed_as_ours(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "cip.yaml"
    path.write_text(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: p}\n"
        'spec:\n  images: [{glob: "**"}]\n  authorities: [{static: {action: pass}}]\n'
    )

    code, out = await call(take, path)

    assert code == 0
    assert 'name = "p"' in out


async def test_a_trust_policy_comes_with_its_store(call: Call, tmp_path: Path) -> None:
    store = tmp_path / "trust-store"
    (store / "x509/ca/acme/sub").mkdir(parents=True)
    for name in ("a.pem", "b.crt", "c.txt", "sub/d.pem"):
        (store / "x509/ca/acme" / name).write_text("x")
    (store / "x509/ca/acme/link.pem").symlink_to("a.pem")
    path = tmp_path / "trustpolicy.json"
    statement = {
        "name": "all",
        "registryScopes": ["*"],
        "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:acme"],
        "trustedIdentities": ["*"],
    }
    path.write_text(json.dumps({"version": "1.0", "trustPolicies": [statement]}))

    code, out = await call(take, path, "--trust-store", store)

    assert code == 0
    assert 'roots = ["x509/ca/acme/a.pem", "x509/ca/acme/b.crt"]' in out
    with pytest.raises(RetinueError, match="--trust-store"):
        await call(take, path)
