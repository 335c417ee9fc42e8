"""Images in memory with signers, for everybody who needs papers that are really signed."""

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from builders import CONFIG, LAYER, image
from retinue.attest.anchors import AnchorKey, KeyAnchor, Trust
from retinue.attest.keys.key import Signer
from retinue.attest.keys.private import wrap_private
from retinue.attest.sign import sign_statement, signature_statement
from retinue.attest.statement import Subject, write_statement
from retinue.oci import digest as digests
from retinue.oci.manifest import Manifest
from retinue.oci.memory import MemoryStore
from retinue.papers.attach import put
from retinue.papers.collect import collect
from retinue.papers.facts import Fact, Findings, Wanted
from retinue.papers.judge import derive
from retinue.papers.ways.making import Made

CREATED = datetime(2026, 6, 1, 12, tzinfo=UTC)
IMAGE = image()
OTHER = image(b"another layer")
CYCLONEDX = "https://cyclonedx.org/bom"
SBOM = (
    b'{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"name":"a","purl":"pkg:a/a@1"}]}'
)
SLSA = "https://slsa.dev/provenance/v1"
PROVENANCE = json.dumps(
    {
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {
                "workflow": {"repository": "https://github.com/acme/app", "ref": "refs/tags/v1"}
            },
        },
        "runDetails": {"builder": {"id": "https://ci.acme/b1"}},
    }
).encode()


@cache
def signer(name: str) -> Signer:
    """A key that is made once; `name` is also its anchor's."""
    return wrap_private(ec.generate_private_key(ec.SECP256R1()), name)


def anchor(name: str) -> KeyAnchor:
    return KeyAnchor(name, (AnchorKey(signer(name).public),))


def trusting(*keys: str) -> Trust:
    return Trust(tuple(anchor(name) for name in keys))


def signature(name: str, subject: Manifest = IMAGE, **annotations: str) -> bytes:
    """A bundle that is a signature."""
    return sign_statement(signature_statement(subject.digest, annotations), signer(name))


def statement(
    predicate: bytes = SBOM, predicate_type: str = CYCLONEDX, subject: Manifest = IMAGE
) -> bytes:
    about = Subject("app", {"sha256": digests.encoded(subject.digest)}, {})
    return write_statement(predicate_type, predicate, [about])


def attestation(
    name: str,
    predicate: bytes = SBOM,
    predicate_type: str = CYCLONEDX,
    subject: Manifest = IMAGE,
) -> bytes:
    """A bundle around a statement."""
    return sign_statement(statement(predicate, predicate_type, subject), signer(name))


async def stored(*manifests: Manifest) -> MemoryStore:
    """A repository with images; all have the blobs of `builders.image`."""
    store = MemoryStore()
    blobs = {digests.of(data): data for data in (CONFIG, LAYER, b"another layer", b"{}")}
    for manifest in manifests or (IMAGE, OTHER):
        await put(store, Made(manifest, blobs))
    return store


async def facts(
    store: MemoryStore,
    *keys: str,
    subject: Manifest = IMAGE,
    pointers: frozenset[str] = frozenset(),
    **more: Any,
) -> tuple[Fact, ...]:
    """What is found about an image by those who trust these keys."""
    return (await findings(store, *keys, subject=subject, pointers=pointers, **more)).facts


async def findings(
    store: MemoryStore,
    *keys: str,
    subject: Manifest = IMAGE,
    pointers: frozenset[str] = frozenset(),
    **more: Any,
) -> Findings:
    collected = await collect(store, subject, **more)
    return derive(collected, trusting(*keys), Wanted(pointers))
