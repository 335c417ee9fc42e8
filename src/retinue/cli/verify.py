"""`retinue verify`: check an image's papers, by a policy file or by what you say here.

Nothing is asked of the network but the image and its papers. Signatures and
attestations count whichever way they are attached (referrers, cosign's tags,
notation, BuildKit's entries), and only if the bytes prove it.

Exit code 0 means yes. 11 means that what is there does not satisfy what was
asked, 12 that there is nothing at all, 7 that it could not be looked everywhere.

  retinue verify --key cosign.pub registry.example.com/app:1
  retinue verify --key ci.pub --type cyclonedx registry.example.com/app:1
  retinue verify --policy policy.toml registry.example.com/app:1 oci:dir:2
  retinue verify --trusted-root root.json --certificate-identity ada@example.com \\
    --certificate-oidc-issuer https://accounts.example.com registry.example.com/app:1
"""

import argparse
from typing import TYPE_CHECKING

from retinue.cli import options, trusting
from retinue.cli.render import emit

if TYPE_CHECKING:
    from retinue.cli.judging import Judged

AT_ONCE = 8
"""Images that are judged at the same time."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("references", metavar="REFERENCE", nargs="+", help=options.REFERENCE)
    trusting.arguments(parser)
    asked(parser)
    options.json(parser)
    options.network(parser)


def asked(parser: argparse.ArgumentParser) -> None:
    """What must be there, where no policy file says it."""
    parser.add_argument(
        "--type",
        metavar="TYPE",
        help="demand an attestation of this predicate type (cyclonedx, slsaprovenance1, ... or an "
        "URI) instead of a signature",
    )
    parser.add_argument(
        "-a",
        "--annotations",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="demand that this was signed along; may be repeated",
    )
    parser.add_argument(
        "--signers", metavar="K", type=int, default=1, help="demand so many distinct signers [1]"
    )
    parser.add_argument(
        "-r", "--recursive", action="store_true", help="demand it of an index's every platform too"
    )
    options.platform(parser)
    parser.add_argument(
        "--as",
        dest="image",
        metavar="HOST/REPOSITORY",
        help="judge as if the image were there: for files, which have no such name",
    )


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.cli import deciding

    answers = asyncio.run(_judge_all(args))
    emit(
        [deciding.data(judged) for judged in answers],
        "\n".join(deciding.text(judged) for judged in answers),
        as_json=args.json,
    )
    return deciding.code(answers)


async def _judge_all(args: argparse.Namespace) -> "list[Judged]":
    from functools import partial

    from retinue.cli.judging import judge, platform_of, question
    from retinue.cli.reach import client
    from retinue.client.transfer import bounded
    from retinue.oci.reference import parse_location

    policy = trusting.policy(args)
    locations = [parse_location(text) for text in args.references]
    async with client(args) as reached:
        asked = await question(
            reached, policy, image=args.image, platform=platform_of(args.platform)
        )
        return await bounded([partial(judge, reached, at, asked) for at in locations], AT_ONCE)
