"""The real Fulcio and the real timestamp server: what they issue verifies with our code, and our
client signs against them. Identities and logs are the development stack's; a certificate log, which
Fulcio asks for its promise, is played here.
"""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import PEM_cert_to_DER_cert
from threading import Thread
from typing import Any, ClassVar
from urllib.request import urlopen

import pytest
from asn1crypto import x509 as asn1  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from devstacks import now, running, token
from retinue.attest.anchors import KeylessAnchor, TimeAnchor, Trust
from retinue.attest.certificate import load_certificate
from retinue.attest.certificates import identity, verify_chain
from retinue.attest.errors import SignerFailed
from retinue.attest.keyless import sign_keyless
from retinue.attest.posting import post
from retinue.attest.proof import Clock
from retinue.attest.root import TrustedRoot, read_root
from retinue.attest.sct import milliseconds, signed_part
from retinue.attest.services import LogService, Services
from retinue.attest.sign import signature_statement
from retinue.attest.target import Target
from retinue.attest.timestamp import request, verify_timestamp
from retinue.attest.verify import verify_bundle
from retinue.devstack.server import Server
from retinue.oci.digest import of
from serving import free_port

WHO = "dev@example.test"
RAW = b"{}"
TARGET = Target(of(RAW), "application/vnd.oci.image.manifest.v1+json", RAW)
POISON = "1.3.6.1.4.1.11129.2.4.3"
SECONDS = 30.0


@contextmanager
def program(name: str, *words: str | Path, port: int, folder: Path) -> Iterator[str]:
    """A server of others; its address once it listens."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: scripts/interop installs it")
    environ = {**os.environ, "HOME": str(folder)}
    with (
        (folder / f"{name}.log").open("wb") as log,
        subprocess.Popen(
            [path, *words], cwd=folder, env=environ, stdout=log, stderr=log
        ) as process,
    ):
        try:
            wait(process, port, folder / f"{name}.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(SECONDS)


def wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"it does not listen: {log.read_text()}")


class CertificateLog(BaseHTTPRequestHandler):
    """RFC 6962 4.2: `add-pre-chain`, and nothing is kept."""

    key: ClassVar[ec.EllipticCurvePrivateKey]

    def do_POST(self) -> None:
        chain = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["chain"]
        body = json.dumps(self.promise(*map(b64decode, chain))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def promise(self, precert: bytes, issuer: bytes, *_: bytes) -> dict[str, Any]:
        at = milliseconds(now())
        key = x509.load_der_x509_certificate(issuer).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        signed = signed_part(at, hashlib.sha256(spki).digest(), without_poison(precert), b"")
        signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        sized = b"\x04\x03" + len(signature).to_bytes(2, "big") + signature
        log_id = hashlib.sha256(public(self.key)).digest()
        return {"sct_version": 0, "id": text(log_id), "timestamp": at, "extensions": "",
                "signature": text(sized)}  # fmt: skip

    def log_message(self, *_: object) -> None:
        """Quiet."""


def without_poison(precert: bytes) -> bytes:
    body = asn1.Certificate.load(precert)["tbs_certificate"]
    kept = [e for e in body["extensions"] if e["extn_id"].dotted != POISON]
    assert len(kept) == len(body["extensions"]) - 1
    body["extensions"] = asn1.Extensions(kept)
    raw: bytes = body.dump(force=True)
    return raw


def public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def text(raw: bytes) -> str:
    return b64encode(raw).decode()


@contextmanager
def certificate_log(key: ec.EllipticCurvePrivateKey) -> Iterator[str]:
    handler = type("Handler", (CertificateLog,), {"key": key})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/test"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def dev(tmp_path: Path, opened: ExitStack) -> Server:
    return opened.enter_context(running(tmp_path / "stack"))


@pytest.fixture
def fulcio(tmp_path: Path, opened: ExitStack, dev: Server) -> str:
    log = opened.enter_context(certificate_log(dev.state.ct_log))
    issuer = {"IssuerURL": dev.url, "ClientID": "sigstore", "Type": "email"}
    (tmp_path / "fulcio.json").write_text(json.dumps({"OIDCIssuers": {dev.url: issuer}}))
    port = free_port()
    return opened.enter_context(program(
        "fulcio", "serve", "--ca", "ephemeralca", "--ct-log-url", log,
        "--config-path", tmp_path / "fulcio.json", "--host", "127.0.0.1", "--port", str(port),
        "--grpc-host", "127.0.0.1", "--grpc-port", str(free_port()),
        "--metrics-port", str(free_port()), "--legacy-unix-domain-socket", f"@fulcio-{port}",
        port=port, folder=tmp_path,
    ))  # fmt: skip


@pytest.fixture
def clock(tmp_path: Path, opened: ExitStack) -> str:
    port = free_port()
    return opened.enter_context(program(
        "timestamp-authority", "serve", "--host", "127.0.0.1", "--port", str(port),
        "--disable-ntp-monitoring", port=port, folder=tmp_path,
    ))  # fmt: skip


def chain_of_clock(clock: str) -> list[x509.Certificate]:
    with urlopen(f"{clock}/api/v1/timestamp/certchain") as answer:
        return x509.load_pem_x509_certificates(answer.read())


def root_of(dev: Server, fulcio: str, clock: str) -> TrustedRoot:
    """The stack's trusted root with the certificates of the real ones."""
    document: dict[str, Any] = json.loads((dev.state.folder.path / "trusted_root.json").read_text())
    with urlopen(f"{fulcio}/api/v2/trustBundle") as answer:
        (chain,) = json.load(answer)["chains"]
    pems = [x509.load_pem_x509_certificate(pem.encode()) for pem in chain["certificates"]]
    for name, found in (("certificateAuthorities", pems),
                        ("timestampAuthorities", chain_of_clock(clock))):  # fmt: skip
        raw = [{"rawBytes": text(each.public_bytes(Encoding.DER))} for each in found]
        document[name][0]["certChain"]["certificates"] = raw
        document[name][0].pop("validFor")
    return read_root(json.dumps(document).encode())


