"""The papers of `tests/vectors/trust` as repositories in memory, with what is to be found in them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retinue.attest.anchors import AnchorKey, KeyAnchor, KeylessAnchor, Trust
from retinue.attest.keys.key import PublicKey, Signer
from retinue.attest.keys.pem import load_private, load_public
from retinue.attest.root import read_root
from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.memory import MemoryStore
from retinue.oci.readers.table import read

FOLDER = Path(__file__).parent / "vectors" / "trust"


@dataclass(frozen=True, slots=True)
class Expected:
    """One fact. `by` is who verified it, as facts name the principal; `kind` None: any. What is None
    is not compared, `by` aside. `clocks` are the kinds of trusted times."""

    subject: Digest
    format: str
    kind: str | None
    verdict: str
    by: str | None
    predicate_type: str | None
    annotations: Mapping[str, str] | None
    reference: str | None
    elsewhere: bool
    logged: bool | None
    clocks: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Vector:
    """`signatures` is how many distinct signatures there are among the expected facts."""

    name: str
    store: MemoryStore
    elsewhere: Mapping[str, MemoryStore]
    subject: Manifest
    keys: tuple[str, ...]
    expected: tuple[Expected, ...]
    signatures: int
    document: Mapping[str, Any]

    @property
    def trust(self) -> Trust:
        """Each key is an anchor of its own, under its name; besides, the identity of a stack."""
        known = trust(*self.keys)
        if "identity" not in self.document:
            return known
        root = read_root(json.dumps(self.document["trusted_root"]).encode())
        who = self.document["identity"]
        keyless = KeylessAnchor("identity", root, who["issuer"], identity=who["san"])
        return Trust((*known.anchors, keyless), (), (root,))


def names() -> list[str]:
    return sorted(path.stem for path in (FOLDER / "cases").glob("*.json"))


def load(name: str) -> Vector:
    document = json.loads((FOLDER / "cases" / f"{name}.json").read_text())
    store = _store(document)
    subject = store.content[digests.parse(document["subject"])]
    expected = tuple(_expected(each, document) for each in document["expected"])
    signed = sum(each.verdict == "verified" for each in expected)
    return Vector(
        name,
        store,
        {name: _store(there) for name, there in document.get("elsewhere", {}).items()},
        subject,
        tuple(document["keys"]),
        expected,
        document.get("signatures", signed),
        document,
    )


def trust(*keys: str) -> Trust:
    return Trust(tuple(KeyAnchor(name, (AnchorKey(public(name)),)) for name in keys))


def public(name: str) -> PublicKey:
    return load_public((FOLDER / "keys" / f"{name}.pub").read_bytes())


def private(name: str) -> Signer:
    """From the plain key: opening an encrypted one takes a tenth of a second."""
    return load_private((FOLDER / "keys" / f"{name}.pem").read_bytes(), None, name)


def content(digest: str) -> bytes:
    return (FOLDER / "blobs" / digest.removeprefix("sha256:")).read_bytes()


def _store(document: Mapping[str, Any]) -> MemoryStore:
    store = MemoryStore()
    for digest, media_type in document["manifests"].items():
        store.content[digests.parse(digest)] = read(content(digest), media_type)
    store.blobs = {digests.parse(digest): content(digest) for digest in document["blobs"]}
    store.names = {tag: digests.parse(digest) for tag, digest in document["tags"].items()}
    return store


def _expected(told: Mapping[str, Any], document: Mapping[str, Any]) -> Expected:
    return Expected(
        digests.parse(told.get("about") or document["subject"]),
        told["format"],
        None if told["kind"] == "any" else told["kind"],
        told["verdict"],
        _principal(told["by"], document.get("identity")),
        told.get("predicate_type"),
        told.get("annotations"),
        told.get("reference"),
        bool(told.get("elsewhere")),
        told.get("logged"),
        frozenset(told["clocks"]) if "clocks" in told else None,
    )


def _principal(by: str | None, identity: Mapping[str, str] | None) -> str | None:
    if by == "identity" and identity is not None:
        return f"keyless:{identity['issuer']} {identity['san']}"
    return by and f"key:{by}"
