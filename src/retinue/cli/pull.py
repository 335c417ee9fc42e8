"""`retinue pull`: bring an image with its papers, or an artifact's files, to this machine.

An image goes into an OCI layout (by default a folder named after the
repository), or into an archive. With --output, the files of an artifact are
written into a folder, by the names that they were pushed with.

  retinue pull registry.example.com/app:1                      into ./app
  retinue pull registry.example.com/app:1 oci-archive:app.tar
  retinue pull registry.example.com/charts:1 --output charts
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import options
from retinue.cli.problems import BadUsage
from retinue.cli.render import clean, emit

if TYPE_CHECKING:
    from retinue.cli.saving import File
    from retinue.oci.manifest import Manifest
    from retinue.oci.reference import Location


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=options.REFERENCE)
    parser.add_argument(
        "destination",
        metavar="DESTINATION",
        nargs="?",
        help="oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE",
    )
    parser.add_argument(
        "--output", metavar="DIR", type=Path, help="write an artifact's files into this folder"
    )
    options.platform(parser)
    options.without_papers(parser)
    options.papers_in(parser)
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    from retinue.oci.reference import parse_location

    location = parse_location(args.reference)
    if args.output is not None:
        return _files(args, location)
    return _image(args, location)


def _image(args: argparse.Namespace, location: "Location") -> int:
    import asyncio

    from retinue.cli.sending import report_data, report_text, transfer
    from retinue.oci.reference import Layout, Reference, parse_location

    if args.destination:
        sink = parse_location(args.destination)
    elif isinstance(location, Reference):
        sink = Layout(location.repository.rpartition("/")[2])
    else:
        raise BadUsage(f"where {location} should go is not said", "name it: oci:DIR")
    if isinstance(sink, Reference):
        raise BadUsage(f"{sink} is a registry's", "to send it there: retinue copy")
    report = asyncio.run(transfer(args, location, sink, "pulling"))
    emit(
        report_data(report, location, sink),
        report_text("pulled into", report, sink),
        as_json=args.json,
    )
    return 0


def _files(args: argparse.Namespace, location: "Location") -> int:
    import asyncio

    if args.destination:
        raise BadUsage("--output writes files, a destination takes the image", "choose one")
    manifest, files = asyncio.run(_save(args, location))
    paths = [str(args.output / file.name) for file in files]
    data = {
        "digest": manifest.digest,
        "files": [
            {"path": path, "digest": file.blob.digest, "size": file.blob.size}
            for path, file in zip(paths, files, strict=True)
        ],
    }
    emit(data, "\n".join(map(clean, paths)), as_json=args.json)
    return 0


async def _save(args: argparse.Namespace, location: "Location") -> tuple["Manifest", list["File"]]:
    from retinue.cli.choosing import for_platform
    from retinue.cli.reach import client, find_manifest
    from retinue.cli.saving import save
    from retinue.files import Root

    async with client(args) as reached, reached.source(location) as store:
        manifest = await for_platform(store, await find_manifest(store, location), args.platform)
        files = titled(manifest)
        if not files:
            raise BadUsage(f"{location} names no files", "pull it whole: leave out --output")
        args.output.mkdir(parents=True, exist_ok=True)
        with Root(args.output) as root:
            await save(store, root, files)
        return manifest, files


def titled(manifest: "Manifest") -> list["File"]:
    """The blobs that have a file's name."""
    from retinue.cli.saving import File
    from retinue.oci import names

    return [
        File(blob.annotations[names.ANNOTATION_TITLE], blob)
        for blob in manifest.blobs
        if names.ANNOTATION_TITLE in blob.annotations
    ]
