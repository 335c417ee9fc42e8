"""`retinue admin fsck`: check every link against the manifests, and every byte against its digest.

Both ways: what the catalog names must be stored, and what is stored must be
named. It may run while the registry serves. Without --repair nothing is
changed. Exit code 1: something is wrong that is not repaired now.
"""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from retinue.cli import exits, options, serve
from retinue.cli.render import clean, count, emit, size

if TYPE_CHECKING:
    from retinue.registry.upkeep.findings import FsckReport


def arguments(parser: argparse.ArgumentParser) -> None:
    serve.configuration(parser, serve.STORES)
    parser.add_argument(
        "--quick", action="store_true", help="trust the bytes of files whose size is right"
    )
    parser.add_argument(
        "--repair",
        action="store_true",
        help="repair what is safe: derive links anew, stop serving damaged bytes and serve whole"
        " ones again, drop leftovers",
    )
    parser.add_argument(
        "--rebuild-links", action="store_true", help="repair only what is derived from manifests"
    )
    options.json(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    report = asyncio.run(_fsck(args))
    emit({**asdict(report), "clean": report.clean}, _text(report), as_json=args.json)
    return exits.FAILED if report.unrepaired else exits.DONE


async def _fsck(args: argparse.Namespace) -> "FsckReport":
    from retinue.cli.admin.store import now, store
    from retinue.registry.upkeep.checks import Checks
    from retinue.registry.upkeep.fsck import fsck
    from retinue.registry.upkeep.promise import agreed
    from retinue.registry.upkeep.tasks import settings

    async with store(args, writes=args.repair or args.rebuild_links) as opened:
        config = opened.config
        kept = await agreed(opened.catalog, settings(config, now()))
        checks = Checks(
            now=kept.now,
            grace=kept.terms.grace,
            trash_delay=kept.trash_delay,
            repair=args.repair,
            rebuild_links=args.rebuild_links,
            hash_files=not args.quick,
            sparse=config.sparse,
        )
        return await fsck(opened.catalog, opened.blobs, checks)


def _text(report: "FsckReport") -> str:
    lines = []
    for found in report.findings:
        where = f"{found.repository}  " if found.repository else ""
        done = "  (repaired)" if found.repaired else ""
        lines.append(clean(f"{found.kind}: {where}{found.digest}: {found.what}{done}"))
    lines.append(
        f"looked at {count(report.objects, 'object')} ({size(report.bytes)}), "
        f"{count(report.manifests, 'manifest')}, {count(report.tags, 'tag')}, "
        f"{count(report.files, 'file')}: " + ("all is well" if report.clean else _judgement(report))
    )
    return "\n".join(lines)


def _judgement(report: "FsckReport") -> str:
    found = sum(report.counts.values())
    if not report.unrepaired:
        return f"{count(found, 'finding')}, all repaired"
    return f"{count(found, 'finding')}, {report.unrepaired} not repaired; see --repair"
