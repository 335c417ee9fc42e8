"""A database on a network filesystem is refused, with the reason."""

from pathlib import Path

import pytest

from retinue.registry.catalog.localdisk import (
    NetworkFilesystem,
    filesystem,
    remote,
    require_local,
)

MOUNTS = r"""22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:26 / /srv rw,relatime shared:5 - nfs4 server:/export rw,vers=4.2
31 30 0:27 / /srv/local rw - xfs /dev/vdb rw
32 22 0:28 / /mnt/with\040space rw - fuse.sshfs host:/ rw
33 22 0:29 / /data rw - ext4 /dev/vdc rw
34 33 0:30 / /data rw - cifs //server/share rw
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/var/lib/retinue", "ext4"),
        ("/srv/retinue", "nfs4"),
        ("/srv", "nfs4"),
        ("/srvice", "ext4"),
        ("/srv/local/retinue", "xfs"),
        ("/mnt/with space/retinue", "fuse.sshfs"),
        ("/data/retinue", "cifs"),  # mounted over another
    ],
)
def test_the_innermost_and_last_mount_counts(path: str, expected: str) -> None:
    assert filesystem(Path(path), MOUNTS) == expected


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse", "9p", "ceph"]
)
def test_filesystems_of_several_machines(kind: str) -> None:
    assert remote(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk"])
def test_filesystems_of_one_machine(kind: str) -> None:
    assert not remote(kind)


def test_the_reason_and_the_remedy_are_named(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 1 254:1 / / rw - nfs4 server:/ rw\n")
    with pytest.raises(NetworkFilesystem, match=r"nfs4 .* local disk, or --database postgresql"):
        require_local(tmp_path / "catalog.db", mounts)


def test_this_machine_is_read_as_it_is(tmp_path: Path) -> None:
    require_local(tmp_path / "catalog.db")
