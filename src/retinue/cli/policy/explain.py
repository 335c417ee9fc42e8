"""`retinue policy explain`: every rule and every paper, and what was made of them.

retinue policy explain --policy policy.toml registry.example.com/prod/app:1
retinue policy explain --policy policy.toml --on admission oci:dir --as registry.example.com/app
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import options, trusting
from retinue.cli.render import emit

if TYPE_CHECKING:
    from retinue.cli.judging import Judged

OPERATIONS = ("pull", "promote", "replicate", "admission", "cli")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=options.REFERENCE)
    asked(parser)
    parser.add_argument(
        "--as",
        dest="image",
        metavar="HOST/REPOSITORY",
        help="judge as if the image were there: for files, which have no such name",
    )
    options.platform(parser)
    options.json(parser)
    options.network(parser)


def asked(parser: argparse.ArgumentParser) -> None:
    """Which policy, and what is about to happen."""
    parser.add_argument("--policy", metavar="FILE", type=Path, required=True, help="the policy")
    parser.add_argument(
        "--on", choices=OPERATIONS, default="cli", help="what is about to happen to the image [cli]"
    )


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.cli import deciding

    judged = asyncio.run(_judge(args))
    emit(deciding.data(judged), deciding.text(judged, whole=True), as_json=args.json)
    return deciding.code([judged])


async def _judge(args: argparse.Namespace) -> "Judged":
    from retinue.cli.judging import judge, platform_of, question
    from retinue.cli.reach import client
    from retinue.oci.reference import parse_location

    policy = trusting.from_file(args.policy, cel=True)
    location = parse_location(args.reference)
    async with client(args) as reached:
        asked = await question(
            reached,
            policy,
            args.on,
            image=args.image,
            platform=platform_of(args.platform),
            told=args.json,
        )
        return await judge(reached, location, asked)
