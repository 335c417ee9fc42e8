"""`retinue promote`: copy an image with its papers, if the policy says yes.

What is copied is exactly what was judged, by digest; everybody's signatures come
along. Sign it again afterwards to add yours.

  retinue promote --policy policy.toml reg.example.com/test/app:1 reg.example.com/prod/app:1
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import options, trusting
from retinue.cli.render import emit

if TYPE_CHECKING:
    from retinue.cli.judging import Judged
    from retinue.oci.reference import Location


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=options.REFERENCE)
    parser.add_argument("destination", metavar="DESTINATION", help="the same forms")
    parser.add_argument("--policy", metavar="FILE", type=Path, required=True, help="the policy")
    parser.add_argument(
        "--as",
        dest="image",
        metavar="HOST/REPOSITORY",
        help="the name that the policy's rules see; by default the source's",
    )
    options.platform(parser)
    options.papers_in(parser)
    options.dry_run(parser)
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from msgspec.structs import replace

    from retinue.cli import deciding, exits
    from retinue.cli.judging import tag_of
    from retinue.cli.sending import report_data, report_text, transfer
    from retinue.oci.reference import parse_location

    source, sink = parse_location(args.source), parse_location(args.destination)
    judged = asyncio.run(_judge(args, source))
    code = deciding.code([judged])
    data = {"decision": deciding.data(judged), "dry_run": args.dry_run}
    if code != exits.DONE or args.dry_run:
        emit(data, deciding.text(judged), as_json=args.json)
        return code
    args.without_papers = args.platform = None
    exact = replace(source, tag=tag_of(source), digest=judged.manifest.digest)
    report = asyncio.run(transfer(args, exact, sink, "promoting"))
    emit(
        data | report_data(report, source, sink),
        "\n".join([deciding.text(judged), report_text("promoted to", report, sink)]),
        as_json=args.json,
    )
    return exits.DONE


async def _judge(args: argparse.Namespace, source: "Location") -> "Judged":
    from retinue.cli.judging import judge, platform_of, question
    from retinue.cli.reach import client

    policy = trusting.from_file(args.policy, cel=True)
    async with client(args) as reached:
        asked = await question(
            reached, policy, "promote", image=args.image, platform=platform_of(args.platform)
        )
        return await judge(reached, source, asked)
