"""`retinue admin backup`: a consistent copy of the store in a new folder, while it serves.

Files get a second name instead of a copy where the file system can; --copy
makes copies. On PostgreSQL, dump the database with its own tools first.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import exits, options, serve
from retinue.cli.render import count, emit, size

if TYPE_CHECKING:
    from retinue.registry.upkeep.backup import BackupReport


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="DIR", type=Path, help="a new or empty folder")
    serve.configuration(parser, serve.STORES)
    parser.add_argument("--copy", action="store_true", help="copy files, never link them")
    parser.add_argument("--verify", action="store_true", help="hash everything that was copied")
    options.json(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    report = asyncio.run(_backup(args))
    text = f"backed up {count(report.files, 'file')} ({size(report.bytes)}) to {args.target}"
    if report.missing:
        text += f"\n{count(report.missing, 'file')} were lost before: see retinue admin fsck"
    emit({"target": str(args.target), **asdict(report)}, text, as_json=args.json)
    return exits.FAILED if report.missing else exits.DONE


async def _backup(args: argparse.Namespace) -> "BackupReport":
    from retinue.cli.admin.store import now, store
    from retinue.registry.upkeep.backup import Source, backup

    async with store(args) as opened:
        source = Source(opened.catalog, opened.config.catalog, opened.config.data)
        return await backup(source, args.target, clock=now, link=not args.copy, verify=args.verify)
