"""Storage that is not there is not storage that is empty: a real server, and administration."""

from collections.abc import Callable
from pathlib import Path

import pytest

from retinue.oci import digest as digests
from running import Ask
from serving import Serving, free_port

LARGE = bytes(range(256)) * 4096
BLOB = f"/v2/app/blobs/{digests.of(LARGE)}"


@pytest.fixture(params=["sqlite", "postgres"])
def away(request: pytest.FixtureRequest, start: Callable[..., Serving], tmp_path: Path) -> Serving:
    """A registry with a large blob and its catalog elsewhere, stopped, its folder not mounted."""
    if request.param == "sqlite":
        database = f"sqlite:{tmp_path}/elsewhere/catalog.db"
    else:
        database = _database(request)
    serving = start(workers="1", database=database)
    path = f"/v2/app/blobs/uploads/?digest={digests.of(LARGE)}"
    assert serving.call("POST", path, LARGE).status == 201
    assert serving.stop() == 0
    Path(serving.data).rename(f"{serving.data}.away")
    return serving


def _database(request: pytest.FixtureRequest) -> str:
    opened = request.getfixturevalue("postgres_server").database()
    url: str = opened.__enter__()
    request.addfinalizer(lambda: opened.__exit__(None, None, None))
    return url


@pytest.mark.parametrize("empty", [False, True])
def test_a_start_without_its_folder_is_refused(away: Serving, ask: Ask, empty: bool) -> None:
    data = Path(away.data)
    if empty:
        data.mkdir()
    away.start(wait=False)
    assert away.wait() != 0
    assert "mount the right folder" in away.log
    store = "--data", away.data, "--database", away.options["database"]
    for verb in (("gc",), ("fsck",), ("fsck", "--repair")):
        assert ask("admin", *verb, *store).code != 0
    assert data.exists() is empty
    assert not empty or list(data.iterdir()) == []
    if empty:
        data.rmdir()
    Path(f"{data}.away").rename(data)
    away.start()
    assert away.get(BLOB).body == LARGE
    assert ask("admin", "fsck", *store).code == 0


def test_a_folder_of_other_things_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    data = tmp_path / "home"
    data.mkdir()
    (data / "letter.txt").write_text("dear")
    serving = Serving(str(data), port=free_port())
    serving.start(wait=False)
    assert serving.wait() != 0
    assert "is not empty and holds no registry (letter.txt)" in serving.log
    assert [one.name for one in data.iterdir()] == ["letter.txt"]
