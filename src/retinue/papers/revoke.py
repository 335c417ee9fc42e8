"""Where revocations are kept and found: lists in a repository of their own, and papers of images.

Each version of a list is an artifact with one layer, a bundle; it has the tag `v<N>`, and the newest
one has `latest` too.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeAlias

from retinue.attest.statement import write_statement
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.links import Way
from retinue.oci.manifest import Manifest
from retinue.oci.readers.table import read
from retinue.oci.stores import Source, TagMoved
from retinue.papers.attach import Store, put
from retinue.papers.collect import read_payloads
from retinue.papers.collected import Paper
from retinue.papers.content import Content
from retinue.papers.predicates import dump, named, timestamp, write_revocation
from retinue.papers.revocationlist import (
    ListLost,
    Seen,
    between,
    check_chain,
    read_list,
)
from retinue.papers.revocations import Revocation, Revocations
from retinue.papers.ways.layers import parts_of_layers
from retinue.papers.ways.making import Made, describe
from retinue.papers.ways.part import Form

LATEST = "latest"
MAX_STEPS = 1000
"""Versions between the one that was seen and the newest one."""


Verify: TypeAlias = Callable[[Content], Revocations]


class Memory(Protocol):
    """What a client remembers of lists, from one run to the next."""

    def seen(self, name: str) -> Seen | None: ...
    def remember(self, name: str, seen: Seen) -> None: ...


async def fetch_list(
    source: Source, name: str, verify: Verify, memory: Memory
) -> Revocations | None:
    """The newest version of a list; None: there is none, and never was.

    `verify` reads a version and raises for one whose signature does not count: nothing of it is
    believed, nor remembered. Whether it has expired is for whoever has a clock. Raises what `verify`
    raises, ListRolledBack, ListForked, ListLost, and what the store raises.
    """
    seen = memory.seen(name)
    found = await _newest(source, name, verify)
    if found is None:
        if seen is not None:
            raise ListLost(name, f"it is not there, but version {seen.version} was seen before")
        return None
    steps = between(found, seen)
    if len(steps) > MAX_STEPS:
        raise ListLost(name, f"more than {MAX_STEPS} versions behind: forget what was seen")
    older: list[Revocations] = []
    for version in steps:
        bundle = await _bundle(source, name, f"v{version}")
        if bundle is None:
            raise ListLost(name, f"version {version} is missing, so a fork could be hidden")
        older.append(read_list(bundle, name))
    check_chain(found, older, seen)
    memory.remember(name, Seen(found.version, found.fingerprint))
    return found


async def publish_list(store: Store, name: str, bundle: bytes, created: datetime) -> Digest:
    """Put the next version, signed, where the list is kept.

    Raises TagMoved when somebody else has published that version meanwhile: fetch the list again,
    and make the next version of that.
    """
    new = read_list(bundle, name)
    made = _artifact(bundle, new.version, created)
    await put(store, made)
    tag, digest = f"v{new.version}", made.manifest.digest
    await store.put_tag(tag, digest, new=True)
    there = await store.resolve(tag)
    if there != digest:
        raise TagMoved(tag, digest, there)
    await store.put_tag(LATEST, digest)
    return digest


def revocation_statement(subject: Manifest, entry: Revocation) -> bytes:
    """The statement of a revocation paper, to be signed and attached to what it is about."""
    predicate = dump(write_revocation(entry))
    return write_statement(names.PREDICATE_REVOCATION, predicate, [named(subject)])


async def _newest(source: Source, name: str, verify: Verify) -> Revocations | None:
    """What `latest` names, or a later version that is there: `latest` can be put back, or not yet
    have followed."""
    bundle = await _bundle(source, name, LATEST)
    found = None if bundle is None else verify(bundle)
    for _ in range(MAX_STEPS):
        bundle = await _bundle(source, name, f"v{found.version + 1 if found else 1}")
        if bundle is None:
            return found
        found = verify(bundle)
    raise ListLost(name, f"`{LATEST}` is more than {MAX_STEPS} versions behind")


async def _bundle(source: Source, name: str, tag: str) -> Content | None:
    """The bundle at a tag; None: there is no such tag. Raises ListLost, and what the store raises."""
    digest = await source.resolve(tag)
    if digest is None:
        return None
    manifest = (await source.manifests([digest]))[digest]
    if not isinstance(manifest, Manifest):
        raise ListLost(name, f"{tag} is at {digest}, which cannot be read")
    parts = tuple(part for part in parts_of_layers(manifest) if part.form is Form.BUNDLE)
    if len(parts) != 1 or parts[0].blob is None:
        raise ListLost(name, f"{tag} is at {digest}, which holds {len(parts)} bundles, not one")
    paper = Paper(digest, digest, Way.REFERRERS, manifest, parts)
    reading = await read_payloads(source, [paper])
    for why in reading.blind().values():
        raise ListLost(name, f"{tag}: {why}")
    return reading.contents[parts[0].blob.digest]


def _artifact(bundle: bytes, version: int, created: datetime) -> Made:
    empty = names.EMPTY_JSON
    document = {
        "schemaVersion": 2,
        "mediaType": names.OCI_MANIFEST,
        "artifactType": names.REVOCATION_LIST,
        "config": describe(empty, names.OCI_EMPTY),
        "layers": [describe(bundle, names.BUNDLE)],
        "annotations": {
            names.ANNOTATION_CREATED: timestamp(created),
            names.ANNOTATION_VERSION: str(version),
        },
    }
    blobs = {digests.of(empty): empty, digests.of(bundle): bundle}
    return Made(read(dump(document), names.OCI_MANIFEST), blobs)
