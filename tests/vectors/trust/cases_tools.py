"""What tools do besides: other registries, other repositories, `attach`, `save`, `clean`, algorithms."""

import json
import shutil
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from vectors.trust.cases import Facts, case
from vectors.trust.kit import Kit, attested, fact
from vectors.trust.registry import Repository, digest_of

from vectors.trust import crafting


@case("attest-mislabelled", "cosign 2.6.5 attests by a signing config: annotated as sign/v1")
def attest_mislabelled(kit: Kit) -> Facts:
    kit.run("cosign2", "signing-config", "create", "--out", "signing-config.json")
    what = ("--type", "cyclonedx", "--predicate", "predicates/cyclonedx")
    config = ("--new-bundle-format", "--signing-config", "signing-config.json")
    kit.run("cosign2", "attest", "--key", "p256.key", "--yes", *config, *what, kit.image_at())
    (only,) = kit.repository.referrers(kit.subject)
    assert only["annotations"]["dev.sigstore.bundle.predicateType"] == crafting.SIGN
    return [attested("bundle", "cyclonedx")]


@case("predicate-missing", "cosign 2.6.5 signs a bundle whose statement has no predicate")
def predicate_missing(kit: Kit) -> Facts:
    kit.sign(2, "bundle")
    (raw,) = kit.bundles()
    assert b'"predicate"' not in crafting.payload(raw)
    return [fact("bundle")]


@case("oci11-pair", "cosign 2 signs twice in oci-1-1 mode: referrers with simple signing")
def oci11_pair(kit: Kit) -> Facts:
    kit.keys = ("p256", "rsa2048")
    for key in kit.keys:
        kit.sign(2, "legacy", "--registry-referrers-mode=oci-1-1", key=key, COSIGN_EXPERIMENTAL="1")
    return [fact("oci11", by=key) for key in kit.keys]


@case("oci11-cosign3", "cosign 3 signs in oci-1-1 mode")
def oci11_cosign3(kit: Kit) -> Facts:
    kit.sign(3, "legacy", "--registry-referrers-mode=oci-1-1", COSIGN_EXPERIMENTAL="1")
    return [fact("oci11")]


def fallback(version: int) -> None:
    name = f"fallback-cosign{version}"

    @case(name, f"cosign {version} bundles on a registry without referrers", "distribution")
    def over_distribution(kit: Kit) -> Facts:
        kit.sign(version, "bundle")
        kit.attest(version, "bundle", "cyclonedx")
        assert kit.subject.replace(":", "-") in kit.repository.tags()
        return [fact("bundle"), attested("bundle", "cyclonedx")]


fallback(2)
fallback(3)


def curve(name: str, own: str) -> None:
    @case(f"{name}-{own}", f"cosign signs with {name}: its curve's own {own}, in both forms")
    def by_cosign(kit: Kit) -> Facts:
        kit.keys = (name,)
        kit.sign(2, "legacy", key=name)
        kit.sign(3, "bundle", key=name)
        return [fact("legacy", by=name), fact("bundle", by=name)]

    @case(f"{name}-sha256", f"SHA-256 under {name}, in both forms, which cosign 3 verifies")
    def by_hand(kit: Kit) -> Facts:
        kit.keys = (name,)
        _by_hand(kit, name, "sha256")
        return [fact("legacy", by=name), fact("bundle", by=name)]


def _by_hand(kit: Kit, name: str, algorithm: str, *, pss: bool = False, verify: bool = True) -> None:
    """A bundle and a .sig made by a small program, attached by the tools."""
    key = kit.private(name)
    payload = crafting.simple_payload(kit.repository.image, kit.subject)
    files = ("--payload", kit.file("payload.json", payload), "--signature")
    signature = crafting.encoded(crafting.sign(key, payload, algorithm, pss=pss))
    kit.run("cosign2", "attach", "signature", *files, kit.file("payload.sig", signature.encode()), kit.image_at())
    if verify:
        kit.run("cosign2", "verify", "--insecure-ignore-tlog", "--key", f"{name}.pub", kit.image_at())
    statement = crafting.statement(kit.subject, crafting.SIGN, {})
    kit.attach(crafting.signed_bundle(key, statement, algorithm, pss=pss))
    if verify:
        kit.run("cosign3", "verify", "--insecure-ignore-tlog", "--key", f"{name}.pub", kit.image_at())


