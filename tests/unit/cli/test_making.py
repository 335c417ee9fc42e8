"""Artifacts out of files."""

from pathlib import Path

import pytest

from retinue.cli.local import LocalSource
from retinue.cli.making import add_artifact, epoch, this_platform
from retinue.cli.pairs import annotations_of
from retinue.cli.problems import BadUsage
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.manifest import Manifest
from retinue.oci.stores import BlobMissing, DigestMismatch


def make(files: list[str], artifact_type: str | None = "a/b") -> Manifest:
    return add_artifact(LocalSource(), files, artifact_type=artifact_type, annotations={})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.json").write_text("{}")
    (tmp_path / "a").write_text("content")
    (tmp_path / "odd:x").mkdir()
    (tmp_path / "odd:x" / "y").write_text("odd")
    return tmp_path


def layer(file: str) -> tuple[str, str]:
    [only] = make([file]).blobs[1:]
    return only.annotations[names.ANNOTATION_TITLE], only.media_type


def test_files_keep_their_names_and_types(here: Path) -> None:
    assert layer("a") == ("a", "application/octet-stream")
    assert layer("folder/b.json:application/json") == ("folder/b.json", "application/json")
    assert layer(str(here / "folder" / "b.json")) == ("b.json", "application/octet-stream")


def test_a_file_whose_name_looks_like_a_type_is_a_file(here: Path) -> None:
    assert layer("odd:x/y") == ("odd:x/y", "application/octet-stream")


def test_an_artifact_has_an_empty_configuration_and_a_type(here: Path) -> None:
    manifest = make(["a"])
    assert manifest.artifact_type == "a/b"
    assert manifest.config is not None
    assert manifest.config.media_type == names.OCI_EMPTY
    assert b'"data":"e30="' in manifest.raw
    assert make(["a"], None).artifact_type == names.UNKNOWN_ARTIFACT


def test_the_same_files_make_the_same_artifact(here: Path) -> None:
    assert make(["a"]).digest == make(["a"]).digest


@pytest.mark.parametrize(
    ("files", "kind", "said"),
    [
        (["folder"], "a/b", "is a folder"),
        (["a", "./a"], "a/b", "two files are called 'a'"),
        (["a"], "no type", "no media type"),
        (["a:x/y z"], "a/b", "no media type"),
    ],
)
def test_what_does_not_work_is_said(here: Path, files: list[str], kind: str, said: str) -> None:
    with pytest.raises(BadUsage, match=said):
        make(files, kind)


def test_a_file_that_is_not_there(here: Path) -> None:
    with pytest.raises(FileNotFoundError):
        make(["b"])


def test_annotations() -> None:
    assert annotations_of(["a=b=c", "d="]) == {"a": "b=c", "d": ""}
    for wrong in ("a", "=b"):
        with pytest.raises(BadUsage):
            annotations_of([wrong])


def test_times_come_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    assert epoch() == 0
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12")
    assert epoch() == 12
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "now")
    with pytest.raises(BadUsage):
        epoch()


def test_this_machine_has_a_platform() -> None:
    assert this_platform().os == "linux"


async def read(source: LocalSource, digest: digests.Digest, start: int = 0) -> bytes:
    async with source.blob(digest, start) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_a_file_is_read_when_it_is_sent(here: Path) -> None:
    source = LocalSource()
    described = source.add_file(here / "a", "text/plain")
    assert await read(source, described.digest) == b"content"
    assert await read(source, described.digest, 3) == b"tent"
    assert [tag async for tag in source.tags()] == []


async def test_a_file_that_changes_before_it_is_sent_is_noticed(here: Path) -> None:
    source = LocalSource()
    described = source.add_file(here / "a", "text/plain")
    (here / "a").write_text("changed")
    with pytest.raises(DigestMismatch):
        await read(source, described.digest)


async def test_what_was_not_made_is_missing() -> None:
    with pytest.raises(BlobMissing):
        await read(LocalSource(), digests.of(b"?"))
