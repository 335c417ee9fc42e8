"""Layers are the same bytes wherever and whenever they are made."""

import gzip
import hashlib
import io
import os
import socket
import tarfile
from pathlib import Path

import pytest

from retinue.layers.image import config_of, image_of
from retinue.layers.tar import Layer, NoLayerFile, write_layer
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.platform import Platform


def made(folder: Path, time: int = 0) -> tuple[Layer, bytes]:
    out = io.BytesIO()
    return write_layer(folder, out, time=time), out.getvalue()


def fill(folder: Path, names_in_order: list[str]) -> None:
    for name in names_in_order:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(0o640)
    for inner in (folder, *folder.rglob("*/")):
        inner.chmod(0o755)


def test_the_order_of_making_and_the_times_of_files_do_not_matter(tmp_path: Path) -> None:
    some = ["b/x", "a", "b/a/z", "b.txt"]
    fill(tmp_path / "one", some)
    fill(tmp_path / "two", some[::-1])
    os.utime(tmp_path / "two" / "a", (1, 1))
    assert made(tmp_path / "one") == made(tmp_path / "two")


def test_digests_are_those_of_the_bytes(tmp_path: Path) -> None:
    fill(tmp_path, ["a", "b"])
    layer, data = made(tmp_path)
    assert layer.digest == digests.of(data)
    assert layer.size == len(data)
    assert layer.diff_id == digests.of(gzip.decompress(data))


def test_entries_are_sorted_and_belong_to_nobody(tmp_path: Path) -> None:
    fill(tmp_path, ["b", "a/c", "a.d"])
    (tmp_path / "link").symlink_to("/etc/passwd")
    _, data = made(tmp_path, time=1_700_000_000)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
        assert [m.name for m in members] == ["a", "a/c", "a.d", "b", "link"]
        assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {
            (0, 0, "", "", 1_700_000_000)
        }
        assert members[1].mode == 0o640
        assert members[4].linkname == "/etc/passwd"
        inner = tar.extractfile("a/c")
        assert inner is not None
        assert inner.read() == b"a/c"


def test_a_folder_behind_a_link_is_not_entered(tmp_path: Path) -> None:
    fill(tmp_path / "outside", ["secret"])
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "outside")
    _, data = made(tmp_path / "in")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["link"]


def test_long_and_foreign_names_survive(tmp_path: Path) -> None:
    name = "ü" * 60 + "/" + "x" * 200
    fill(tmp_path, [name])
    _, data = made(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == [name.partition("/")[0], name]


def test_a_large_file_is_streamed_right(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    (tmp_path / "large").write_bytes(content)
    _, data = made(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        inner = tar.extractfile("large")
        assert inner is not None
        assert hashlib.sha256(inner.read()).digest() == hashlib.sha256(content).digest()


def test_an_empty_folder_is_a_valid_layer(tmp_path: Path) -> None:
    _, data = made(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == []


def test_the_header_of_gzip_names_nothing(tmp_path: Path) -> None:
    _, data = made(tmp_path)
    assert data[:4] == b"\x1f\x8b\x08\x00"
    assert data[4:8] == bytes(4)


def test_sockets_and_devices_are_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(NoLayerFile, match="socket"):
            made(tmp_path)


def test_an_image_says_what_it_is_of(tmp_path: Path) -> None:
    fill(tmp_path, ["a"])
    layer, _ = made(tmp_path)
    config = config_of([layer], Platform("linux", "arm64", "v8"), ["/a", "-x"])
    manifest = image_of(config, [layer], {"k": "v"})
    assert b'"variant":"v8"' in config
    assert b'"Entrypoint":["/a","-x"]' in config
    assert layer.diff_id.encode() in config
    assert [blob.digest for blob in manifest.blobs] == [digests.of(config), layer.digest]
    assert manifest.media_type == names.OCI_MANIFEST
    assert manifest.annotations == {"k": "v"}


@pytest.mark.parametrize("name", ["file", "nothing"])
def test_what_is_no_folder_is_no_empty_layer(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=name):
        made(tmp_path / name)
