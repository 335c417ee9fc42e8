"""Two processes on one catalog write and read in any order; what one of them answers from memory is
what its handlers say (`Rig.call` compares), and what the other one's do."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from builders import artifact, image
from retinue.oci import digest as digests
from retinue.registry.catalog.opening import open_catalog
from retinue.registry.config import Config
from retinue.registry.gc.execute import Settings, collect_once
from retinue.registry.gc.plan import Terms
from retinue.registry.storage.files import FileBlobStore
from rig import HOUR, NAME, Rig, quarantine

T = TypeVar("T")
PROCESS = st.sampled_from([0, 1])
NUMBER = st.integers(0, 2)
TAG = st.sampled_from(["a", "b"])
IMAGES = [image(annotations={"n": str(number)}) for number in range(3)]
PAPERS = [artifact(one) for one in IMAGES]
BLOBS = [bytes([number]) * 10 for number in range(3)]
PATHS = [
    *(f"manifests/{tag}" for tag in "ab"),
    *(f"manifests/{one.digest}" for one in IMAGES),
    *(f"referrers/{one.digest}" for one in IMAGES),
    *(f"blobs/{digests.of(data)}" for data in BLOBS),
    "tags/list",
    "tags/list?n=1",
]


class HotMachine(RuleBasedStateMachine):
    hits = 0

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="retinue-hot-"))
        self.rigs = [self.run(self._open()) for _ in range(2)]
        self.run(self.rigs[0].basics())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _open(self) -> Rig:
        catalog = await open_catalog(f"sqlite:{self.folder}/catalog.db", durable=False)
        blobs = FileBlobStore(self.folder, durable=False, threads=1)
        return Rig(catalog, blobs, Config(data=self.folder, durable=False))

    def teardown(self) -> None:
        for rig in self.rigs:
            HotMachine.hits += rig.hits
            self.run(rig.catalog.close())
            self.run(rig.blobs.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    @rule(process=PROCESS, number=NUMBER, tag=TAG)
    def push(self, process: int, number: int, tag: str) -> None:
        self.run(self.rigs[process].put(IMAGES[number], tag))

    @rule(process=PROCESS, number=NUMBER)
    def attach(self, process: int, number: int) -> None:
        self.run(self.rigs[process].put(PAPERS[number]))

    @rule(process=PROCESS, number=NUMBER)
    def push_a_blob(self, process: int, number: int) -> None:
        self.run(self.rigs[process].blob(BLOBS[number]))

    @rule(process=PROCESS, tag=TAG)
    def untag(self, process: int, tag: str) -> None:
        self.run(self.rigs[process].delete(tag))

    @rule(process=PROCESS, number=NUMBER)
    def delete(self, process: int, number: int) -> None:
        self.run(self.rigs[process].delete(IMAGES[number].digest))

    @rule(process=PROCESS, number=NUMBER)
    def delete_a_blob(self, process: int, number: int) -> None:
        path = f"/v2/{NAME}/blobs/{digests.of(BLOBS[number])}"
        self.run(self.rigs[process].call("DELETE", path))

    @rule(process=PROCESS)
    def damage(self, process: int) -> None:
        self.run(quarantine(self.rigs[process]))
        self.run(self.rigs[process].basics())

    @rule(process=PROCESS, hours=st.integers(1, 40))
    def collect(self, process: int, hours: int) -> None:
        for rig in self.rigs:
            rig.now += hours * HOUR
        rig = self.rigs[process]
        options = Settings(Terms(), HOUR, rig.now)
        self.run(collect_once(rig.catalog, rig.blobs, options))

    @rule(process=PROCESS, path=st.sampled_from(PATHS), method=st.sampled_from(["GET", "HEAD"]))
    def read(self, process: int, path: str, method: str) -> None:
        self.run(self.rigs[process].call(method, f"/v2/{NAME}/{path}"))

    @invariant()
    def both_answer_alike(self) -> None:
        for path in PATHS:
            told = [self.run(rig.call("GET", f"/v2/{NAME}/{path}")) for rig in self.rigs * 2]
            assert (
                len({(answer.status, answer.body) for answer in told if answer.status == 200}) <= 1
            )
            assert len({answer.status for answer in told}) == 1


class TestHotMachine(HotMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(
        max_examples=4,
        stateful_step_count=20,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )

    @classmethod
    def tearDownClass(cls) -> None:
        assert HotMachine.hits > 200
