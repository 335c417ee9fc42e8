"""`retinue gate doctor`: whether containerd really asks its image verifiers.

Without verifiers in the right folder, or with one of several options, containerd
pulls without asking. Exit code 0 says that nothing was found, 1 that images get
through unasked.
"""

import argparse
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import options
from retinue.cli.render import GREEN, RED, YELLOW, clean, emit, paint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retinue.gates.doctor import Entry

MAX_CONFIG = 4 * 1024 * 1024


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=Path("/etc/containerd/config.toml"),
        help="containerd's configuration [/etc/containerd/config.toml]",
    )
    options.json(parser)


def run(args: argparse.Namespace) -> int:
    from retinue.gates.doctor import examine

    with args.config.open("rb") as file:
        findings = examine(file.read(MAX_CONFIG), _listing)
    data = [{"bypass": each.bypass, "text": each.text} for each in findings]
    lines = [
        f"{paint('bypass', RED) if each.bypass else paint('note', YELLOW)}  {clean(each.text)}"
        for each in findings
    ]
    emit(data, "\n".join(lines) or paint("containerd asks its verifiers", GREEN), as_json=args.json)
    return 1 if any(each.bypass for each in findings) else 0


def _listing(folder: str) -> "Sequence[Entry] | None":
    """The files of the folder of verifiers; None when there is none."""
    from retinue.gates.doctor import Entry

    path = Path(folder)
    if not path.is_dir():
        return None
    loose = _is_loose(path)
    return [
        Entry(each.name, bool(each.stat().st_mode & stat.S_IXUSR), loose or _is_loose(each))
        for each in sorted(path.iterdir())
        if each.is_file()
    ]


def _is_loose(path: Path) -> bool:
    """Whether somebody else than root can change it."""
    found = path.stat()
    return found.st_uid != 0 or bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
