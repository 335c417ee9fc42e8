"""`retinue push`: push files as an artifact, a folder as an image, or a stored image.

Files become an artifact, as `oras push` makes it: each keeps its name, and its
media type if one is given after a colon.

  retinue push HOST/charts:1 chart.tgz:application/vnd.cncf.helm.chart.content.v1.tar+gzip

A folder becomes an image of one layer. The same files give the same digest:
names are sorted, owners are left out, and so are times ($SOURCE_DATE_EPOCH sets
one for all files).

  retinue push --image rootfs --entrypoint /app HOST/app:1

An image that is stored already is copied, with its papers:

  retinue push HOST/app:1 oci-archive:app.tar
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import options
from retinue.cli.problems import BadUsage
from retinue.cli.render import emit

if TYPE_CHECKING:
    from retinue.cli.local import LocalSource
    from retinue.client.copy import CopyReport
    from retinue.oci.digest import Digest
    from retinue.oci.reference import Location

STORED = ("oci:", "oci-archive:", "docker-archive:")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=options.REFERENCE)
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="FILE[:MEDIA-TYPE] of an artifact, or one stored image: oci:DIR[:TAG], "
        "oci-archive:FILE, docker-archive:FILE",
    )
    parser.add_argument("--image", metavar="DIR", type=Path, help="make an image of this folder")
    parser.add_argument(
        "--entrypoint",
        metavar="ARG",
        action="append",
        default=[],
        help="what the image runs; repeated for each argument, --entrypoint=-x for one with a dash",
    )
    parser.add_argument(
        "--artifact-type", metavar="TYPE", help="type of the artifact that files become"
    )
    options.annotation(parser)
    options.platform(parser)
    options.without_papers(parser)
    options.papers_in(parser)
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.cli.sending import report_data, report_text, transfer
    from retinue.oci.reference import parse_location

    _check(args)
    location = parse_location(args.reference)
    source: object
    if args.paths and args.paths[0].startswith(STORED):
        source = stored = parse_location(args.paths[0])
        report = asyncio.run(transfer(args, stored, location, "pushing"))
    else:
        source = args.image or " ".join(args.paths)
        report = _push_made(args, location)
    emit(
        report_data(report, source, location),
        report_text("pushed", report, location),
        as_json=args.json,
    )
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raises BadUsage for options that do not belong to what is pushed."""
    stored = [path for path in args.paths if path.startswith(STORED)]
    if bool(args.image) == bool(args.paths):
        raise BadUsage("what to push is not clear", "name files, one stored image, or --image DIR")
    if stored and len(args.paths) > 1:
        raise BadUsage("a stored image is pushed alone", "repeat the command for each")
    if args.entrypoint and not args.image:
        raise BadUsage("--entrypoint belongs to an image", "use it with --image DIR")
    if args.artifact_type and (args.image or stored):
        raise BadUsage("an image has no --artifact-type", "leave it out, or push files")
    if args.annotation and stored:
        raise BadUsage("a stored image keeps its annotations", "leave --annotation out")
    if args.platform and args.paths and not stored:
        raise BadUsage("files have no --platform", "leave it out")


def _push_made(args: argparse.Namespace, location: "Location") -> "CopyReport":
    import asyncio
    from tempfile import TemporaryDirectory

    from retinue.cli.local import LocalSource

    source = LocalSource()
    with TemporaryDirectory(prefix="retinue-") as folder:
        if args.image:
            digest = _image(args, source, Path(folder) / "layer")
        else:
            digest = _artifact(args, source)
        return asyncio.run(_send(args, source, digest, location))


async def _send(
    args: argparse.Namespace, source: "LocalSource", digest: "Digest", location: "Location"
) -> "CopyReport":
    from retinue.cli import progress
    from retinue.cli.reach import client
    from retinue.client.copy import Wanted, copy

    if location.digest not in {None, digest}:
        raise BadUsage(f"this has the digest {digest}", f"push it to a tag, not to {location}")
    tag = location.tag or (None if location.digest else "latest")
    wanted = Wanted(digest, (tag,) if tag else ())
    async with client(args) as reached, reached.sink(location) as sink:
        with progress.bar("pushing") as bar:
            return await copy(source, sink, [wanted], progress=bar)


def _image(args: argparse.Namespace, source: "LocalSource", layer_at: Path) -> "Digest":
    """Make the image of a folder; returns its digest."""
    from retinue.cli.making import epoch, this_platform
    from retinue.cli.pairs import annotations_of
    from retinue.layers.image import config_of, image_of
    from retinue.layers.tar import write_layer
    from retinue.oci import digest as digests
    from retinue.oci import platform as platforms

    platform = platforms.parse(args.platform) if args.platform else this_platform()
    with layer_at.open("wb") as out:
        layer = write_layer(args.image, out, time=epoch())
    config = config_of([layer], platform, args.entrypoint)
    manifest = image_of(config, [layer], annotations_of(args.annotation))
    source.add_blob(layer.digest, layer_at)
    source.add_blob(digests.of(config), config)
    source.add_manifest(manifest)
    return manifest.digest


def _artifact(args: argparse.Namespace, source: "LocalSource") -> "Digest":
    from retinue.cli.making import add_artifact
    from retinue.cli.pairs import annotations_of

    manifest = add_artifact(
        source,
        args.paths,
        artifact_type=args.artifact_type,
        annotations=annotations_of(args.annotation),
    )
    return manifest.digest
