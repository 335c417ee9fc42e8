"""`retinue attach recipient`: let one more key open an encrypted image.

The image and its digest stay: the new recipient's wrapped keys are a paper
beside it, which `retinue copy --decryption-key` finds. Other tools do not look
there; `retinue copy --merge-recipients` makes a copy for them.

  retinue attach recipient HOST/app:1 --decryption-key mine.key --encryption-key jwe:theirs.pub
"""

import argparse
from typing import TYPE_CHECKING, Any

from retinue.cli import encrypt, options
from retinue.cli.render import emit

if TYPE_CHECKING:
    from retinue.oci.digest import Digest


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=options.REFERENCE)
    encrypt.recipients(parser, required=True)
    encrypt.openers(parser, required=True)
    options.platform(parser)
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    subject, papers = asyncio.run(_attach(args))
    data: dict[str, Any] = {"subject": subject, "papers": list(papers)}
    emit(data, "\n".join(papers), as_json=args.json)
    return 0


async def _attach(args: argparse.Namespace) -> tuple["Digest", tuple["Digest", ...]]:
    from retinue.cli.choosing import for_platform
    from retinue.cli.reach import client, find_manifest, writable
    from retinue.crypt.image import share_image
    from retinue.oci.reference import parse_location

    location = parse_location(args.reference)
    whom, keys = encrypt.read_recipients(args.encryption_key), encrypt.read_openers(args)
    async with client(args) as reached, writable(reached, location) as store:
        found = await for_platform(store, await find_manifest(store, location), args.platform)
        return found.digest, await share_image(store, store, found, keys, whom)
