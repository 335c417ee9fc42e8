"""notation 1.3.2: what it signs verifies here, what we sign verifies there."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from interop.conftest import Tools
from retinue.attest.anchors import Trust, X509Anchor
from retinue.attest.errors import Refused
from retinue.attest.keys.pem import load_private
from retinue.attest.notation import sign_notation, thumbprints, verify_notation
from retinue.attest.target import Target
from retinue.oci import digest as digests
from retinue.oci import names

VECTORS = Path(__file__).parents[1] / "vectors/trust/notation"
KINDS = ("P-256", "P-384", "P-521", "rsa2048", "rsa3072", "rsa4096")
TYPES = {"jws": names.NOTATION_JWS, "cose": names.NOTATION_COSE}


def trust() -> Trust:
    root = x509.load_pem_x509_certificate((VECTORS / "root.pem").read_bytes())
    return Trust((X509Anchor("notary", (root,), {"C": "DE", "ST": "Berlin", "O": "Example"}),))


@pytest.fixture
def notation(tools: Tools) -> Tools:
    """A home where notation trusts the root of the vectors, and has their keys."""
    config = tools.home / "notation"
    store = config / "truststore/x509/ca/test"
    store.mkdir(parents=True)
    shutil.copy(VECTORS / "root.pem", store / "root.pem")
    policy = {
        "name": "all",
        "registryScopes": ["*"],
        "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:test"],
        "trustedIdentities": ["x509.subject: C=DE, ST=Berlin, O=Example"],
    }
    document = {"version": "1.0", "trustPolicies": [policy]}
    (config / "trustpolicy.json").write_text(json.dumps(document))
    keys = []
    for kind in KINDS:  # it refuses keys that others may read
        shutil.copy(VECTORS / f"{kind}.key", config / f"{kind}.key")
        (config / f"{kind}.key").chmod(0o600)
        chain = str(VECTORS / f"{kind}.chain.pem")
        keys.append({"name": kind, "keyPath": str(config / f"{kind}.key"), "certPath": chain})
    (config / "signingkeys.json").write_text(json.dumps({"keys": keys}))
    tools.environ = {**tools.environ, "XDG_CONFIG_HOME": str(tools.home)}
    return tools


@pytest.fixture
def image(tools: Tools, host: str) -> str:
    (tools.home / "hello.txt").write_text("hello\n")
    name = f"{host}/team/app:v1"
    tools.run("oras", "push", "--plain-http", name, "hello.txt:text/plain")
    return name


def target(tools: Tools, image: str) -> Target:
    raw = tools.run("oras", "manifest", "fetch", "--plain-http", image).encode()
    return Target(digests.of(raw), names.OCI_MANIFEST, raw)


def envelopes(tools: Tools, image: str) -> list[bytes]:
    repository = image.rpartition(":")[0]
    told = tools.json(
        "oras", "discover", "--plain-http", "--format", "json",
        "--artifact-type", names.NOTATION_SIGNATURE, image,
    )  # fmt: skip
    found = []
    for each in told.get("referrers") or told["manifests"]:
        name = f"{repository}@{each['digest']}"
        manifest = tools.json("oras", "manifest", "fetch", "--plain-http", name)
        blob = f"{repository}@{manifest['layers'][0]['digest']}"
        tools.run("oras", "blob", "fetch", "--plain-http", "--output", "blob", blob)
        found.append((tools.home / "blob").read_bytes())
    return found


def attach(tools: Tools, image: str, envelope: bytes) -> None:
    (tools.home / "signature").write_bytes(envelope)
    [(name, value)] = thumbprints(envelope).items()
    tools.run(
        "oras", "attach", "--plain-http", "--artifact-type", names.NOTATION_SIGNATURE,
        "--annotation", f"{name}={value}", image, f"signature:{names.NOTATION_JWS}",
    )  # fmt: skip


@pytest.mark.parametrize("form", TYPES)
@pytest.mark.parametrize("kind", ["P-384", "rsa3072"])  # the others are golden vectors
def test_what_notation_signs_verifies(notation: Tools, image: str, kind: str, form: str) -> None:
    notation.run(
        "notation", "sign", "--insecure-registry", "--force-referrers-tag=false",
        "--signature-format", form, "--key", kind, "--user-metadata", "env=prod", image,
    )  # fmt: skip

    [raw] = envelopes(notation, image)

    proof = verify_notation(raw, TYPES[form], target(notation, image), trust())
    assert proof.annotations == {"env": "prod"}
    changed = target(notation, image).raw + b"\n"
    other = Target(digests.of(changed), names.OCI_MANIFEST, changed)
    with pytest.raises(Refused):
        verify_notation(raw, TYPES[form], other, trust())


@pytest.mark.parametrize("kind", KINDS)
def test_notation_verifies_what_we_sign(notation: Tools, image: str, kind: str) -> None:
    now = datetime.now(UTC)
    signer = load_private((VECTORS / f"{kind}.key").read_bytes(), None, kind)
    chain = (VECTORS / f"{kind}.chain.pem").read_bytes()
    envelope = sign_notation(
        target(notation, image), signer, chain,
        now=now, expires=now + timedelta(hours=1), annotations={"env": "prod"},
    )  # fmt: skip

    attach(notation, image, envelope)

    verify = ("notation", "verify", "--insecure-registry", image)
    assert "Successfully verified" in notation.run(*verify, "--user-metadata", "env=prod")
    notation.run(*verify, "--user-metadata", "env=test", fails=True)
