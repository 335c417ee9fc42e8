"""What `retinue inspect --resolve` does: from a generic manifest to the object that a client takes."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retinue.cli.problems import BadUsage, Missing
from retinue.cli.render import clean, emit, paint

if TYPE_CHECKING:
    from retinue.oci.manifest import Manifest
    from retinue.oci.readers.objects import GenericObject
    from retinue.oci.reference import Location
    from retinue.oci.stores import Source

UNDERSTOOD = ("org.oci.image@2",)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.oci.reference import parse_location

    location = parse_location(args.reference)
    end = asyncio.run(_follow(args, location))
    if args.raw:
        sys.stdout.buffer.write(end.raw)
        return 0
    item = _choose(end, args, location)
    emit(_data(end, item), _text(end, item), as_json=args.json)
    return 0


async def _follow(args: argparse.Namespace, location: "Location") -> "Manifest":
    from retinue.cli.reach import client, find_manifest
    from retinue.oci.resolve import dereference

    async with client(args) as reached, reached.source(location) as store:
        steps = dereference(await find_manifest(store, location))
        try:
            target = next(steps)
            while True:  # at most MAX_POINTERS times
                target = steps.send(await _get(store, location, target))
        except StopIteration as done:
            end: Manifest = done.value
            return end


async def _get(store: "Source", location: "Location", digest: Any) -> "Manifest":
    from retinue.cli.reach import missing
    from retinue.oci.manifest import Manifest

    found = (await store.manifests([digest]))[digest]
    if found is None:
        raise missing(location, digest)
    if not isinstance(found, Manifest):
        raise found
    return found


def _choose(end: "Manifest", args: argparse.Namespace, location: "Location") -> "GenericObject":
    from retinue.cli.making import this_platform
    from retinue.oci import platform as platforms
    from retinue.oci.readers.table import read_generic
    from retinue.oci.resolve import choose, filters_of

    wanted = platforms.parse(args.platform) if args.platform else this_platform()
    understood = _understood(args.understand or UNDERSTOOD)
    item = choose(read_generic(end), understood, filters_of(wanted))
    if item is None:
        kinds = ", ".join(f"{kind}@{version}" for kind, version in understood)
        raise Missing(
            f"object of {kinds} for {wanted}", str(location), "name others with --understand"
        )
    return item


def _understood(words: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for word in words:
        kind, at, version = word.rpartition("@")
        if not at or not kind or not version:
            raise BadUsage(f"--understand {word[:80]!r}", "write it as TYPE@VERSION")
        found.append((kind, version))
    return found


def _data(end: "Manifest", item: "GenericObject") -> dict[str, Any]:
    return {
        "digest": end.digest,
        "type": item.type,
        "version": item.version,
        "filters": _lists(item.filters),
        "annotations": _lists(item.annotations),
        "relation": item.relation,
        "components": [
            {
                "rtype": part.rtype,
                "ctype": part.ctype,
                "digest": part.descriptor.digest if part.descriptor else None,
                "media_type": part.descriptor.media_type if part.descriptor else None,
                "size": part.descriptor.size if part.descriptor else None,
            }
            for part in item.components
        ],
    }


def _lists(values: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {key: list(found) for key, found in values.items()}


def _text(end: "Manifest", item: "GenericObject") -> str:
    lines = [paint(end.digest, "1"), f"  object  {clean(item.type)}@{clean(item.version)}"]
    lines += [f"  filter  {clean(k)} = {clean(', '.join(v))}" for k, v in item.filters.items()]
    for part in item.components:
        if part.descriptor is not None:
            kind = clean(part.ctype or part.rtype or "")
            lines.append(f"  {kind}  {part.descriptor.digest}  {clean(part.descriptor.media_type)}")
    return "\n".join(lines)
