"""A disk that is full: it is emptied through the registry, which starts on it, and goes on."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from builders import LAYER, blobs_of, image
from faults.server import small_disk
from retinue.oci import digest as digests
from retinue.registry.catalog.reserve import SHARE
from serving import Reply, Serving, until

SIZE = 40
OPTIONS = {
    "workers": "2", "grace": "1s", "paper_grace": "1s", "untagged_grace": "1s",
    "trash_delay": "1s", "gc_interval": "1s", "drain": "20s", "durable": "true",
}  # fmt: skip
MOST = 3000
"""Of pushes until the disk is full, and of tries at anything."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", SIZE) as mounted:
        if not mounted:
            pytest.skip("a file system of its own needs root and mount")
        yield tmp_path / "disk"


@pytest.fixture
def registry(disk: Path, tmp_path: Path) -> Iterator[Serving]:
    """Its log is on another disk."""
    (tmp_path / "data.log").touch()
    serving = Serving(str(disk / "data"), dict(OPTIONS))
    Path(f"{serving.data}.log").symlink_to(tmp_path / "data.log")
    serving.start()
    yield serving
    if serving.process is not None and serving.process.poll() is None:
        serving.process.kill()
        serving.process.wait()
        until(lambda: not _listens(serving))


def _listens(serving: Serving) -> bool:
    with suppress(OSError):
        serving.connect().close()
        return True
    return False


def push_blob(registry: Serving, data: bytes) -> int:
    path = f"/v2/full/blobs/uploads/?digest={digests.of(data)}"
    with suppress(ConnectionError):  # it is told before it has sent all
        return registry.call("POST", path, data).status
    return 503


def push_parts(registry: Serving) -> None:
    for data in blobs_of(LAYER).values():
        assert push_blob(registry, data) == 201


def push_image(registry: Serving, number: int) -> Reply:
    manifest = image(LAYER, annotations={"number": f"{number} " + "x" * 2000})
    headers = {"content-type": manifest.media_type}
    return registry.call("PUT", f"/v2/full/manifests/t{number}", manifest.raw, headers)


def fill(registry: Serving) -> list[int]:
    """Blobs of all sizes and manifests until nothing more is taken. Returns the images' numbers."""
    push_parts(registry)
    images = [number for number in range(300) if push_image(registry, number).status == 201]
    for power in (21, 20, 18, 16, 14, 12):
        for _ in range(MOST):
            if push_blob(registry, os.urandom(1 << power)) != 201:
                break
        else:
            raise AssertionError("the disk does not fill up")
    for number in range(300, MOST):
        if push_image(registry, number).status != 201:
            return images
        images.append(number)
    raise AssertionError("the disk does not fill up")


def delete_all(registry: Serving, images: list[int]) -> None:
    for number in images:
        head = registry.call("HEAD", f"/v2/full/manifests/t{number}")
        assert head.status == 200, (number, head, registry.log[-2000:])
        path = f"/v2/full/manifests/{head.headers['docker-content-digest']}"
        answer = registry.call("DELETE", path)
        assert answer.status == 202, (number, answer.body, registry.log[-2000:])


def takes_pushes(registry: Serving) -> bool:
    return push_blob(registry, os.urandom(1 << 20)) == 201


@pytest.mark.parametrize("restart", ["never", "stopped", "killed"])
def test_a_full_disk_is_emptied_through_the_registry(registry: Serving, restart: str) -> None:
    images = fill(registry)
    assert len(images) > 100
    assert registry.get("/v2/full/manifests/t0").status == 200
    if restart != "never":
        if restart == "stopped":
            assert registry.stop() == 0
        else:
            registry.signal(signal.SIGKILL)
            registry.wait()
            until(lambda: not _listens(registry))
        registry.start()
    delete_all(registry, images)
    until(lambda: takes_pushes(registry))
    push_parts(registry)
    assert push_image(registry, MOST).status == 201
    reserve = Path(registry.data, "catalog.db.reserve")
    until(lambda: reserve.stat().st_size == (SIZE << 20) // SHARE)
    assert registry.stop() == 0
    command = [*registry.command()[:3], "admin", "fsck", "--data", registry.data]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
