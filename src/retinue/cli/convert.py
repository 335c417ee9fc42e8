"""`retinue convert`: make a generic object of images, or images of a generic object.

What is made has a digest of its own and none of the papers of what it was made
from: those are about other bytes. Layers and configurations stay the same.

  retinue convert registry.example.com/app:1 registry.example.com/app:1-object --to object
  retinue convert registry.example.com/app:1-object oci:dir:1 --to image
"""

import argparse
from typing import TYPE_CHECKING

from retinue.cli import options
from retinue.cli.problems import BadUsage
from retinue.cli.render import emit

if TYPE_CHECKING:
    from retinue.client.copy import CopyReport
    from retinue.oci.manifest import Manifest
    from retinue.oci.platform import Platform
    from retinue.oci.reference import Location
    from retinue.oci.stores import Source


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=options.REFERENCE)
    parser.add_argument("destination", metavar="DESTINATION", help="the same forms")
    parser.add_argument("--to", choices=("object", "image"), required=True, help="what to make")
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.cli.sending import report_data, report_text
    from retinue.oci.reference import parse_location

    source, sink = parse_location(args.source), parse_location(args.destination)
    if sink.digest is not None:
        raise BadUsage(f"{sink} names a digest", "a destination has a tag, or nothing")
    report = asyncio.run(_convert(args, source, sink))
    emit(
        report_data(report, source, sink),
        report_text("converted to", report, sink),
        as_json=args.json,
    )
    return 0


async def _convert(
    args: argparse.Namespace, source_at: "Location", sink_at: "Location"
) -> "CopyReport":
    from retinue.cli import progress
    from retinue.cli.local import LocalSource
    from retinue.cli.reach import client, find_manifest
    from retinue.client.client import mount_from
    from retinue.client.copy import Wanted, copy
    from retinue.oci.convert import export, generalise

    async with client(args) as reached, reached.source(source_at) as source:
        found = await find_manifest(source, source_at)
        made = export(found) if args.to == "image" else (generalise(await _images(source, found)),)
        local = LocalSource(source)
        for manifest in made:
            local.add_manifest(manifest)
        wanted = Wanted(made[-1].digest, (sink_at.tag,) if sink_at.tag else ())
        mount = mount_from(source_at, sink_at)
        async with reached.sink(sink_at) as sink:
            with progress.bar("converting") as bar:
                return await copy(local, sink, [wanted], mount_from=mount, progress=bar)


async def _images(source: "Source", found: "Manifest") -> "list[tuple[Manifest, Platform | None]]":
    """An image, or those that an index lists; what BuildKit adds to an index is no image."""
    from retinue.oci import names
    from retinue.oci.manifest import Manifest
    from retinue.oci.walk import Incomplete

    if not found.children:
        return [(found, None)]
    listed = [
        child for child in found.children if names.ANNOTATION_BUILDKIT_TYPE not in child.annotations
    ]
    manifests = await source.manifests([child.digest for child in listed])
    images: list[tuple[Manifest, Platform | None]] = []
    for child in listed:
        manifest = manifests[child.digest]
        if manifest is None:
            raise Incomplete((), (child.digest,), {})
        if not isinstance(manifest, Manifest):
            raise manifest
        images.append((manifest, child.platform))
    return images
