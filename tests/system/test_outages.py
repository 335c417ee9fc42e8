"""A catalog or a disk that is away while a registry serves, renews its workers, or starts."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from databases import PostgresServer
from faults.server import small_disk
from serving import Serving, until
from system.test_serve import children, push_image

Start = Callable[..., Serving]


@contextmanager
def away(server: PostgresServer) -> Iterator[None]:
    server.stop(signal.SIGINT)
    try:
        yield
    finally:
        server.start()


def pulled(registry: Serving) -> bool:
    try:
        return registry.get("/v2/team/app/manifests/v1").status == 200
    except OSError:
        return False


@pytest.fixture
def registry(start: Start, postgres_server: PostgresServer) -> Iterator[Serving]:
    with postgres_server.database() as url:
        serving = start(workers="2", database=url)
        push_image(serving)
        yield serving
        serving.stop()


def test_workers_that_cannot_be_renewed_stay(
    registry: Serving, postgres_server: PostgresServer
) -> None:
    before = children(registry)
    with away(postgres_server):
        registry.signal(signal.SIGHUP)
        until(lambda: registry.log.count("the old one stays") > 1)
        assert before <= children(registry)
        assert registry.get("/healthz").status == 200
        assert registry.get("/readyz").status == 503
    until(lambda: not before & children(registry))
    assert pulled(registry)
    assert registry.stop() == 0


def test_a_worker_that_dies_while_the_catalog_is_away_is_replaced_when_it_is_back(
    registry: Serving, postgres_server: PostgresServer
) -> None:
    with away(postgres_server):
        for victim in children(registry):
            os.kill(victim, signal.SIGKILL)
        until(lambda: registry.log.count("could not start") > 3)
        assert registry.process is not None
        assert registry.process.poll() is None
    until(lambda: pulled(registry) and len(children(registry)) == 2)
    assert registry.stop() == 0


def test_a_start_waits_for_its_catalog(registry: Serving, postgres_server: PostgresServer) -> None:
    registry.stop()
    with away(postgres_server):
        registry.start(wait=False)
        until(lambda: registry.log.count("the next attempt is in") > 1)
    until(lambda: pulled(registry))


def test_a_start_waits_no_longer_than_it_is_told(
    registry: Serving, postgres_server: PostgresServer
) -> None:
    registry.stop()
    registry.options["database_wait"] = "1s"
    with away(postgres_server):
        registry.start(wait=False)
        assert registry.wait() not in {0, -signal.SIGTERM}
    assert "the next attempt is in" in registry.log


def test_who_waits_for_a_catalog_can_be_stopped(
    registry: Serving, postgres_server: PostgresServer
) -> None:
    registry.stop()
    registry.options["database_wait"] = "1h"
    with away(postgres_server):
        registry.start(wait=False)
        until(lambda: "the next attempt is in" in registry.log)
        registry.signal(signal.SIGTERM)
        assert registry.wait() == 0


def test_a_disk_that_may_only_be_read_is_not_ready_and_is_read(tmp_path: Path) -> None:
    """Mounted anew, as ext4 does by itself after an error; a lazy mount leaves files open."""
    disk = tmp_path / "disk"
    with small_disk(disk, 64) as mounted:
        if not mounted:
            pytest.skip("a file system of its own needs root and mount")
        serving = Serving(
            str(disk / "data"), {"workers": "1", "database": f"sqlite:{tmp_path}/c.db"}
        )
        Path(f"{serving.data}.log").symlink_to(tmp_path / "log")
        serving.start()
        push_image(serving)
        try:
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            until(lambda: serving.get("/readyz").status == 503)
            assert serving.get("/readyz").body == b"blobs cannot be written\n"
            assert pulled(serving)
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
            until(lambda: serving.get("/readyz").status == 200)
        finally:
            assert serving.stop() == 0
