"""`retinue attach`: attach files to an image as a paper, and print its digest.

Works with every registry: where there is no referrers API, the paper is listed
at the image's fallback tag.

What is signed elsewhere, and SBOMs, have commands of their own: attach signature,
attach attestation, attach sbom (each with --help).

  retinue attach HOST/app:1 sbom.cdx.json --type application/vnd.cyclonedx+json
"""

import argparse
from typing import TYPE_CHECKING, Any

from retinue.cli import options
from retinue.cli.render import emit

if TYPE_CHECKING:
    from retinue.oci.manifest import Manifest


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=options.REFERENCE)
    parser.add_argument("files", metavar="FILE[:MEDIA-TYPE]", nargs="+", help="what to attach")
    parser.add_argument(
        "--type", metavar="ARTIFACT-TYPE", required=True, help="what kind of paper it is"
    )
    parser.add_argument(
        "--media-type", metavar="TYPE", help="of files that name none; by default --type"
    )
    options.annotation(parser)
    options.platform(parser)
    options.dry_run(parser)
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    subject, paper = asyncio.run(_attach(args))
    data: dict[str, Any] = {
        "digest": paper.digest,
        "subject": subject.digest,
        "artifact_type": paper.artifact_type,
        "dry_run": args.dry_run,
    }
    emit(data, paper.digest, as_json=args.json)
    return 0


async def _attach(args: argparse.Namespace) -> tuple["Manifest", "Manifest"]:
    """The subject, and the paper that was made."""
    from retinue.cli import progress
    from retinue.cli.choosing import for_platform
    from retinue.cli.local import LocalSource
    from retinue.cli.making import add_artifact
    from retinue.cli.pairs import annotations_of
    from retinue.cli.reach import client, find_manifest, writable
    from retinue.client.copy import Wanted, copy
    from retinue.oci.descriptor import Descriptor
    from retinue.oci.reference import parse_location

    location = parse_location(args.reference)
    made = LocalSource()
    async with client(args) as reached, writable(reached, location) as store:
        found = await for_platform(store, await find_manifest(store, location), args.platform)
        paper = add_artifact(
            made,
            args.files,
            artifact_type=args.type,
            media_type=args.media_type or args.type,
            annotations=annotations_of(args.annotation),
            subject=Descriptor(found.media_type, found.digest, len(found.raw)),
        )
        if not args.dry_run:
            with progress.bar("attaching") as bar:
                await copy(made, store, [Wanted(paper.digest)], progress=bar)
    return found, paper
