"""Confined names, and files that are replaced as a whole."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from retinue.files import (
    Bytes,
    Calls,
    Root,
    UnsafePath,
    fsync_folder,
    make_folders,
    read_all,
    split,
    write_all,
    write_atomically,
)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    (tmp_path / "root" / "sub").mkdir(parents=True)
    (tmp_path / "outside").write_bytes(b"secret")
    with Root(tmp_path / "root") as opened:
        yield opened


OPERATIONS: dict[str, Callable[[Root, str], object]] = {
    "open": lambda root, name: root.open(name, os.O_RDONLY),
    "create": lambda root, name: root.open(name, os.O_WRONLY | os.O_CREAT),
    "read": lambda root, name: root.read(name, 100),
    "status": lambda root, name: root.status(name),
    "entries": lambda root, name: list(root.entries(name)),
    "make folder": lambda root, name: root.make_folder(name),
    "sync": lambda root, name: root.sync_folder(name),
    "link from": lambda root, name: root.link(name, "new"),
    "link to": lambda root, name: root.link("sub", name),
    "unlink": lambda root, name: root.unlink(name),
    "write": lambda root, name: root.write_atomically(name, b"x"),
}

each_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../outside",
        "sub/../../outside",
        "sub/..",
        "/etc/passwd",
        "//x",
        ".",
        "./x",
        "sub//x",
        "sub/",
        "x\0y",
        "a" * 5000,
    ],
)
@each_operation
def test_names_that_could_lead_out_are_refused(
    root: Root, operation: Callable[[Root, str], object], name: str
) -> None:
    with pytest.raises(UnsafePath):
        operation(root, name)


@each_operation
def test_no_folder_on_the_way_may_be_a_symbolic_link(
    root: Root, operation: Callable[[Root, str], object]
) -> None:
    (root.path / "way").symlink_to(root.path.parent)
    with pytest.raises(UnsafePath):
        operation(root, "way/outside")


def test_a_symbolic_link_is_not_opened(root: Root) -> None:
    (root.path / "file").symlink_to(root.path.parent / "outside")
    (root.path / "folder").symlink_to(root.path.parent)
    for flags in (os.O_RDONLY, os.O_WRONLY | os.O_CREAT):
        with pytest.raises(UnsafePath):
            root.open("file", flags)
    with pytest.raises(UnsafePath):
        list(root.entries("folder"))
    with pytest.raises(UnsafePath):
        root.sync_folder("folder")


def test_the_root_itself_may_be_reached_through_a_link(root: Root, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root.path)
    with Root(tmp_path / "alias") as other:
        other.write_atomically("x", b"1")
        assert root.path == other.path
    assert root.read("x", 1) == b"1"


def test_a_file_where_a_folder_is_needed_is_an_error_of_the_system(root: Root) -> None:
    root.write_atomically("plain", b"")
    with pytest.raises(NotADirectoryError):
        root.read("plain/x", 1)


def test_splitting_a_name() -> None:
    assert split("a/b/c") == (["a", "b"], "c")
    assert split("..c") == ([], "..c")
    with pytest.raises(UnsafePath):
        split("")


def test_a_file_is_replaced_as_a_whole_with_its_mode(root: Root) -> None:
    root.write_atomically("sub/x", b"old", 0o644)
    root.write_atomically("sub/x", b"new", 0o600)
    assert root.read("sub/x", 3) == b"new"
    status = root.status("sub/x")
    assert status is not None
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert [name for name, _ in root.entries("sub")] == ["x"]


def test_replacing_a_link_leaves_what_it_pointed_to(root: Root) -> None:
    (root.path / "x").symlink_to(root.path.parent / "outside")
    root.write_atomically("x", b"new")
    assert (root.path.parent / "outside").read_bytes() == b"secret"
    assert root.read("x", 3) == b"new"


def test_reading_is_bounded(root: Root) -> None:
    root.write_atomically("x", b"12345")
    assert root.read("x", 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        root.read("x", 4)


def test_linking_never_replaces(root: Root) -> None:
    root.write_atomically("a", b"a")
    root.write_atomically("b", b"b")
    with pytest.raises(FileExistsError):
        root.link("a", "b")
    root.link("a", "sub/c")
    assert root.read("sub/c", 1) == b"a"


def test_what_is_absent(root: Root) -> None:
    assert root.status("sub/x") is None
    assert root.status("none/x") is None
    assert root.unlink("sub/x") is False
    root.write_atomically("sub/x", b"")
    assert root.unlink("sub/x") is True


def test_entries_are_regular_files_only(root: Root) -> None:
    root.write_atomically("sub/file", b"12")
    root.make_folder("sub/folder")
    (root.path / "sub" / "link").symlink_to("file")
    os.mkfifo(root.path / "sub" / "pipe")
    assert [(name, status.st_size) for name, status in root.entries("sub")] == [("file", 2)]


def test_folders_are_made_once(root: Root) -> None:
    assert root.make_folder("sub/x") is True
    assert root.make_folder("sub/x") is False


def test_paths_that_the_user_named(tmp_path: Path) -> None:
    make_folders(tmp_path / "a" / "b")
    make_folders(tmp_path / "a" / "b")
    write_atomically(tmp_path / "a" / "b" / "x", b"1")
    fsync_folder(tmp_path / "a")
    assert (tmp_path / "a" / "b" / "x").read_bytes() == b"1"


class Sparing(Calls):
    """Takes at most `most` bytes per call."""

    def __init__(self, most: int) -> None:
        self.most = most

    def write(self, fd: int, parts: Sequence[Bytes], offset: int) -> int:
        return super().write(fd, [b"".join(parts)[: self.most]], offset)

    def read(self, fd: int, size: int, offset: int) -> bytes:
        return super().read(fd, min(size, self.most), offset)


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_short_writes_and_reads_are_continued(root: Root, most: int) -> None:
    fd = root.open("x", os.O_RDWR | os.O_CREAT)
    write_all(Sparing(most), fd, [b"12", b"", b"345", memoryview(b"67")], 1)
    assert read_all(Sparing(most), fd, 100, 1) == b"1234567"
    assert read_all(Sparing(most), fd, 3, 2) == b"234"
    os.close(fd)


def test_a_disk_that_takes_nothing_is_an_error(root: Root) -> None:
    fd = root.open("x", os.O_RDWR | os.O_CREAT)
    with pytest.raises(OSError, match="no more bytes"):
        write_all(Sparing(0), fd, [b"1"], 0)
    os.close(fd)
