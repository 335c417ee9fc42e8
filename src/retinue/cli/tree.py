"""`retinue tree`: an image and everything attached to it, by whichever way.

  referrers   the paper's own subject field (OCI 1.1)
  fallback    listed at the tag sha256-<hex>
  cosign      the tag sha256-<hex>.sig, .att or .sbom
  index       an annotated entry of an index, as BuildKit makes it
  object      a relation or pointer of a generic object

It says "no papers" only when it could look everywhere. Otherwise it names what
it could not look at, and ends with exit code 7.
"""

import argparse
from typing import TYPE_CHECKING, Any

from retinue.cli import exits, options
from retinue.cli.render import BOLD, DIM, YELLOW, clean, emit, paint

if TYPE_CHECKING:
    from retinue.cli.gathering import Retinue
    from retinue.oci.reference import Location


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=options.REFERENCE)
    options.platform(parser)
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.oci.reference import parse_location

    location = parse_location(args.reference)
    retinue = asyncio.run(_gather(args, location))
    if args.json:
        emit(_data(location, retinue), "", as_json=True)
    else:
        emit(None, _text(location, retinue), as_json=False)
    return exits.BLIND if retinue.blind else exits.DONE


async def _gather(args: argparse.Namespace, location: "Location") -> "Retinue":
    from retinue.cli.choosing import for_platform
    from retinue.cli.gathering import gather
    from retinue.cli.reach import client, find_manifest

    async with client(args) as reached, reached.source(location) as store:
        chosen = await for_platform(store, await find_manifest(store, location), args.platform)
        return await gather(store, chosen.digest)


def _data(location: "Location", retinue: "Retinue") -> dict[str, Any]:
    from retinue.cli.drawing import node_data

    return {
        "reference": str(location),
        "tree": node_data(retinue, retinue.root),
        "papers": len(retinue.all_papers()),
        "blind": {digest: dict(ways) for digest, ways in retinue.blind.items()},
    }


def _text(location: "Location", retinue: "Retinue") -> str:
    from retinue.cli.drawing import draw

    lines = [paint(clean(str(location)), BOLD), *draw(retinue)]
    lines += [
        paint(f"could not look for papers of {digest} by {way}: {clean(why)}", YELLOW)
        for digest, ways in retinue.blind.items()
        for way, why in ways.items()
    ]
    if not retinue.all_papers() and not retinue.blind:
        lines.append(paint("no papers (signatures, SBOMs, provenance)", DIM))
    return "\n".join(lines)