curve("p384", "sha384")
curve("p521", "sha512")


@case("ed25519-ph", "cosign signs with Ed25519: pre-hashed, which it does not verify itself")
def ed25519_ph(kit: Kit) -> Facts:
    kit.keys = ("ed25519",)
    kit.sign(2, "legacy", key="ed25519")
    kit.sign(3, "bundle", key="ed25519")
    return [fact("legacy", by="ed25519"), fact("bundle", by="ed25519")]


@case("ed25519-pure", "pure Ed25519, in both forms, which cosign 2 and 3 verify")
def ed25519_pure(kit: Kit) -> Facts:
    kit.keys = ("ed25519",)
    _by_hand(kit, "ed25519", "sha512")
    return [fact("legacy", by="ed25519"), fact("bundle", by="ed25519")]


@case("rsa-pss", "RSA with PSS, in both forms")
def rsa_pss(kit: Kit) -> Facts:
    kit.keys = ("rsa2048",)
    _by_hand(kit, "rsa2048", "sha256", pss=True, verify=False)
    return [fact("legacy", by="rsa2048"), fact("bundle", by="rsa2048")]


@case("message-signature", "a bundle of cosign 3 sign-blob over the manifest's bytes, attached by oras")
def message_signature(kit: Kit) -> Facts:
    raw, _ = kit.repository.manifest(kit.subject)
    kit.file("manifest.json", raw)
    local = ("--use-signing-config=false", "--tlog-upload=false")
    out = ("--bundle", "blob.sigstore.json", "manifest.json")
    kit.run("cosign3", "sign-blob", "--key", "p256.key", "--yes", *local, *out)
    attach = ("oras", "attach", "--plain-http", "--artifact-type", crafting.BUNDLE, kit.image_at())
    kit.run(*attach, f"blob.sigstore.json:{crafting.BUNDLE}")
    return [fact("message")]


@case("sbom-attached", "cosign 2 attach sbom: an unsigned .sbom")
def sbom_attached(kit: Kit) -> Facts:
    kit.run("cosign2", "attach", "sbom", "--type", "cyclonedx", "--input-format", "json",
            "--sbom", "predicates/cyclonedx", kit.image_at())  # fmt: skip
    return [fact("unsigned", "sbom", by=None, verdict="unsigned")]


@case("sbom-artifact", "oras attaches an SBOM as it is")
def sbom_artifact(kit: Kit) -> Facts:
    kind = "application/vnd.cyclonedx+json"
    attach = ("oras", "attach", "--plain-http", "--artifact-type", kind, kit.image_at())
    kit.run(*attach, f"predicates/cyclonedx:{kind}")
    return [fact("unsigned", "sbom", by=None, verdict="unsigned")]


@case("attached-envelope", "cosign 3 attach attestation with a bundle, and cosign 2 with a bare envelope")
def attached_envelope(kit: Kit) -> Facts:
    kit.attest(3, "bundle", "cyclonedx")
    (raw,) = kit.bundles()
    envelope = json.loads(raw)["dsseEnvelope"]
    kit.run("cosign2", "attach", "attestation", "--attestation",
            kit.file("envelope.json", crafting.compact(envelope)), kit.image_at())  # fmt: skip
    kit.extra["signatures"] = 1
    return [attested("bundle", "cyclonedx"), attested("legacy", "cyclonedx")]


@case("elsewhere", "COSIGN_REPOSITORY: papers of both forms in another repository")
def elsewhere(kit: Kit) -> Facts:
    other = Repository(kit.repository.host, "vectors/elsewhere-papers")
    kit.elsewhere["localhost:5000/vectors/elsewhere-papers"] = other
    kit.sign(2, "legacy", COSIGN_REPOSITORY=other.image)
    kit.sign(3, "bundle", COSIGN_REPOSITORY=other.image)
    assert kit.repository.tags() == ["v1"]
    return [fact("legacy", elsewhere=True), fact("bundle", elsewhere=True)]


