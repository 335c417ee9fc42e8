"""notation 1.3.2: what it signs verifies here, what we sign verifies there."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace

from devstacks import root_of, running
from interop.conftest import Tools
from retinue.attest.anchors import Trust, X509Anchor
from retinue.attest.errors import Refused
from retinue.attest.keys.pem import load_private
from retinue.attest.notation import (
    countersigned,
    sign_notation,
    signature_of,
    thumbprints,
    verify_notation,
)
from retinue.attest.proof import Clock
from retinue.attest.target import Target
from retinue.attest.timestamp import request
from retinue.devstack import stamps
from retinue.devstack.server import Server
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


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "stack") as server:
        yield server


@pytest.fixture
def stamping(stack: Server) -> Iterator[str]:
    """The stack's timestamps with the status 200 that notation asks for; Sigstore's say 201."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            answer = stamps.stamp(stack.state, query, datetime.now(UTC))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("form", TYPES)
def test_a_time_that_notation_had_stamped_is_trusted(
    notation: Tools, image: str, stack: Server, stamping: str, form: str
) -> None:
    root = root_of(stack)
    pem = root.timestamps[0].chain[-1].public_bytes(Encoding.PEM)
    (notation.home / "tsa.pem").write_bytes(pem)
    notation.run(
        "notation", "sign", "--insecure-registry", "--force-referrers-tag=false",
        "--signature-format", form, "--key", "P-256",
        "--timestamp-url", stamping, "--timestamp-root-cert", "tsa.pem",
        image,
    )  # fmt: skip

    [raw] = envelopes(notation, image)

    trusting = replace(trust(), roots=(root,))
    [time] = verify_notation(raw, TYPES[form], target(notation, image), trusting).times
    assert time.clock is Clock.RFC3161
    assert verify_notation(raw, TYPES[form], target(notation, image), trust()).times == ()


def test_notation_trusts_a_time_that_we_had_stamped(
    notation: Tools, image: str, stack: Server
) -> None:
    store = notation.home / "notation/truststore/x509/tsa/stack"
    store.mkdir(parents=True)
    pem = root_of(stack).timestamps[0].chain[-1].public_bytes(Encoding.PEM)
    (store / "root.pem").write_bytes(pem)
    policy = notation.home / "notation/trustpolicy.json"
    document = json.loads(policy.read_text())
    document["trustPolicies"][0]["trustStores"].append("tsa:stack")
    document["trustPolicies"][0]["signatureVerification"]["verifyTimestamp"] = "always"
    policy.write_text(json.dumps(document))
    signer = load_private((VECTORS / "P-256.key").read_bytes(), None, "P-256")
    chain = (VECTORS / "P-256.chain.pem").read_bytes()
    plain = sign_notation(target(notation, image), signer, chain, now=datetime.now(UTC))
    stamp = stamps.stamp(stack.state, request(signature_of(plain)), datetime.now(UTC))

    attach(notation, image, countersigned(plain, stamp))

    verify = ("notation", "verify", "--insecure-registry", image)
    assert "Successfully verified" in notation.run(*verify)
