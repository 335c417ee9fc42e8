"""`retinue admin gc`: remove what nothing needs any more, now.

A server does this by itself every --gc-interval; this is for when you cannot
wait. Pushes and pulls go on meanwhile. What was used within the grace period
stays, and files go --trash-delay after what named them. What the server keeps
longer than these options say is kept as long as the server promises.
"""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from retinue.cli import exits, options, serve
from retinue.cli.render import clean, count, emit, size

if TYPE_CHECKING:
    from retinue.registry.gc.report import Report

TERMS = (*serve.STORES, "grace", "paper_grace", "trash_delay", "untagged_grace")


def arguments(parser: argparse.ArgumentParser) -> None:
    serve.configuration(parser, TERMS)
    parser.add_argument(
        "--shorten",
        action="store_true",
        help="keep things only as long as the options say, also where the server promises longer",
    )
    options.dry_run(parser)
    options.json(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    report = asyncio.run(_collect(args))
    emit(asdict(report), _text(report), as_json=args.json)
    if report.busy:
        return exits.CONFLICT
    return exits.BLIND if report.skipped else exits.DONE


async def _collect(args: argparse.Namespace) -> "Report":
    from retinue.cli.admin.store import now, store
    from retinue.registry.gc.execute import collect_once, leasehold
    from retinue.registry.upkeep.promise import agreed
    from retinue.registry.upkeep.tasks import end_deletions, settings

    async with store(args, writes=not args.dry_run) as opened:
        asked = settings(opened.config, now())
        how = asked if args.shorten else await agreed(opened.catalog, asked)
        lease = leasehold(opened.catalog, now)
        report = await collect_once(
            opened.catalog, opened.blobs, how, dry_run=args.dry_run, lease=lease
        )
        if not args.dry_run:
            await end_deletions(opened.catalog, opened.config, now())
        return report


def _text(report: "Report") -> str:
    if report.busy:
        return "another collection is under way; nothing more was done"
    lines = [f"{each.kind:<9} {each.repository or '-'}  {each.what}" for each in report.items]
    did = "would remove" if report.dry_run else "removed"
    lines.append(
        f"{did} {count(report.manifests, 'manifest')}, {count(report.blobs, 'blob')} of "
        f"repositories, {count(report.objects, 'object')} ({size(report.bytes)}), "
        f"{count(report.uploads, 'upload')}, {count(report.files, 'file')} from the trash"
    )
    lines += [f"not looked at: {name}: {why}" for name, why in report.skipped.items()]
    return "\n".join(map(clean, lines))
