"""`retinue tree`: an image and everything attached to it, by whichever way.

  referrers   the paper's own subject field (OCI 1.1)
  fallback    listed at the tag sha256-<hex>
  cosign      the tag sha256-<hex>.sig, .att or .sbom
  index       an annotated entry of an index, as BuildKit makes it
  object      a relation or pointer of a generic object

With --key or --policy it says of each paper whether it verified, and by whom.

It says "no papers" only when it could look everywhere. Otherwise it names what
it could not look at, and ends with exit code 7.
"""

import argparse
from typing import TYPE_CHECKING, Any

from retinue.cli import exits, options, trusting
from retinue.cli.render import BOLD, DIM, YELLOW, clean, emit, paint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from retinue.cli.gathering import Retinue
    from retinue.oci.digest import Digest
    from retinue.oci.reference import Location
    from retinue.papers.facts import Findings


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=options.REFERENCE)
    trusting.arguments(parser)
    options.platform(parser)
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.oci.reference import parse_location

    location = parse_location(args.reference)
    retinue, findings = asyncio.run(_gather(args, location))
    if args.json:
        emit(_data(location, retinue, findings), "", as_json=True)
    else:
        emit(None, _text(location, retinue, findings), as_json=False)
    return exits.BLIND if retinue.blind else exits.DONE


async def _gather(
    args: argparse.Namespace, location: "Location"
) -> "tuple[Retinue, Findings | None]":
    """The tree, and with somebody to trust what was established about its papers."""
    from retinue.cli.choosing import for_platform
    from retinue.cli.gathering import gather
    from retinue.cli.reach import client, find_manifest

    policy = trusting.policy(args) if trusting.given(args) else None
    async with client(args) as reached, reached.source(location) as store:
        chosen = await for_platform(store, await find_manifest(store, location), args.platform)
        retinue = await gather(store, chosen.digest)
        if policy is None:
            return retinue, None
        from retinue.cli.judging import look

        return retinue, await look(reached, store, chosen, policy)


def _verdicts(findings: "Findings | None") -> "Mapping[Digest, str]":
    """A few words for each paper: all that its signatures established."""
    said: dict[Digest, dict[str, None]] = {}
    for fact in findings.facts if findings is not None else ():
        by = f" by {fact.principal}" if fact.principal else ""
        kind = f" {fact.kind}" if fact.principal else ""
        said.setdefault(fact.paper, {})[f"{fact.verdict}{kind}{by}"] = None
    return {paper: "; ".join(words) for paper, words in said.items()}


def _data(location: "Location", retinue: "Retinue", findings: "Findings | None") -> dict[str, Any]:
    from retinue.cli.drawing import node_data

    if findings is not None:
        from retinue.cli.deciding import fact_data

        facts = {"facts": [fact_data(fact) for fact in findings.facts]}
    else:
        facts = {}
    return facts | {
        "reference": str(location),
        "tree": node_data(retinue, retinue.root),
        "papers": len(retinue.all_papers()),
        "blind": {digest: dict(ways) for digest, ways in retinue.blind.items()},
    }


def _text(location: "Location", retinue: "Retinue", findings: "Findings | None") -> str:
    from retinue.cli.drawing import draw

    lines = [paint(clean(str(location)), BOLD), *draw(retinue, _verdicts(findings))]
    lines += [
        paint(f"could not look for papers of {digest} by {way}: {clean(why)}", YELLOW)
        for digest, ways in retinue.blind.items()
        for way, why in ways.items()
    ]
    if not retinue.all_papers() and not retinue.blind:
        lines.append(paint("no papers (signatures, SBOMs, provenance)", DIM))
    return "\n".join(lines)
