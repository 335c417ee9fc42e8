"""`retinue inspect`: what a manifest says: its type, parts, subject and size.

--raw prints the exact bytes, as they are stored and hashed.

--resolve goes where a generic object leads: it follows pointers, and chooses
the first object that fits, by --understand in the order given, and --platform.

  retinue inspect registry.example.com/app:1 --resolve --understand org.oci.image@2
"""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from retinue.cli import options
from retinue.cli.render import clean, emit, paint, size

if TYPE_CHECKING:
    from retinue.oci.descriptor import Descriptor
    from retinue.oci.manifest import Manifest


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=options.REFERENCE)
    parser.add_argument("--raw", action="store_true", help="print the manifest's exact bytes")
    parser.add_argument(
        "--resolve", action="store_true", help="follow pointers, and choose an object"
    )
    parser.add_argument(
        "--understand",
        metavar="TYPE@VERSION",
        action="append",
        default=[],
        help="an object that --resolve may choose; the best first [org.oci.image@2]",
    )
    options.platform(parser)
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    if args.resolve:
        from retinue.cli import resolving

        return resolving.run(args)
    manifest = asyncio.run(_fetch(args))
    if args.raw:
        sys.stdout.buffer.write(manifest.raw)
    else:
        emit(manifest_data(manifest), _text(manifest), as_json=args.json)
    return 0


async def _fetch(args: argparse.Namespace) -> "Manifest":
    from retinue.cli.choosing import for_platform
    from retinue.cli.reach import client, find_manifest
    from retinue.oci.reference import parse_location

    location = parse_location(args.reference)
    async with client(args) as reached, reached.source(location) as store:
        return await for_platform(store, await find_manifest(store, location), args.platform)


def manifest_data(manifest: "Manifest") -> dict[str, Any]:
    """A manifest for --json. `size` is its own, `total_size` with the blobs that it names."""
    return {
        "digest": manifest.digest,
        "media_type": manifest.media_type,
        "artifact_type": manifest.artifact_type,
        "size": len(manifest.raw),
        "total_size": len(manifest.raw) + sum(blob.size for blob in manifest.blobs),
        "annotations": dict(manifest.annotations),
        "subject": _part(manifest.subject) if manifest.subject else None,
        "manifests": [_part(child) for child in manifest.children],
        "blobs": [_part(blob) for blob in manifest.blobs],
    }


def _part(item: "Descriptor") -> dict[str, Any]:
    part: dict[str, Any] = {
        "digest": item.digest,
        "media_type": item.media_type,
        "size": item.size,
    }
    if item.platform is not None:
        part["platform"] = str(item.platform)
    if item.annotations:
        part["annotations"] = dict(item.annotations)
    return part


def _text(manifest: "Manifest") -> str:
    total = len(manifest.raw) + sum(blob.size for blob in manifest.blobs)
    lines = [
        paint(manifest.digest, "1"),
        f"  media type     {manifest.media_type}",
        f"  size           {size(len(manifest.raw))}, {size(total)} with its blobs",
    ]
    if manifest.config is None or manifest.artifact_type != manifest.config.media_type:
        lines.append(f"  artifact type  {clean(manifest.artifact_type or 'none')}")
    if manifest.subject is not None:
        lines.append(f"  about          {manifest.subject.digest}")
    for title, items in (("manifests", manifest.children), ("blobs", manifest.blobs)):
        if items:
            lines += [f"  {title}", *map(_line, items)]
    if manifest.annotations:
        lines.append("  annotations")
        lines += [f"    {clean(k)} = {clean(v)}" for k, v in sorted(manifest.annotations.items())]
    return "\n".join(lines)


def _line(item: "Descriptor") -> str:
    platform = f"  {clean(str(item.platform))}" if item.platform else ""
    return f"    {item.digest}  {size(item.size):>9}  {clean(item.media_type)}{platform}"
