"""Which folders a database file may lie in: WAL needs shared memory and locks of one machine."""

from pathlib import Path

from retinue.errors import RetinueError

REMOTE = frozenset(
    {
        *(
            "9p",
            "acfs",
            "afs",
            "beegfs",
            "ceph",
            "cifs",
            "coda",
            "fuse",
            "gfs2",
            "glusterfs",
            "gpfs",
        ),
        *("lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "smb2", "smb3"),
        *("smbfs", "vboxsf", "virtiofs"),
    }
)
"""Types of filesystem that several machines may see, or whose locks are not the kernel's own."""

MOUNTS = Path("/proc/self/mountinfo")


class NetworkFilesystem(RetinueError):
    """The database would lie on a filesystem whose locks cannot be relied on."""

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(
            f"{path} is on a {kind} filesystem, where SQLite can lose commits: "
            "use a local disk, or --database postgresql://…"
        )
        self.path = path
        self.kind = kind


def filesystem(path: Path, mountinfo: str) -> str:
    """The type of the filesystem that `path` (absolute, resolved) is on, by proc(5) mountinfo."""
    best, kind = -1, "unknown"
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        point = Path(left.split(" ")[4].encode().decode("unicode_escape"))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split(" ")[0]
    return kind


def remote(kind: str) -> bool:
    return kind.partition(".")[0] in REMOTE


def require_local(path: Path, mounts: Path = MOUNTS) -> None:
    """Raises NetworkFilesystem."""
    kind = filesystem(path.resolve(), mounts.read_text(encoding="utf-8"))
    if remote(kind):
        raise NetworkFilesystem(path, kind)
