"""Generic objects as a user makes, resolves and converts them, against a real registry."""

import json
from pathlib import Path

import pytest

from running import Ask
from serving import Serving


@pytest.fixture
def name(registry: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rootfs").mkdir()
    (tmp_path / "rootfs" / "hosts").write_text("127.0.0.1 localhost\n")
    return f"{registry.host}/objects/{tmp_path.name}".lower()


def test_an_image_becomes_an_object_and_an_image_again(ask: Ask, name: str) -> None:
    image = ask("push", "--image", "rootfs", f"{name}:image", "--json").json["digests"][0]
    made = ask("convert", f"{name}:image", f"{name}:object", "--to", "object", "--json")
    assert made.code == 0, made.err
    assert made.json["digests"][0] != image
    back = ask("convert", f"{name}:object", "oci:back:1", "--to", "image", "--json")
    assert back.code == 0, back.err
    blobs = [
        {blob["digest"] for blob in ask("inspect", where, "--json").json["blobs"]}
        for where in (f"{name}:image", f"{name}:object", "oci:back:1")
    ]
    assert blobs[0] == blobs[1] == blobs[2]


def test_what_an_object_leads_to_is_shown(ask: Ask, name: str) -> None:
    ask("push", "--image", "rootfs", f"{name}:image")
    ask("convert", f"{name}:image", f"{name}:object", "--to", "object")
    found = ask("inspect", f"{name}:object", "--resolve", "--json")
    assert found.code == 0, found.err
    assert (found.json["type"], found.json["version"]) == ("org.oci.image", "2")
    assert [part["ctype"] for part in found.json["components"]] == [
        "org.oci.config",
        "org.oci.layer",
    ]
    raw = ask("inspect", f"{name}:object", "--resolve", "--raw")
    assert json.loads(raw.out)["objects"][0]["type"] == "org.oci.image"


def test_an_object_that_nobody_understands_is_missing(ask: Ask, name: str) -> None:
    ask("push", "--image", "rootfs", f"{name}:image")
    ask("convert", f"{name}:image", f"{name}:object", "--to", "object")
    found = ask("inspect", f"{name}:object", "--resolve", "--understand", "org.example.x@1")
    assert found.code == 3
    assert "--understand" in found.err
