"""`retinue tag`: give an image more tags, without moving any content.

retinue tag registry.example.com/app:1.4.2 1.4 1 latest
"""

import argparse

from retinue.cli import options
from retinue.cli.problems import BadUsage
from retinue.cli.render import emit


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=options.REFERENCE)
    parser.add_argument("tags", metavar="TAG", nargs="+", help="new tags in the same repository")
    options.dry_run(parser)
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.oci.reference import valid_tag

    for tag in args.tags:
        if not valid_tag(tag):
            raise BadUsage(f"{tag[:140]!r} is no tag", "use letters, digits, '_', '.' and '-'")
    digest = asyncio.run(_tag(args))
    did = "would tag" if args.dry_run else "tagged"
    emit(
        {"digest": digest, "tags": args.tags, "dry_run": args.dry_run},
        f"{did} {digest} as {', '.join(args.tags)}",
        as_json=args.json,
    )
    return 0


async def _tag(args: argparse.Namespace) -> str:
    from retinue.cli.reach import client, find_manifest, writable
    from retinue.oci.reference import parse_location

    location = parse_location(args.reference)
    async with client(args) as reached, writable(reached, location) as store:
        manifest = await find_manifest(store, location)
        for tag in () if args.dry_run else dict.fromkeys(args.tags):
            await store.put_tag(tag, manifest.digest)
        return manifest.digest
