"""`retinue serve --read-only`: pulls work, and nothing is changed, on both databases."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builders import blobs_of, image
from databases import postgres_server
from retinue.oci import digest as digests
from serving import Serving, free_port, on_database

__all__ = ["postgres_server"]

IMAGE = image(b"a layer", b"l" * 200_000)


@pytest.fixture(params=["sqlite", "postgres"])
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Serving]:
    """A read-only registry beside the one that was pushed to."""
    writing = Serving(str(tmp_path / "data"), {"workers": "1"})
    with on_database(writing, request):
        for digest, data in blobs_of(b"a layer", b"l" * 200_000).items():
            path = f"/v2/app/blobs/uploads/?digest={digest}"
            assert writing.call("POST", path, data).status == 201
        kind = {"content-type": IMAGE.media_type}
        assert writing.call("PUT", "/v2/app/manifests/1", IMAGE.raw, kind).status == 201
        options = {**writing.options, "read_only": "true", "grace": "1"}
        looking = replace(writing, options=options, port=free_port(), process=None)
        looking.start()
        yield looking
        looking.stop()


def test_pulls_work(served: Serving) -> None:
    assert served.get("/v2/app/manifests/1").body == IMAGE.raw
    assert served.call("HEAD", f"/v2/app/manifests/{IMAGE.digest}").status == 200
    layer = digests.of(b"l" * 200_000)
    assert served.get(f"/v2/app/blobs/{layer}").body == b"l" * 200_000
    assert json.loads(served.get("/v2/app/tags/list").body)["tags"] == ["1"]
    assert served.get("/readyz").status == 200


CHANGES = (
    ("POST", "/v2/app/blobs/uploads/"),
    ("PATCH", "/v2/app/blobs/uploads/x"),
    ("PUT", "/v2/app/blobs/uploads/x"),
    ("DELETE", "/v2/app/blobs/uploads/x"),
    ("PUT", "/v2/app/manifests/1"),
    ("DELETE", "/v2/app/manifests/1"),
    ("DELETE", f"/v2/app/blobs/{digests.of(b'a layer')}"),
)


def test_whatever_changes_something_is_refused(served: Serving) -> None:
    for method, path in CHANGES:
        answer = served.call(method, path, b"{}")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
        (error,) = json.loads(answer.body)["errors"]
        assert error["code"] == "UNSUPPORTED"
        assert "read-only" in error["message"]


def test_where_nothing_is_nothing_is_made(tmp_path: Path) -> None:
    serving = Serving(str(tmp_path / "none"), {"workers": "1", "read_only": "true"})
    serving.start(wait=False)
    assert serving.wait() != 0
    assert not (tmp_path / "none").exists()