@pytest.fixture
def services(dev: Server, fulcio: str, clock: str) -> Services:
    root = root_of(dev, fulcio, clock)
    stamps = (f"{clock}/api/v1/timestamp",)
    return Services(root, fulcio, dev.url, (LogService(dev.url, 2),), stamps)


def test_a_certificate_of_fulcio_verifies(dev: Server, services: Services) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(
        key, hashes.SHA256()
    )  # fmt: skip
    body = json.dumps({"certificateSigningRequest": text(csr.public_bytes(Encoding.PEM))})
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token(dev, WHO)}"}

    answer = json.loads(post(f"{services.authority}/api/v2/signingCert", body.encode(), headers))

    (leaf, *_) = answer["signedCertificateEmbeddedSct"]["chain"]["certificates"]
    certificate = load_certificate(PEM_cert_to_DER_cert(leaf), "certificate")
    verify_chain(certificate, (), services.root, certificate.not_valid_before_utc)
    found = identity(certificate)
    assert (found.issuer, found.san) == (dev.url, WHO)


def test_a_time_of_the_timestamp_server_verifies(clock: str) -> None:
    chain = tuple(chain_of_clock(clock))
    headers = {"Content-Type": "application/timestamp-query"}
    before = datetime.now(UTC).replace(microsecond=0)

    stamp = post(f"{clock}/api/v1/timestamp", request(b"signature"), headers)

    for anchor in (TimeAnchor("whole", chain), TimeAnchor("root", chain[1:])):
        found = verify_timestamp(stamp, b"signature", (anchor,), ())
        assert (found.clock, found.authority) == (Clock.RFC3161, anchor.name)
        assert before <= found.at <= datetime.now(UTC)


@pytest.mark.parametrize("version", [1, 2])
def test_we_sign_against_them_and_verify(dev: Server, services: Services, version: int) -> None:
    logs = (LogService(dev.url, version),)
    chosen = Services(services.root, services.authority, dev.url, logs, services.stamps)
    statement = signature_statement(TARGET.digest, {})

    bundle = sign_keyless(statement, token(dev, WHO), chosen, now())

    anchor = KeylessAnchor("dev", services.root, dev.url, identity=WHO)
    proof = verify_bundle(bundle, TARGET, Trust((anchor,)))
    assert (proof.principal, proof.logged) == (f"keyless:{dev.url} {WHO}", True)


def test_fulcio_refuses_a_token_of_another_issuer(
    dev: Server, services: Services, tmp_path: Path
) -> None:
    with running(tmp_path / "other") as other:
        foreign = token(other, WHO)

    with pytest.raises(SignerFailed) as caught:
        sign_keyless(signature_statement(TARGET.digest, {}), foreign, services, now())

    assert caught.value.signer.startswith(services.authority)
