"""What every case has: a repository with a small image, keys, tools, and a place to keep the result."""

import gzip
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vectors.trust import crafting
from vectors.trust.registry import INDEX, MANIFEST, Repository, digest_of, dumps, recorded

PASSWORDS = {"p256": "correct horse battery staple", "other": "", "rsa2048": "schön", "rsa4096": ""}
FORMS = {"rsa2048": "TraditionalOpenSSL", "p384": "TraditionalOpenSSL"}
KINDS = {"other": "p256", "stranger": "p256"}
NOTHING: Mapping[str, str] = {}
KEYS = ("p256", "other", "stranger", "rsa2048", "rsa4096", "p384", "p521", "ed25519")
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY: dict[str, Any] = {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": digest_of(b"{}")}
PREDICATE_TYPES = {
    "cyclonedx": "https://cyclonedx.org/bom",
    "spdxjson": "https://spdx.dev/Document",
    "spdx": "https://spdx.dev/Document",
    "slsaprovenance": "https://slsa.dev/provenance/v0.2",
    "slsaprovenance1": "https://slsa.dev/provenance/v1",
    "vuln": "https://cosign.sigstore.dev/attestation/vuln/v1",
    "openvex": "https://openvex.dev/ns",
    "link": "https://in-toto.io/Link/v1",
    "custom": "https://cosign.sigstore.dev/attestation/v1",
}
KIND_OF = {
    "cyclonedx": "sbom", "spdxjson": "sbom", "spdx": "sbom", "slsaprovenance": "provenance",
    "slsaprovenance1": "provenance", "vuln": "vulnerabilities", "openvex": "vex",
}  # fmt: skip


def fact(format: str, kind: str = "signature", *, by: str | None = "p256", **more: Any) -> dict[str, Any]:
    """One fact to be found; `by` is the key's name, None where no key is to match."""
    if "predicate_type" not in more and format == "bundle" and kind == "signature":
        more["predicate_type"] = crafting.SIGN
    verdict = more.pop("verdict", "verified" if by else "no anchor")
    return {"format": format, "kind": kind, "verdict": verdict, "by": by, **more}


def attested(format: str, name: str, **more: Any) -> dict[str, Any]:
    kind = KIND_OF.get(name, "attestation")
    return fact(format, kind, predicate_type=PREDICATE_TYPES[name], **more)


def shown(host: str, text: str) -> str:
    return re.sub(re.escape(host), "localhost:5000", text)


@dataclass
class Kit:
    folder: Path
    home: Path
    repository: Repository
    about: str
    keys: tuple[str, ...] = ("p256",)
    commands: list[str] = field(default_factory=list)
    elsewhere: dict[str, Repository] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    subject: str = ""

    def __post_init__(self) -> None:
        self.subject = self.push_image("hello\n")["digest"]

    # ---- tools

    def run(self, *command: str, fails: bool = False, env: Mapping[str, str] = NOTHING) -> str:
        shown_env = "".join(f"{name}={value} " for name, value in env.items())
        self.commands.append(shown_env + " ".join(command))
        home = {"HOME": str(self.home), "TUF_ROOT": str(self.home / "tuf"), "HTTPS_PROXY": "http://127.0.0.1:1"}
        quiet = {"SIGSTORE_REKOR_PUBLIC_KEY": "p256.pub", "NO_PROXY": "localhost"} | home
        if "--key" in command:
            name = command[command.index("--key") + 1].partition(".")[0]
            quiet["COSIGN_PASSWORD"] = PASSWORDS.get(name, "")
        done = subprocess.run(
            command, cwd=self.home, env={**os.environ, **quiet, **env},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if (done.returncode != 0) is not fails:
            raise RuntimeError(f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def image_at(self, subject: str | None = None) -> str:
        return f"{self.repository.image}@{subject or self.subject}"

    def sign(self, version: int, form: str, *more: str, key: str = "p256", **env: str) -> None:
        flags = ("sign", "--key", f"{key}.key", "--yes", *_flags(version, form), *more)
        self.run(f"cosign{version}", *flags, self.image_at(), env=env)

    def attest(self, version: int, form: str, name: str, *more: str, key: str = "p256") -> None:
        what = ("--type", name, "--predicate", f"predicates/{name}")
        flags = ("attest", "--key", f"{key}.key", "--yes", *_flags(version, form), *what, *more)
        self.run(f"cosign{version}", *flags, self.image_at())

    # ---- content

    def push_image(self, text: str, **more: Any) -> dict[str, Any]:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            info = tarfile.TarInfo("hello.txt")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
        put = self.repository.put_blob
        layer = put(gzip.compress(buffer.getvalue(), mtime=0), LAYER)
        diff = {"type": "layers", "diff_ids": [digest_of(buffer.getvalue())]}
        config = {"architecture": "amd64", "os": "linux", "rootfs": diff}
        parts = {"config": put(dumps(config), CONFIG), "layers": [layer]}
        tag = more.pop("tag", "v1")
        return self.repository.put({"schemaVersion": 2, "mediaType": MANIFEST, **parts, **more}, tag)

    def push_index(self, children: Iterable[dict[str, Any]], tag: str = "v1") -> str:
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(children)}
        return str(self.repository.put(index, tag)["digest"])

    def push_platforms(self) -> list[dict[str, Any]]:
        return [
            self.push_image(f"{each}\n", tag=each) | {"platform": {"os": "linux", "architecture": each}}
            for each in ("amd64", "arm64")
        ]

    def described(self, digest: str) -> dict[str, Any]:
        raw, media_type = self.repository.manifest(digest)
        return {"mediaType": media_type, "digest": digest_of(raw), "size": len(raw)}

    def attach(self, raw: bytes, created: str = "2026-01-01T00:00:00Z", **more: Any) -> str:
        """A bundle as a referrer, as cosign 3 lays it out; `more` replaces fields."""
        said = {"content": "dsse-envelope", "predicateType": crafting.SIGN}
        notes = {f"dev.sigstore.bundle.{name}": value for name, value in said.items()}
        self.repository.put_blob(b"{}", EMPTY["mediaType"])
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {**EMPTY, "artifactType": crafting.BUNDLE},
            "layers": [self.repository.put_blob(raw, crafting.BUNDLE)],
            "annotations": {**notes, "org.opencontainers.image.created": created},
            "subject": self.described(self.subject), "artifactType": crafting.BUNDLE,
        }  # fmt: skip
        return str(self.repository.put({**manifest, **more})["digest"])

    def bundles(self) -> list[bytes]:
        """All that are attached to the subject, in the order that the registry lists."""
        found = []
        for each in self.repository.referrers(self.subject):
            raw, _ = self.repository.manifest(each["digest"])
            for layer in json.loads(raw)["layers"]:
                if layer["mediaType"] == crafting.BUNDLE:
                    found.append(self.repository.blob(layer["digest"]))
        return found

    def sig_tag(self, kind: str = "sig", subject: str | None = None) -> str:
        return (subject or self.subject).replace(":", "-") + f".{kind}"

    def private(self, name: str) -> Any:
        return crafting.load(self.folder / "keys" / f"{name}.pem")

    def file(self, name: str, raw: bytes) -> str:
        (self.home / name).write_bytes(raw)
        return name

    # ---- keeping

    def keep(self, raw: bytes) -> bytes:
        (self.folder / "blobs").mkdir(exist_ok=True)
        (self.folder / "blobs" / digest_of(raw).removeprefix("sha256:")).write_bytes(raw)
        return raw

    def write(self, name: str, expected: list[dict[str, Any]]) -> None:
        document = {
            "about": self.about,
            "commands": [shown(self.repository.host, line) for line in self.commands],
            "keys": list(self.keys),
            "subject": self.subject,
            "expected": expected,
            **self.extra,
            **recorded(self.repository, self.subject, self.keep),
        }
        if self.elsewhere:
            there = {n: recorded(each, self.subject, self.keep) for n, each in self.elsewhere.items()}
            document["elsewhere"] = there
        (self.folder / "cases").mkdir(exist_ok=True)
        text = json.dumps(document, indent=1, ensure_ascii=False)
        (self.folder / "cases" / f"{name}.json").write_text(text + "\n")


def _flags(version: int, form: str) -> tuple[str, ...]:
    local = ("--tlog-upload=false",) if version == 2 else ("--use-signing-config=false", "--tlog-upload=false")
    if version == 2:
        return (*local, *(("--new-bundle-format",) if form == "bundle" else ()))
    return (*local, *(("--new-bundle-format=false",) if form == "legacy" else ()))


def prepare_keys(folder: Path, home: Path) -> None:
    """Keys that are there stay; a copy of each, with its public half, goes to where tools run."""
    keys = folder / "keys"
    keys.mkdir(exist_ok=True)
    for name in KEYS:
        source = keys / f"{name}.pem"
        if not source.exists():
            key = crafting.new_key(KINDS.get(name, name))
            source.write_bytes(crafting.pem(key, FORMS.get(name, "PKCS8")))
            (keys / f"{name}.pub").write_bytes(crafting.public_pem(key))
        if not (keys / f"{name}.key").exists():
            command = ["cosign3", "import-key-pair", "--yes", "--key", str(source)]
            env = {**os.environ, "COSIGN_PASSWORD": PASSWORDS.get(name, "")}
            done = subprocess.run([*command, "--output-key-prefix", str(keys / name)], env=env, check=True, capture_output=True)
            assert not done.stdout
    (keys / "passwords.json").write_text(
        json.dumps({name: PASSWORDS.get(name, "") for name in KEYS}, indent=1, ensure_ascii=False) + "\n"
    )
    for each in keys.iterdir():
        shutil.copy(each, home)
