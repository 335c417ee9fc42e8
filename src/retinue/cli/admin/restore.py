"""`retinue admin restore`: make a new store out of a backup.

--data names the folder that it is made in, which is new or empty. On
PostgreSQL, restore the dump to --database first.

  retinue admin restore /backup/monday --data /var/lib/retinue --verify
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import exits, options, serve
from retinue.cli.render import count, emit, size

if TYPE_CHECKING:
    from retinue.registry.upkeep.restore import RestoreReport


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("backup", metavar="DIR", type=Path, help="the folder of the backup")
    serve.configuration(parser, (*serve.STORES, "grace"))
    parser.add_argument("--verify", action="store_true", help="hash everything that was copied")
    options.json(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    report = asyncio.run(_restore(args))
    text = f"restored {count(report.files, 'file')} ({size(report.bytes)}) from {args.backup}"
    if report.missing:
        text += f"\n{count(report.missing, 'file')} were lost before the backup was made"
    emit({"backup": str(args.backup), **asdict(report)}, text, as_json=args.json)
    return exits.FAILED if report.missing else exits.DONE


async def _restore(args: argparse.Namespace) -> "RestoreReport":
    from retinue.cli.admin.store import now
    from retinue.cli.serve import load_config
    from retinue.registry.gc.plan import SECOND
    from retinue.registry.upkeep.restore import restore

    config = load_config(args)
    return await restore(
        args.backup,
        config.data,
        config.catalog,
        now=now(),
        grace=int(config.grace * SECOND),
        verify=args.verify,
    )
