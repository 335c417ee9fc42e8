"""The papers of `tests/vectors/trust` as repositories in memory, with what is to be found in them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retinue.attest.anchors import AnchorKey, KeyAnchor, Trust
from retinue.attest.keys.key import PublicKey, Signer
from retinue.attest.keys.pem import load_private, load_public
from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.memory import MemoryStore
from retinue.oci.readers.table import read

FOLDER = Path(__file__).parent / "vectors" / "trust"


@dataclass(frozen=True, slots=True)
class Expected:
    """One fact. `by` is the key that verified it; `kind` None: any. What is None is not compared,
    `by` aside."""

    subject: Digest
    format: str
    kind: str | None
    verdict: str
    by: str | None
    predicate_type: str | None
    annotations: Mapping[str, str] | None
    reference: str | None
    elsewhere: bool


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
        """Each key is an anchor of its own, under its name."""
        return trust(*self.keys)


def names() -> list[str]:
    return sorted(path.stem for path in (FOLDER / "cases").glob("*.json"))


def load(name: str) -> Vector:
    document = json.loads((FOLDER / "cases" / f"{name}.json").read_text())
    store = _store(document)
    subject = store.content[digests.parse(document["subject"])]
    expected = tuple(_expected(each, subject.digest) for each in document["expected"])
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


def _expected(told: Mapping[str, Any], subject: Digest) -> Expected:
    return Expected(
        digests.parse(told["about"]) if "about" in told else subject,
        told["format"],
        None if told["kind"] == "any" else told["kind"],
        told["verdict"],
        told["by"],
        told.get("predicate_type"),
        told.get("annotations"),
        told.get("reference"),
        bool(told.get("elsewhere")),
    )
