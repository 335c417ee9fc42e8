"""cosign 2 and 3, `retinue`, and what they sign: with the keys that the vectors have."""

import json
import secrets
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trust_vectors import FOLDER

if TYPE_CHECKING:
    from interop.conftest import Tools

WAYS = [(2, "legacy"), (2, "bundle"), (3, "legacy"), (3, "bundle")]
"""Versions of cosign, and the forms in which they write."""
NOTES = "application/vnd.acme.notes"
"""A type of paper that cosign knows nothing of."""
PASSWORDS: Mapping[str, str] = json.loads((FOLDER / "keys" / "passwords.json").read_text())
NO_ROOTS = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'
"""cosign 2 wants a trusted root for bundles, even where a key alone is trusted."""
CYCLONEDX = '{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[]}'


@dataclass(frozen=True, slots=True)
class Image:
    """`name` is HOST/REPOSITORY, `tag` its tag there; `digest` what the tools are given."""

    name: str
    digest: str
    tag: str = "v1"

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.digest}"

    @property
    def tagged(self) -> str:
        return f"{self.name}:{self.tag}"

    def tag_of(self, kind: str) -> str:
        return f"{self.digest.replace(':', '-')}.{kind}"


def prepare(home: Path) -> None:
    """Keys and a predicate, where the tools run."""
    for key in (FOLDER / "keys").iterdir():
        shutil.copy(key, home)
    (home / "sbom.json").write_text(CYCLONEDX)
    (home / "no-roots.json").write_text(NO_ROOTS)


def attach_notes(tools: "Tools", image: Image) -> str:
    """A paper of somebody else's; returns its digest."""
    (tools.home / "notes.txt").write_text("kept")
    kind = ("--artifact-type", NOTES, "--format", "json")
    told = tools.json("oras", "attach", "--plain-http", *kind, image.reference, "notes.txt")
    return str(told["digest"])


def repository(host: str) -> str:
    """A new name in this registry."""
    return f"{host}/papers/{secrets.token_hex(6)}"


def password(key: str) -> Mapping[str, str]:
    return {"COSIGN_PASSWORD": PASSWORDS.get(key, "")}


@dataclass(frozen=True, slots=True)
class Cosign:
    """One version; `form` is how it writes: `bundle` or `legacy`."""

    tools: "Tools"
    version: int
    form: str = "bundle"

    def __call__(
        self, *words: str, fails: bool = False, env: Mapping[str, str] | None = None
    ) -> str:
        return self.tools.run(f"cosign{self.version}", *words, fails=fails, env=env)

    def sign(self, reference: str, *more: str, key: str = "p256", **env: str) -> None:
        flags = ("sign", "--key", f"{key}.key", "--yes", *self.local(), *more)
        self(*flags, reference, env={**password(key), **env})

    def attest(self, reference: str, *more: str, key: str = "p256") -> None:
        what = ("--type", "cyclonedx", "--predicate", "sbom.json")
        flags = ("attest", "--key", f"{key}.key", "--yes", *self.local(), *what, *more)
        self(*flags, reference, env=password(key))

    def verify(self, reference: str, *more: str, key: str = "p256", fails: bool = False) -> str:
        check = ("verify", "--insecure-ignore-tlog", "--key", f"{key}.pub", *self._roots(), *more)
        return self(*check, reference, fails=fails)

    def verify_attestation(self, reference: str, *, key: str = "p256", fails: bool = False) -> str:
        check = ("verify-attestation", "--insecure-ignore-tlog", "--key", f"{key}.pub")
        what = (*self._roots(), "--type", "cyclonedx")
        return self(*check, *what, reference, fails=fails)

    def _roots(self) -> tuple[str, ...]:
        if self.version == 3 or self.form == "legacy":
            return ()
        return ("--new-bundle-format", "--trusted-root", "no-roots.json")

    def local(self) -> tuple[str, ...]:
        """No log, no authority."""
        local = ("--tlog-upload=false",)
        if self.version == 2:
            return (*local, "--new-bundle-format") if self.form == "bundle" else local
        legacy = ("--new-bundle-format=false",) if self.form == "legacy" else ()
        return ("--use-signing-config=false", *local, *legacy)


@dataclass(frozen=True, slots=True)
class Retinue:
    """Our own command, in a process of its own."""

    tools: "Tools"

    def __call__(
        self, *words: str, fails: bool = False, code: int | None = None, key: str = "p256"
    ) -> str:
        """`key`: whose password is in the environment. `code`: the exit code that is expected."""
        command = (sys.executable, "-m", "retinue", *words)
        return self.tools.run(*command, fails=fails, code=code, env=password(key))

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))

    def papers(self, reference: str) -> set[str]:
        """The digests of all papers, and theirs, that `retinue tree` shows."""
        found: set[str] = set()
        _gather(self.json("tree", reference)["tree"], found)
        return found


def _gather(node: Mapping[str, Any], found: set[str]) -> None:
    for paper in node["papers"]:
        found.add(paper["digest"])
    for inner in (*node["papers"], *node["parts"]):
        _gather(inner, found)