def saved(version: int) -> None:
    @case(f"save-cosign{version}", f"an image with papers of both forms, and what cosign {version} saves of it")
    def save(kit: Kit) -> Facts:
        for form in ("legacy", "bundle"):
            kit.sign(3, form)
            kit.attest(3, form, "cyclonedx")
        kit.run(f"cosign{version}", "save", "--dir", "saved", kit.image_at())
        there = kit.folder / "layouts" / f"saved-by-cosign{version}"
        shutil.rmtree(there, ignore_errors=True)
        shutil.move(kit.home / "saved", there)
        kit.extra["layout"] = f"saved-by-cosign{version}"
        kit.extra["signatures"] = 3
        forms = ("legacy", "bundle")
        return [each for form in forms for each in (fact(form), attested(form, "cyclonedx"))]


saved(2)
saved(3)


class Recorder(ThreadingHTTPServer):
    """Passes requests on, and remembers method, path and status of those that are no reading."""

    def __init__(self, host: str) -> None:
        super().__init__(("127.0.0.1", 0), Pass)
        self.host = host
        self.seen: list[tuple[str, str, int]] = []


class Pass(BaseHTTPRequestHandler):
    server: Recorder

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def _pass(self) -> None:
        there = HTTPConnection(self.server.host)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        there.request(self.command, self.path, body, dict(self.headers))
        answer = there.getresponse()
        content = answer.read()
        self.server.seen.append((self.command, self.path, answer.status))
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"content-length", "transfer-encoding", "connection", "date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", answer.getheader("Content-Length", str(len(content))))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _pass  # noqa: N815


def cleaned(version: int, kind: str, where: str) -> None:
    @case(f"clean-cosign{version}-{kind}-{where}", f"cosign {version} clean --type {kind} on {where}", where)
    def clean(kit: Kit) -> Facts:
        kit.sign(3, "legacy")
        kit.sign(3, "bundle")
        oras = ("oras", "attach", "--plain-http", "--artifact-type", "application/vnd.acme.notes")
        kit.run(*oras, kit.image_at(), f"{kit.file('notes.json', b'{}')}:application/json")
        papers = [each["digest"] for each in kit.repository.referrers(kit.subject)]
        listing = kit.repository.call("GET", f"referrers/{kit.subject}")
        tag = kit.subject.replace(":", "-")
        response = listing.read() if listing else kit.repository.manifest(tag)[0]
        recorder = Recorder(kit.repository.host)
        threading.Thread(target=recorder.serve_forever, daemon=True).start()
        through = f"localhost:{recorder.server_address[1]}/{kit.repository.name}@{kit.subject}"
        kit.run(f"cosign{version}", "clean", "--force", f"--type={kind}", through)
        recorder.shutdown()
        kit.commands[-1] = kit.commands[-1].replace(through, kit.image_at())
        words = {kit.subject: "SUBJECT", digest_of(response): "REFERRERS-RESPONSE"}
        words |= {paper: f"PAPER-{number}" for number, paper in enumerate(papers)}
        kit.extra["requests"] = [_worded(each, words) for each in recorder.seen]
        notes = fact("unsigned", "other", by=None, verdict="unsigned")
        left = {"legacy": fact("legacy"), "bundle": fact("bundle"), "notes": notes}
        return [left[name] for name in _left(version, kind, where)]


def _left(version: int, kind: str, where: str) -> tuple[str, ...]:
    """What clean does not take; on a registry without referrers cosign 3 loses what is not its own."""
    if version == 2:
        return ("bundle", "notes")
    if kind == "all":
        return ("notes",) if where == "retinue" else ()
    return ("bundle", "notes") if kind == "signature" else ("legacy", "notes")


def _worded(seen: tuple[str, str, int], words: dict[str, str]) -> str:
    method, path, status = seen
    for digest, word in words.items():
        path = path.replace(digest, word)
    return f"{method} {path} {status}"


for tool, what, at in (
    (3, "all", "retinue"), (3, "referrer", "retinue"), (3, "signature", "retinue"),
    (2, "all", "retinue"), (2, "signature", "retinue"),
    (3, "all", "distribution"), (2, "all", "distribution"),
):  # fmt: skip
    cleaned(tool, what, at)
