"""`retinue triangulate`: print the tag where cosign's legacy format keeps an image's papers."""

import argparse
from typing import TYPE_CHECKING

from retinue.cli import options
from retinue.cli.problems import BadUsage
from retinue.cli.render import emit

if TYPE_CHECKING:
    from retinue.oci.digest import Digest

SUFFIXES = {"signature": "sig", "attestation": "att", "sbom": "sbom", "digest": ""}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=options.REMOTE)
    parser.add_argument("--type", choices=tuple(SUFFIXES), default="signature")
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.cli.reach import client, find
    from retinue.oci.reference import Reference, parse_location
    from retinue.oci.tags import cosign_tag

    location = parse_location(args.reference)
    if not isinstance(location, Reference):
        raise BadUsage(f"{location} is in no registry", f"name one: {options.REMOTE}")

    async def resolve() -> "Digest":
        async with client(args) as reached, reached.source(location) as store:
            return await find(store, location)

    digest = asyncio.run(resolve())
    where = location.place
    if args.type == "digest":
        text = f"{where}@{digest}"
    else:
        tag = cosign_tag(digest, SUFFIXES[args.type])
        if tag is None:
            raise BadUsage(f"{digest} is too long for a tag", "cosign names tags by sha256 only")
        text = f"{where}:{tag}"
    emit({"reference": text}, text, as_json=args.json)
    return 0
