"""`retinue clean`: delete an image's papers of a type, and nothing else.

signature, attestation and sbom are the tags sha256-<hex>.sig, .att and .sbom;
referrer is every bundle that is attached to the image; all is all of these.
"""

import argparse
from typing import TYPE_CHECKING

from retinue.cli import options
from retinue.cli.asking import confirm
from retinue.cli.problems import BadUsage
from retinue.cli.render import count, emit

if TYPE_CHECKING:
    from retinue.cli.gathering import Retinue
    from retinue.client.remote import Remote
    from retinue.oci.digest import Digest

SUFFIXES = {"signature": ("sig",), "attestation": ("att",), "sbom": ("sbom",), "referrer": ()}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=options.REMOTE)
    parser.add_argument("--type", choices=(*SUFFIXES, "all"), default="all")
    parser.add_argument("-f", "--force", "-y", "--yes", action="store_true", help="do not ask")
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    gone = asyncio.run(_clean(args))
    emit(
        {"deleted": gone},
        "\n".join([*gone, f"deleted {count(len(gone), 'paper')}"]),
        as_json=args.json,
    )
    return 0


async def _clean(args: argparse.Namespace) -> list[str]:
    from retinue.cli.gathering import gather
    from retinue.cli.reach import client, find
    from retinue.oci.reference import Reference, parse_location
    from retinue.oci.tags import cosign_tag

    location = parse_location(args.reference)
    if not isinstance(location, Reference):
        raise BadUsage(f"{location} is in no registry", f"name one: {options.REMOTE}")
    async with client(args) as reached:
        store = reached.remote(location.host, location.repository)
        digest = await find(store, location)
        wanted = tuple(SUFFIXES) if args.type == "all" else (args.type,)
        tags = [cosign_tag(digest, suffix) for kind in wanted for suffix in SUFFIXES[kind]]
        there = [tag for tag in tags if tag is not None and await store.resolve(tag) is not None]
        bundles = _bundles(await gather(store, digest)) if "referrer" in wanted else []
        if there or bundles:
            what = count(len(there) + len(bundles), "paper")
            listed = "\n".join([what, *there, *bundles])
            confirm(listed, f"deleting {what} of {location}", yes=args.force)
        return await _delete(store, there, bundles)


def _bundles(retinue: "Retinue") -> "list[Digest]":
    from retinue.cli.kinds import kind_of
    from retinue.oci.manifest import Manifest

    papers = ((digest, retinue.found.get(digest)) for digest in retinue.papers_of(retinue.root))
    return [d for d, m in papers if isinstance(m, Manifest) and kind_of(m) == "bundle"]


async def _delete(store: "Remote", tags: list[str], papers: "list[Digest]") -> list[str]:
    """A legacy tag's manifest goes with it; what is gone by now counts."""
    for tag in tags:
        digest = await store.resolve(tag)
        if digest is not None:
            await store.delete_tag(tag)
            await store.delete_manifest(digest)
    for paper in papers:
        await store.delete_manifest(paper)
    return [*tags, *papers]
