"""The registry and its specification in memory are driven alike; they never disagree.

The registry is the whole application over SQLite and files; the model answers every question by
looking at all links.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from builders import artifact, blobs_of, describe, image, index
from model.registry_model import RegistryModel
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.links import Link
from retinue.oci.manifest import Manifest
from retinue.oci.stores import ContentMissing, StillLinked
from retinue.oci.tags import cosign_tag, fallback_tag
from retinue.registry.catalog.db import Change
from retinue.registry.catalog.links import link
from retinue.registry.catalog.opening import open_catalog
from retinue.registry.config import Config
from retinue.registry.gc.execute import Settings, collect_once
from retinue.registry.gc.plan import Terms
from retinue.registry.storage.files import FileBlobStore
from rig import HOUR, NAME, Answer, Rig, statement

T = TypeVar("T")
DAY = 24 * HOUR
TAGS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(0, 3)
LINKS = "select source, kind, target, witness, way, size from link"
COLLECTIONS = 12
"""More than any chain of keepers that a run can make."""


class RegistryMachine(RuleBasedStateMachine):
    store: Path
    """The folder of the blobs of all runs: locations are never used twice."""

    manifests = Bundle("manifests")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="retinue-machine-"))
        self.model = RegistryModel()
        self.rig = self.run(self._open())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _open(self) -> Rig:
        catalog = await open_catalog(f"sqlite:{self.folder}/catalog.db", durable=False)
        blobs = FileBlobStore(self.store, durable=False, threads=1)
        return Rig(catalog, blobs, Config(data=self.folder, durable=False, inline_blob=16))

    async def _close(self) -> None:
        await self.rig.catalog.close()
        await self.rig.blobs.close()

    def teardown(self) -> None:
        self.run(self._close())
        self.runner.close()
        shutil.rmtree(self.folder)

    # ---- what there is to push; drawing it pushes nothing

    @initialize()
    def begin(self) -> None:
        self.push_blobs(0)

    @rule(target=manifests, number=NUMBERS)
    def an_image(self, number: int) -> Manifest:
        return image(f"layer {number}".encode())

    # ---- pushes

    def _blob(self, data: bytes) -> None:
        digest = self.run(self.rig.blob(data))
        self.run(self.model.put_blob(digest, len(data), _once(data)))

    @rule(number=NUMBERS)
    def push_blobs(self, number: int) -> None:
        for data in blobs_of(f"layer {number}".encode()).values():
            self._blob(data)

    @rule(number=NUMBERS, harm=st.sampled_from(["lose", "flip", "cut"]))
    def push_over_damage(self, number: int, harm: str) -> None:
        """A push of bytes whose stored copy is damaged, and nobody has noticed, repairs it."""
        contents = blobs_of(f"layer {number}".encode())
        for digest in contents:
            self.run(self._harm(digest, harm))
        self.push_blobs(number)
        self.run(self.rig.catalog.commit(_nothing))  # remembered answers end with a commit
        self.rig.restart()
        for digest, data in contents.items():
            answer = self.run(self.rig.call("GET", f"/v2/{NAME}/blobs/{digest}"))
            assert answer.body == data

    async def _harm(self, digest: Digest, harm: str) -> None:
        raw = digests.to_bytes(digest)
        found = await self.rig.rows("select id, location from object where digest = :digest", raw)
        for number, location in found:
            if location is None:
                await self.rig.catalog.commit(lambda number=number: _harm_row(number, harm))  # type: ignore[misc]
            else:
                _harm_file(self.store / "blobs" / str(location), harm)

    def _push(self, manifest: Manifest, tag: str | None = None) -> None:
        answer = self.run(self.rig.put(manifest, *([tag] if tag else [])))
        assert answer.status == self.run(self._pushed(manifest, tag)), answer.body

    async def _pushed(self, manifest: Manifest, tag: str | None) -> int:
        try:
            await self.model.put_manifest(manifest)
        except ContentMissing:
            return 404
        if tag is not None:
            await self.model.put_tag(tag, manifest.digest)
        return 201

    @rule(manifest=manifests, tag=TAGS | st.none())
    def push(self, manifest: Manifest, tag: str | None) -> None:
        self._push(manifest, tag)

    @rule(target=manifests, number=NUMBERS, tag=TAGS)
    def push_an_image(self, number: int, tag: str) -> Manifest:
        self.push_blobs(number)
        made = image(f"layer {number}".encode())
        self._push(made, tag)
        return made

    @rule(target=manifests, subject=manifests, number=NUMBERS, tag=st.none() | TAGS)
    def attach(self, subject: Manifest, number: int, tag: str | None) -> Manifest:
        """The subject may not have come yet, or be gone, or be a paper itself."""
        self._blob(names.EMPTY_JSON)
        paper = artifact(subject, annotations={"number": str(number)})
        self._push(paper, tag)
        return paper

    @rule(target=manifests, children=st.lists(manifests, min_size=1, max_size=2), tag=TAGS)
    def push_an_index(self, children: list[Manifest], tag: str) -> Manifest:
        parent = index(*children)
        self._push(parent, tag)
        return parent

    @rule(
        subject=manifests,
        marks=st.sets(st.sampled_from("xyz"), min_size=1),
        suffix=st.sampled_from(["sig", "att", "sbom"]),
    )
    def sign(self, subject: Manifest, marks: set[str], suffix: str) -> None:
        """As cosign does, on what is no paper itself."""
        tag = cosign_tag(subject.digest, suffix)
        if subject.subject is None and tag is not None:
            self._blob(names.EMPTY_JSON)
            self._push(_signature(marks), tag)

    @rule(subject=manifests)
    def list_papers(self, subject: Manifest) -> None:
        """As clients do where there is no referrers API: an index of all papers at a tag."""
        found = self.model.papers_of(subject.digest)
        listed = index(*(self.model.content[paper] for paper in sorted(found)))
        self._push(listed, fallback_tag(subject.digest))

    # ---- deletions

    def _deleted(self, answer: Answer, digest: Digest, *, blob: bool) -> None:
        try:
            drop = self.model.delete_blob if blob else self.model.delete_manifest
            expected = 202 if drop(digest) else 404
        except StillLinked:
            expected = 405
        assert answer.status == expected, answer.body

    @rule(tag=TAGS)
    def untag(self, tag: str) -> None:
        self._untag(tag)

    def _untag(self, tag: str) -> None:
        answer = self.run(self.rig.delete(tag))
        assert answer.status == (202 if self.model.delete_tag(tag) else 404)

    @rule(subject=manifests, suffix=st.sampled_from(["sig", "att", "sbom"]))
    def unsign(self, subject: Manifest, suffix: str) -> None:
        tag = cosign_tag(subject.digest, suffix)
        assert tag is not None
        self._untag(tag)

    @rule(manifest=manifests)
    def delete(self, manifest: Manifest) -> None:
        answer = self.run(self.rig.delete(manifest.digest))
        self._deleted(answer, manifest.digest, blob=False)

    @rule(number=NUMBERS)
    def delete_a_layer(self, number: int) -> None:
        digest = digests.of(f"layer {number}".encode())
        answer = self.run(self.rig.call("DELETE", f"/v2/{NAME}/blobs/{digest}"))
        self._deleted(answer, digest, blob=True)

    # ---- time

    @rule()
    def restart(self) -> None:
        self.run(self._close())
        now = self.rig.now
        self.rig = self.run(self._open())
        self.rig.now = now

    @rule()
    def collect(self) -> None:
        """Every grace passes, and all that is dead goes; nothing that tags keep does."""
        kept = self.model.kept_by_tags()
        before = self.run(self._stored())
        self.run(self._collect())
        after = self.run(self._stored())
        assert kept & before <= after
        self._forget(before - after)

    async def _collect(self) -> None:
        terms = Terms()
        for _ in range(COLLECTIONS):
            self.rig.now += 8 * DAY
            settings = Settings(terms, DAY, self.rig.now)
            await collect_once(self.rig.catalog, self.rig.blobs, settings)

    def _forget(self, gone: set[Digest]) -> None:
        """Collection may spare what the model would drop (history), never the other way."""
        assert gone <= (self.model.content.keys() | self.model.blobs.keys()) - self._alive()
        for digest in gone:
            self.model._forget(digest)
            self.model.blobs.pop(digest, None)

    def _alive(self) -> set[Digest]:
        return self.model.alive(untagged=False)

    # ---- what must hold

    async def _stored(self) -> set[Digest]:
        found = await self.rig.rows(
            "select digest from manifest union select digest from repo_blob"
        )
        return {digests.from_bytes(bytes(raw)) for (raw,) in found}  # type: ignore[call-overload]

    @invariant()
    def both_hold_the_same(self) -> None:
        assert self.run(self._stored()) == self.model.content.keys() | self.model.blobs.keys()

    @invariant()
    def every_location_is_in_one_place(self) -> None:
        twice = "select t.location from trash t join object o on o.location = t.location"
        assert self.run(self.rig.rows(twice)) == []
        live = self.run(self.rig.rows("select location from object where location is not null"))
        assert all((self.store / "blobs" / str(location)).exists() for (location,) in live)

    @invariant()
    def both_name_the_same(self) -> None:
        rows = self.run(self.rig.rows("select name, digest from tag"))
        found = {name: digests.from_bytes(bytes(raw)) for name, raw in rows}  # type: ignore[call-overload]
        assert found == self.model.names

    @invariant()
    def both_know_the_same_links(self) -> None:
        found = {link(row) for row in self.run(self.rig.rows(LINKS))}
        assert found == set[Link](self.model.links())

    @invariant()
    def every_tagged_image_has_every_paper(self) -> None:
        for tagged in set(self.model.names.values()):
            listed = self.run(self.rig.referrers(tagged))
            assert listed == self.model.papers_of(tagged)


ALTER = statement("update object_bytes set body = :body where object = :object")
LOSE = statement("delete from object_bytes where object = :object")


def _harm_row(number: object, harm: str) -> Change[None]:
    if harm == "lose":
        yield LOSE, (number,)
    else:
        yield ALTER, (b"?" if harm == "flip" else b"", number)


def _harm_file(path: Path, harm: str) -> None:
    if harm == "lose":
        path.unlink()
        return
    content = path.read_bytes()
    path.write_bytes(b"?" + content[1:] if harm == "flip" else content[:-1])


def _nothing() -> Change[None]:
    yield LOSE, (0,)


async def _once(data: bytes) -> Any:
    yield data


def _signature(marks: set[str]) -> Manifest:
    layers = [
        describe(names.EMPTY_JSON, "text/plain", annotations={"signature": mark})
        for mark in sorted(marks)
    ]
    return artifact(kind="application/vnd.example.signature", layers=layers)


class TestRegistryMachine(RegistryMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(
        max_examples=30,
        stateful_step_count=40,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )

    @classmethod
    def setUpClass(cls) -> None:
        RegistryMachine.store = Path(tempfile.mkdtemp(prefix="retinue-machine-"))

    @classmethod
    def tearDownClass(cls) -> None:
        shutil.rmtree(RegistryMachine.store)
