"""`retinue admin backup`: a consistent copy of the store in a new folder, while it serves.

Files get a second name instead of a copy where the file system can; --copy
makes copies. On PostgreSQL, dump the database with its own tools first. What
is damaged is named and passed by. Exit code 1: the backup lacks something.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import exits, options, serve
from retinue.cli.render import clean, count, emit, size

if TYPE_CHECKING:
    from retinue.registry.upkeep.datareport import DataReport


_ADVICE = ("what is damaged is not in the backup, all else is: see retinue admin fsck",)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="DIR", type=Path, help="a new or empty folder")
    serve.configuration(parser, serve.STORES)
    parser.add_argument("--copy", action="store_true", help="copy files, never link them")
    parser.add_argument("--verify", action="store_true", help="hash everything that is copied")
    options.json(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    report = asyncio.run(_backup(args))
    text = f"backed up {count(report.files, 'file')} ({size(report.bytes)}) to {args.target}"
    emit(
        {"target": str(args.target), **asdict(report)},
        "\n".join([text, *lost(report), *(_ADVICE if not report.whole else ())]),
        as_json=args.json,
    )
    return exits.DONE if report.whole else exits.FAILED


def lost(report: "DataReport") -> list[str]:
    """What a copy lacks, a line each."""
    lines = [clean(f"not copied: {each.digest}: {each.why}") for each in report.lost]
    more = report.missing + report.damaged - len(lines)
    return [*lines, f"and {more} more"] if more > 0 else lines


async def _backup(args: argparse.Namespace) -> "DataReport":
    from retinue.cli.admin.store import now, store
    from retinue.registry.upkeep.backup import Source, backup

    async with store(args, holds=True) as opened:
        source = Source(opened.catalog, opened.config.catalog, opened.config.data)
        return await backup(source, args.target, clock=now, link=not args.copy, verify=args.verify)
