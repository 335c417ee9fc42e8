"""sigstore-python against the development stack: each signs, the other verifies."""

import json
import webbrowser
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

import pytest

from devstacks import now, root_of, running, token
from retinue.attest.anchors import KeylessAnchor, Trust
from retinue.attest.errors import SignerFailed
from retinue.attest.keyless import ambient_token, interactive_token, sign_keyless
from retinue.attest.services import read_signing_config
from retinue.attest.target import Target
from retinue.attest.verify import verify_bundle
from retinue.devstack.server import Server
from retinue.oci import names
from retinue.oci.digest import encoded, of

models = pytest.importorskip("sigstore.models")

WHO = "dev@example.test"
RAW = b'{"schemaVersion":2}'
TARGET = Target(of(RAW), "application/vnd.oci.image.manifest.v1+json", RAW)
SUBJECT = {"name": "image", "digest": {"sha256": encoded(TARGET.digest)}}
STATEMENT: dict[str, Any] = {
    "_type": "https://in-toto.io/Statement/v1", "subject": [SUBJECT],
    "predicateType": "https://example.test/p", "predicate": {"a": 1},
}  # fmt: skip
CONFIGS = ["signing_config.v0.2.json", "signing_config.rekor-v1.json"]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "stack") as server:
        yield server


def document(stack: Server, name: str) -> Any:
    return json.loads((stack.state.folder.path / name).read_text())


def config(stack: Server, signing: str) -> Any:
    """Its ClientTrustConfig; the package refuses plain loopback nowhere."""
    whole = document(stack, "client_trust_config.json")
    whole["signingConfig"] = document(stack, signing)
    return models.ClientTrustConfig.from_json(json.dumps(whole))


def trust(stack: Server) -> Trust:
    return Trust((KeylessAnchor("dev", root_of(stack), stack.url, identity=WHO),))


@pytest.mark.parametrize("signing", CONFIGS)
def test_it_signs_and_we_verify(stack: Server, signing: str) -> None:
    from sigstore.dsse import Statement
    from sigstore.oidc import IdentityToken
    from sigstore.sign import SigningContext

    identity = IdentityToken(token(stack, WHO))
    context = SigningContext.from_trust_config(config(stack, signing))
    with context.signer(identity) as signer:
        attested = signer.sign_dsse(Statement(json.dumps(STATEMENT).encode())).to_json()
        signed = signer.sign_artifact(RAW).to_json()

    found = [verify_bundle(text.encode(), TARGET, trust(stack)) for text in (attested, signed)]

    assert [proof.principal for proof in found] == [f"keyless:{stack.url} {WHO}"] * 2
    assert [proof.logged for proof in found] == [True, True]


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # its redirect server's
def test_a_login_in_the_browser_gives_a_token(
    stack: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    browsing: list[Thread] = []

    def browse(url: str) -> bool:
        browsing.append(Thread(target=lambda: urlopen(url).close()))
        browsing[0].start()
        return True

    monkeypatch.setattr(webbrowser, "open", browse)

    found = interactive_token(stack.url)

    browsing[0].join()
    assert stack.stack.issuer.read(found, now())["email"] == WHO
    assert "browser" in capfd.readouterr().err


def test_an_issuer_that_is_not_there_is_named() -> None:
    with pytest.raises(SignerFailed, match=r"http://127\.0\.0\.1:1"):
        interactive_token("http://127.0.0.1:1")


def test_a_machine_without_an_identity_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI"):
        monkeypatch.delenv(name, raising=False)

    assert ambient_token() is None


def test_a_ci_job_has_an_identity(stack: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitLab hands the token over in the environment."""
    monkeypatch.setenv("GITLAB_CI", "true")
    given = token(stack, WHO)
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", given)

    assert ambient_token() == given


@pytest.mark.parametrize("signing", CONFIGS)
def test_we_sign_and_it_verifies(stack: Server, signing: str) -> None:
    from sigstore.verify import Verifier
    from sigstore.verify.policy import Identity

    raw = (stack.state.folder.path / signing).read_bytes()
    services = read_signing_config(raw, root_of(stack), now())
    statement = json.dumps(STATEMENT).encode()

    bundle = sign_keyless(statement, token(stack, WHO), services, now())

    root = models.TrustedRoot.from_file(str(stack.state.folder.path / "trusted_root.json"))
    loaded = models.Bundle.from_json(bundle)
    policy = Identity(identity=WHO, issuer=stack.url)
    payload_type, payload = Verifier(trusted_root=root).verify_dsse(loaded, policy)
    assert (payload_type, payload) == (names.IN_TOTO, statement)
    assert b64decode(json.loads(bundle)["dsseEnvelope"]["payload"]) == statement
