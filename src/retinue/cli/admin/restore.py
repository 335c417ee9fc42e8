"""`retinue admin restore`: make a new store out of a backup.

--data names the folder that it is made in, which is new or empty. On
PostgreSQL, restore the dump to --database first. All bytes are hashed. What is
damaged is named, passed by and not served: a push brings it back. Exit code 1:
the new store lacks something.

  retinue admin restore /backup/monday --data /var/lib/retinue
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import exits, options, serve
from retinue.cli.admin.backup import lost
from retinue.cli.render import count, emit, size

if TYPE_CHECKING:
    from retinue.registry.upkeep.datareport import DataReport


_ADVICE = ("what is damaged is not served, all else is: push it again",)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("backup", metavar="DIR", type=Path, help="the folder of the backup")
    serve.configuration(parser, (*serve.STORES, "grace"))
    parser.add_argument(
        "--verify", action="store_true", help="changes nothing: whatever is copied is hashed"
    )
    options.json(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    report = asyncio.run(_restore(args))
    text = f"restored {count(report.files, 'file')} ({size(report.bytes)}) from {args.backup}"
    emit(
        {"backup": str(args.backup), **asdict(report)},
        "\n".join([text, *lost(report), *(_ADVICE if not report.whole else ())]),
        as_json=args.json,
    )
    return exits.DONE if report.whole else exits.FAILED


async def _restore(args: argparse.Namespace) -> "DataReport":
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
    )
