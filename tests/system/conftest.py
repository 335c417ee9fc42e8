from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving import Serving, free_port


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Start a real server; options by name (`workers="1"`). It is stopped after the test."""
    started: list[Serving] = []

    def begin(port: int | None = None, **options: str) -> Serving:
        serving = Serving(str(tmp_path / "data"), options, port or free_port())
        started.append(serving)
        serving.start()
        return serving

    yield begin
    for serving in started:
        serving.stop()
        # Room that was set aside for a full disk; hundreds of folders are kept for a while.
        Path(serving.data, "catalog.db.reserve").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with default options, that no test stops or signals."""
    serving = Serving(str(tmp_path_factory.mktemp("registry") / "data"))
    serving.start()
    yield serving
    serving.stop()
